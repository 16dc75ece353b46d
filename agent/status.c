/* What the agent says of itself: JSON. */
#include "agent/status.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/base32.h"

static const char *bool_text(bool value)
{
    return value ? "true" : "false";
}

static void add_text(struct strbuf *out, const char *key, const char *value)
{
    strbuf_addf(out, "\"%s\":", key);
    if (value)
        strbuf_add_json(out, value);
    else
        strbuf_adds(out, "null");
}

/* "" is no problem: null. */
static void add_problem(struct strbuf *out, const char *key, const char *value)
{
    add_text(out, key, value && value[0] ? value : NULL);
}

/* ---- what is wrong, in words --------------------------------------------------------------- */

/* Of a list that is all wrong. */
#define PEER_PROBLEMS_MAX 16

struct list {
    struct strbuf *out;
    size_t count;
};

static void add_line(struct list *list, const char *text)
{
    if (!text || !text[0])
        return;
    if (list->count++ > 0)
        strbuf_adds(list->out, ",");
    strbuf_add_json(list->out, text);
}

static void add_lines(struct list *list, char *text)
{
    add_line(list, text);
    free(text);
}

static void add_control_problems(struct list *list, const struct status_view *view)
{
    const struct control_client_status *control = &view->control;

    if (control->problem[0])
        add_lines(list, mem_printf("control plane %s: %s", control->url, control->problem));
    else if (!control->is_registered)
        add_line(list, "this node is not registered with the control plane yet");
    if (view->missing_count > 0)
        add_lines(list, mem_printf("%zu nodes vanished from the control plane's list at once; they "
                                   "are kept until %s. If it is right, run 'quiltctl node "
                                   "accept-cluster' on this node",
                                   view->missing_count,
                                   view->is_alone ? "it has other nodes, or says who is gone"
                                                  : "it says so again"));
}

/* Each has its problem beside it in the list of peers. */
static void add_peer_problems(struct list *list, const struct status_view *view)
{
    size_t count = 0;

    for (size_t i = 0; i < view->peer_count; i++) {
        const struct status_peer *peer = &view->peers[i];
        char subnet[IP4_PREFIX_TEXT_SIZE];

        if (peer->problem && count++ < PEER_PROBLEMS_MAX)
            add_lines(list,
                      mem_printf("peer %s (%s): %s", peer->node->hostname,
                                 ip4_prefix_format(peer->node->subnet, subnet), peer->problem));
    }
    if (count > PEER_PROBLEMS_MAX)
        add_lines(list, mem_printf("%zu more peers are ignored, see the list of peers",
                                   count - PEER_PROBLEMS_MAX));
}

/* A black hole: what is sent is larger than what gets through, and nobody says so. */
static void add_path_problems(struct list *list, const struct status_view *view)
{
    size_t count = 0;

    for (size_t i = 0; i < view->peer_count && count < PEER_PROBLEMS_MAX; i++) {
        const struct status_peer *peer = &view->peers[i];

        if (!peer->probe || !ladder_is_short(&peer->probe->ladder))
            continue;
        count++;
        add_lines(
            list,
            mem_printf("peer %s: packets of up to %u bytes should get to it, and none above %u "
                       "does; the overlay sends no larger ones there. Mend the network "
                       "between, or set the MTU of the way to that (ip route ... mtu)",
                       peer->node->hostname, peer->probe->ladder.top_bytes,
                       peer->probe->ladder.largest_bytes));
    }
}

static void add_problems(struct strbuf *out, const struct status_view *view)
{
    struct list list = {.out = out};

    strbuf_adds(out, "\"problems\":[");
    add_line(&list, view->identity_problem);
    add_line(&list, view->state_problem);
    add_control_problems(&list, view);
    if (view->runtime_url && view->runtime.problem[0])
        add_lines(&list, mem_printf("runtime %s: %s", view->runtime_url, view->runtime.problem));
    add_line(&list, view->overlay.problem);
    add_line(&list, view->overlay.fight);
    add_peer_problems(&list, view);
    add_line(&list, view->probe_problem);
    add_path_problems(&list, view);
    strbuf_adds(out, "]");
}

/* ---- parts --------------------------------------------------------------------------------- */

