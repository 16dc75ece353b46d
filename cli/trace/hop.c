/* Judges and shows a packet's way. */
#include "cli/trace/hop.h"

#include <assert.h>

static const char *const point_names[] = {
    [POINT_VETH_OUT] = "left the container",
    [POINT_OVERLAY_OUT] = "entered the overlay's device",
    [POINT_WIRE_OUT] = "left this host inside VXLAN",
    [POINT_WIRE_IN] = "its answer reached this host inside VXLAN",
    [POINT_OVERLAY_IN] = "its answer came out of the overlay's device",
};
static_assert(ARRAY_LEN(point_names) == POINT_COUNT, "each has a name");

void hops_deinit(struct hops *hops)
{
    for (size_t i = 0; i < hops->count; i++)
        free(hops->items[i].text);
    free(hops->items);
    *hops = (struct hops){0};
}

void hops_add(struct hops *hops, const char *name, enum hop_state state, char *text)
{
    hops->items = mem_resize(hops->items, hops->count + 1, sizeof *hops->items);
    hops->items[hops->count++] = (struct hop){.name = name, .state = state, .text = text};
}

/* ---- where it died ------------------------------------------------------------------------- */

static const struct hop *first_broken(const struct hops *hops)
{
    for (size_t i = 0; i < hops->count; i++)
        if (hops->items[i].state == HOP_BROKEN)
            return &hops->items[i];
    return NULL;
}

/* What is broken on the way explains it best; else the place where it was last seen does. */
static const char *blame(const struct hop *broken, const char *name, const char *why,
                         char **ret_why)
{
    *ret_why = mem_strdup(broken ? broken->text : why);
    return broken ? broken->name : name;
}

static const char *end_abroad(const struct journey *j, char **ret_why)
{
    if (j->is_refused) {
        *ret_why = mem_strdup("the peer says that it cannot be reached (ICMP): over there is no "
                              "endpoint of that address");
        return "far endpoint";
    }
    if (j->answers_vtep)
        *ret_why =
            mem_strdup("the peer answers through the overlay, the address does not: over there "
                       "is no endpoint of it, its container does not answer, or a firewall "
                       "drops what is forwarded; quiltctl trace the other way round, over "
                       "there, says more");
    else if (j->answers_host)
        *ret_why =
            mem_strdup("the peer's host answers, nothing comes back through the overlay: the "
                       "network between, or the peer's firewall, drops UDP 4789");
    else
        *ret_why = mem_strdup("not even the peer's host answers");
    return j->answers_vtep ? "far endpoint" : "underlay";
}

static const char *end_here(const struct journey *j, const struct hop *broken, char **ret_why)
{
    if (!j->seen[POINT_VETH_OUT])
        return blame(broken, "container",
                     "it did not leave the container: no route inside, its device is down, or a "
                     "firewall inside drops it",
                     ret_why);
    if (j->is_local)
        return blame(broken, "far endpoint",
                     "it left the one container, and the other did not "
                     "answer",
                     ret_why);
    if (!j->seen[POINT_OVERLAY_OUT])
        return blame(broken, "filter",
                     "it came from the container, and entered no other device: a "
                     "firewall of this host dropped it",
                     ret_why);
    return blame(broken, "underlay route",
                 "it entered the overlay's device and did not leave the "
                 "host",
                 ret_why);
}

const char *journey_end(const struct journey *j, const struct hops *hops, char **ret_why)
{
    const struct hop *broken = first_broken(hops);

    *ret_why = NULL;
    if (j->is_answered || (!j->was_sent && !broken))
        return NULL;
    if (!j->was_sent)
        return blame(broken, "", "", ret_why);
    if (j->seen[POINT_WIRE_IN] && !j->is_refused)
        return blame(NULL, "filter",
                     "its answer reached this host, and not the container: a firewall "
                     "of this host dropped it",
                     ret_why);
    if (!j->seen[POINT_WIRE_OUT])
        return end_here(j, broken, ret_why);
    return j->is_udp && j->answers_vtep && !j->is_refused ? NULL : end_abroad(j, ret_why);
}

/* ---- shown --------------------------------------------------------------------------------- */

static const char *state_word(enum hop_state state)
{
    static const char *const words[] = {
        [HOP_FINE] = "ok", [HOP_BROKEN] = "BROKEN", [HOP_UNKNOWN] = "unknown"};

    static_assert(ARRAY_LEN(words) == HOP_UNKNOWN + 1, "each has a word");
    return words[state];
}

json_t *trace_to_json(const struct hops *hops, const struct journey *j, const char *end,
                      const char *why)
{
    json_t *list = json_array(), *seen = json_array();

    for (size_t i = 0; i < hops->count; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "hop", hops->items[i].name,
                                                    "state", state_word(hops->items[i].state),
                                                    "text", hops->items[i].text));
    for (size_t i = 0; i < POINT_COUNT; i++)
        if (j->seen[i])
            (void)json_array_append_new(seen, json_string(point_names[i]));
    return json_pack("{s:o, s:b, s:o, s:b, s:s?, s:s?}", "hops", list, "sent", j->was_sent, "seen",
                     seen, "answered", j->is_answered, "died_at", end, "why", why);
}

static void print_journey(const struct journey *j, const char *end, struct strbuf *out)
{
    if (!j->was_sent) {
        strbuf_adds(out, j->was_impossible
                             ? "\nNo packet could be sent.\n"
                             : "\nNo packet was sent: that is for the node of the source.\n");
        return;
    }
    strbuf_adds(out, "\nA packet of ours:\n");
    for (size_t i = 0; i < POINT_COUNT; i++)
        if (j->seen[i])
            strbuf_addf(out, "  %s\n", point_names[i]);
    if (j->seen[POINT_WIRE_OUT] && !j->seen[POINT_OVERLAY_OUT])
        strbuf_adds(out, "  (by the eBPF path, past the overlay's device)\n");
    if (j->is_answered)
        strbuf_adds(out, "  was answered\n");
    else if (!end)
        strbuf_adds(out, "  was not answered, which a datagram need not be\n");
}

void trace_print(const struct hops *hops, const struct journey *j, const char *end, const char *why,
                 struct strbuf *out)
{
    for (size_t i = 0; i < hops->count; i++) {
        strbuf_addf(out, "%-7s  %-14s  ", state_word(hops->items[i].state), hops->items[i].name);
        strbuf_add_printable(out, hops->items[i].text);
        strbuf_adds(out, "\n");
    }
    print_journey(j, end, out);
    if (end) {
        strbuf_addf(out, "\nIt dies at %s: ", end);
        strbuf_add_printable(out, why);
        strbuf_adds(out, "\n");
    }
}