static void add_identity(struct strbuf *out, const struct status_view *view)
{
    const struct api_register_reply *me = view->identity;
    char host_ip[IP4_TEXT_SIZE], subnet[IP4_PREFIX_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];

    add_text(out, "version", QUILT_VERSION);
    strbuf_addf(out, ",\"ready\":%s,\"dataplane\":\"%s\",", bool_text(view->is_ready),
                view->is_dry             ? "none"
                : view->fastpath.is_used ? "ebpf"
                                         : "kernel");
    add_problem(out, "dataplane_reason", view->fastpath.reason);
    strbuf_adds(out, ",");
    add_text(out, "node_id", me ? me->node_id : NULL);
    strbuf_adds(out, ",");
    add_text(out, "hostname", view->hostname);
    strbuf_addf(out, ",\"host_ip\":\"%s\",", ip4_format(view->host_ip, host_ip));
    add_text(out, "subnet", me ? ip4_prefix_format(me->subnet, subnet) : NULL);
    strbuf_adds(out, ",");
    add_text(out, "cluster_cidr", me ? ip4_prefix_format(me->cluster.cidr, cidr) : NULL);
    strbuf_adds(out, ",");
    add_problem(out, "cluster_id", me ? me->origin.cluster_id : NULL);
}

static void add_number(struct strbuf *out, const char *key, bool is_known, int64_t value)
{
    if (is_known)
        strbuf_addf(out, "\"%s\":%" PRId64, key, value);
    else
        strbuf_addf(out, "\"%s\":null", key);
}

static const char *control_mode(const struct control_client_status *control)
{
    if (control->is_foreign || control->is_barred || control->is_twin)
        return "refused";
    if (control->is_stream_up)
        return "stream";
    return control->is_connected ? "poll" : "away";
}

static void add_control(struct strbuf *out, const struct status_view *view)
{
    const struct control_client_status *control = &view->control;

    strbuf_adds(out, "\"control_plane\":{");
    add_text(out, "url", control->url);
    strbuf_addf(out, ",\"connected\":%s,\"registered\":%s,\"barred\":%s,\"untrusted\":%s",
                bool_text(control->is_connected), bool_text(control->is_registered),
                bool_text(control->is_barred), bool_text(control->is_untrusted));
    strbuf_addf(out, ",\"mode\":\"%s\",\"last_contact_s\":", control_mode(control));
    if (control->last_contact_ms > 0)
        strbuf_addf(out, "%" PRId64 ",", (view->now_ms - control->last_contact_ms) / 1000);
    else
        strbuf_adds(out, "null,");
    add_number(out, "clock_skew_s", control->has_clock_skew, control->clock_skew_s);
    strbuf_adds(out, ",");
    add_problem(out, "error", control->problem);
    strbuf_adds(out, "}");
}

static void add_pin(struct strbuf *out, const struct tls_cert *ca)
{
    char pin[BASE32_LEN(SHA256_SIZE) + 1];

    base32_encode(tls_cert_facts(ca)->spki.bytes, SHA256_SIZE, pin);
    strbuf_addf(out, "\"%s\"", pin);
}

static void add_pins(struct strbuf *out, const struct tls_trust *trust)
{
    for (size_t i = 0; trust && i < tls_trust_count(trust); i++) {
        if (i > 0)
            strbuf_adds(out, ",");
        add_pin(out, tls_trust_ca(trust, i));
    }
}

static void add_tls(struct strbuf *out, const struct status_view *view)
{
    const struct control_client_status *control = &view->control;

    strbuf_adds(out, "\"tls\":");
    if (!view->tls) {
        strbuf_adds(out, "null");
        return;
    }
    strbuf_adds(out, "{");
    add_text(out, "shows", credential_words(control->shown));
    strbuf_adds(out, ",");
    add_number(out, "certificate_expires_at", view->tls->expires_at > 0, view->tls->expires_at);
    strbuf_addf(out, ",\"renewals\":%" PRIu64 ",\"ca_pins\":[", control->renewals);
    add_pins(out, view->tls->trust);
    strbuf_adds(out, "],");
    add_number(out, "clock_skew_s", control->has_clock_skew, control->clock_skew_s);
    strbuf_adds(out, "}");
}

static void add_runtime(struct strbuf *out, const struct status_view *view)
{
    strbuf_adds(out, "\"runtime\":{");
    add_text(out, "url", view->runtime_url);
    strbuf_addf(out, ",\"connected\":%s,\"configured\":%s,", bool_text(view->runtime.is_connected),
                bool_text(view->runtime.is_ready));
    add_problem(out, "error", view->runtime.problem);
    strbuf_adds(out, "}");
}

static void add_device(struct strbuf *out, const struct status_view *view)
{
    strbuf_adds(out, "\"device\":{\"name\":\"" MESH_DEVICE_NAME "\",\"mtu\":");
    if (view->overlay.mtu_bytes > 0)
        strbuf_addf(out, "%u", view->overlay.mtu_bytes);
    else
        strbuf_adds(out, "null");
    strbuf_addf(out, ",\"up\":%s,\"programmed\":%s,", bool_text(view->overlay.is_device_up),
                bool_text(view->overlay.is_programmed));
    add_problem(out, "problem", view->overlay.problem);
    strbuf_adds(out, "}");
}

static void add_probe(struct strbuf *out, const struct status_peer *peer, int64_t now_ms)
{
    struct api_probe probe;

    strbuf_adds(out, ",\"probe\":");
    if (!peer->probe) {
        strbuf_adds(out, "null");
        return;
    }
    probe = probes_describe(peer->probe, now_ms);
    api_probe_to_json(&probe, out);
}

static void add_peer(struct strbuf *out, const struct status_peer *peer, int64_t now_ms)
{
    char host_ip[IP4_TEXT_SIZE], subnet[IP4_PREFIX_TEXT_SIZE];

    strbuf_addf(out, "{\"node_id\":\"%s\",", peer->node->node_id);
    add_text(out, "hostname", peer->node->hostname);
    strbuf_addf(out, ",\"host_ip\":\"%s\",\"subnet\":\"%s\",\"status\":\"%s\",\"programmed\":%s,",
                ip4_format(peer->node->host_ip, host_ip),
                ip4_prefix_format(peer->node->subnet, subnet), peer->node->is_up ? "up" : "down",
                bool_text(peer->is_programmed));
    strbuf_addf(out, "\"in_doubt\":%s,", bool_text(peer->is_missing));
    add_text(out, "problem", peer->problem);
    add_probe(out, peer, now_ms);
    strbuf_adds(out, "}");
}

static void add_peers(struct strbuf *out, const struct status_view *view)
{
    strbuf_adds(out, "\"peers\":[");
    for (size_t i = 0; i < view->peer_count; i++) {
        if (i > 0)
            strbuf_adds(out, ",");
        add_peer(out, &view->peers[i], view->now_ms);
    }
    strbuf_adds(out, "]");
}

static void add_repairs(struct strbuf *out, const struct status_view *view)
{
    bool is_first = true;

    strbuf_adds(out, "\"repairs\":{");
    for (int i = 0; i < OVERLAY_OBJECT_COUNT; i++) {
        if (view->overlay.counts->repairs[i] == 0)
            continue;
        strbuf_addf(out, "%s\"%s\":%" PRIu64, is_first ? "" : ",",
                    overlay_object_name((enum overlay_object)i), view->overlay.counts->repairs[i]);
        is_first = false;
    }
    strbuf_adds(out, "}");
}

char *status_to_json(const struct status_view *view)
{
    static void (*const parts[])(struct strbuf *, const struct status_view *) = {
        add_identity, add_control, add_tls,      add_runtime,
        add_device,   add_peers,   add_problems, add_repairs,
    };
    struct strbuf out = {0};

    strbuf_adds(&out, "{");
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (i > 0)
            strbuf_adds(&out, ",");
        parts[i](&out, view);
    }
    strbuf_adds(&out, "}");
    return strbuf_take(&out);
}

char *status_to_ready_json(const struct status_view *view)
{
    struct strbuf out = {0};
    struct list list = {.out = &out};

    strbuf_addf(&out, "{\"ready\":%s,\"reasons\":[", bool_text(view->is_ready));
    if (!view->is_ready) {
        if (!view->identity)
            add_line(&list, "not registered yet, and nothing known from before");
        add_line(&list, view->control.problem);
        add_line(&list, view->identity_problem);
        if (view->identity && !view->overlay.is_programmed)
            add_line(&list, "the overlay device is not programmed");
        add_line(&list, view->overlay.problem);
    }
    strbuf_adds(&out, "]}");
    return strbuf_take(&out);
}
