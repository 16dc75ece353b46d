/* Is this node healthy? Judged in words. */
#include "cli/report.h"

#include <string.h>

#include "cli/output.h"
#include "lib/api/probe.h"
#include "lib/base/ip4.h"
#include "lib/base/mem.h"

#define SILENT_NAMES_MAX 5

static void add_problem(json_t *problems, const char *problem)
{
    size_t i;
    json_t *p;

    if (!problem || problem[0] == '\0')
        return;
    json_array_foreach (problems, i, p)
        if (strcmp(json_string_value(p), problem) == 0)
            return;
    (void)json_array_append_new(problems, json_string(problem));
}

/* The problems that a daemon itself has told. */
static void add_told(json_t *problems, const json_t *answer)
{
    const json_t *told = json_object_get(answer, "problems"), *p;
    size_t i;

    json_array_foreach (told, i, p)
        add_problem(problems, json_string_value(p));
}

/* A member's text, "" when it is none. */
static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static void count_peers(const json_t *agent, size_t *ret_total, size_t *ret_up, size_t *ret_done)
{
    const json_t *peers = json_object_get(agent, "peers"), *peer;
    size_t i;

    *ret_total = *ret_up = *ret_done = 0;
    json_array_foreach (peers, i, peer) {
        bool is_up = strcmp(text_of(peer, "status"), "up") == 0;

        *ret_total += 1;
        *ret_up += is_up;
        *ret_done += is_up && json_is_true(json_object_get(peer, "programmed"));
    }
}

/* An agent in the mode for development: it touches no kernel state and says so. */
static bool is_dry(const json_t *agent)
{
    return strcmp(text_of(agent, "dataplane"), "none") == 0;
}

/* A device that is not up, unless the agent has said why. */
static void add_device_down(json_t *problems, const json_t *agent)
{
    const json_t *device = json_object_get(agent, "device");
    AUTO_FREE char *text = NULL;

    if (is_dry(agent) || !json_is_false(json_object_get(device, "up")) ||
        json_array_size(json_object_get(agent, "problems")) > 0)
        return;
    text =
        mem_printf("the overlay device %s is not up yet; if it stays so, look at the agent's log",
                   text_of(device, "name"));
    add_problem(problems, text);
}

/* Peers that are up but cannot be reached from here, unless the agent has said so itself. */
static void add_unprogrammed(json_t *problems, const json_t *agent)
{
    size_t total, up, done;
    AUTO_FREE char *text = NULL;

    count_peers(agent, &total, &up, &done);
    if (is_dry(agent) || done == up || json_array_size(json_object_get(agent, "problems")) > 0)
        return;
    text =
        mem_printf("%zu of %zu peers that are up cannot be reached from here yet; if it stays so, "
                   "look at the agent's log",
                   up - done, up);
    add_problem(problems, text);
}

/* ---- pings over the overlay ---------------------------------------------------------------- */

static bool should_answer(const json_t *peer, uint32_t *ret_vtep)
{
    struct ip4_prefix subnet;

    if (strcmp(text_of(peer, "status"), "up") != 0 ||
        !json_is_true(json_object_get(peer, "programmed")) ||
        ip4_prefix_parse(text_of(peer, "subnet"), &subnet) < 0)
        return false;
    *ret_vtep = subnet.addr;
    return true;
}

struct ping_target *report_ping_targets(const json_t *agent, size_t *ret_count)
{
    const json_t *peers = json_object_get(agent, "peers"), *peer;
    struct ping_target *targets = mem_array(json_array_size(peers) + 1, sizeof *targets);
    size_t i, count = 0;

    json_array_foreach (peers, i, peer) {
        uint32_t vtep;

        if (!is_dry(agent) && should_answer(peer, &vtep))
            targets[count++] = (struct ping_target){.addr = vtep};
    }
    *ret_count = count;
    return targets;
}

/* "node1 (192.168.1.10)" of the peer with this VTEP address. */
static void add_peer_name(struct strbuf *out, const json_t *agent, uint32_t vtep)
{
    const json_t *peers = json_object_get(agent, "peers"), *peer;
    size_t i;

    json_array_foreach (peers, i, peer) {
        uint32_t addr;

        if (should_answer(peer, &addr) && addr == vtep)
            strbuf_addf(out, "%s (%s)", text_of(peer, "hostname"), text_of(peer, "host_ip"));
    }
}

static size_t count_silent(const struct report_input *in)
{
    size_t silent = 0;

    for (size_t i = 0; !in->probe_error && i < in->target_count; i++)
        silent += !in->targets[i].has_answered;
    return silent;
}

static void add_silent(json_t *problems, const struct report_input *in)
{
    AUTO_STRBUF struct strbuf names = {0};
    AUTO_FREE char *text = NULL;
    size_t silent = count_silent(in), named = 0;

    for (size_t i = 0; i < in->target_count && named < SILENT_NAMES_MAX; i++) {
        if (in->targets[i].has_answered)
            continue;
        strbuf_adds(&names, named++ > 0 ? ", " : "");
        add_peer_name(&names, in->agent, in->targets[i].addr);
    }
    if (silent == 0)
        return;
    text = mem_printf("%s%s over the overlay: the host may just have vanished, or a firewall here, "
                      "there or between drops UDP 4789 (or ping), in either direction",
                      names.data,
                      silent > named ? " and others do not answer"
                      : silent == 1  ? " does not answer"
                                     : " do not answer");
    add_problem(problems, text);
}

static json_t *ping_to_json(const struct report_input *in)
{
    return json_pack("{s:I, s:I, s:s?}", "asked",
                     (json_int_t)(in->probe_error ? 0 : in->target_count), "silent",
                     (json_int_t)count_silent(in), "error", in->probe_error);
}

/* ---- the certificate ----------------------------------------------------------------------- */

/* Agents renew theirs when 70 % of its life are over, at the latest. */
#define CERT_LATE_PERCENT 80

/* NULL: all is well. Caller frees. */
static char *cert_problem(const struct report_cert *cert, int64_t now_s)
{
    int64_t life = cert->not_after - cert->not_before;
    char span[AGE_TEXT_SIZE];

    if (now_s >= cert->not_after)
        return mem_printf("this node's certificate expired %s; the agent gets another one when the "
                          "control plane lets it in: look at its log",
                          age_format(cert->not_after, now_s, span));
    if (now_s < cert->not_before)
        return mem_printf("this node's certificate is not valid for another %s: is the clock "
                          "right?",
                          span_format(cert->not_before - now_s, span));
    if (now_s - cert->not_before > life / 100 * CERT_LATE_PERCENT)
        return mem_printf("this node's certificate expires in %s and has not been renewed; look at "
                          "the agent's log",
                          span_format(cert->not_after - now_s, span));
    return NULL;
}

/* As the agent tells it, who does not say since when it is good: that it is late is not seen. */
static bool told_cert(const struct report_input *in, struct report_cert *ret_cert)
{
    const json_t *tls = json_object_get(in->agent, "tls");
    int64_t expires_at;

    if (json_get_int(tls, "certificate_expires_at", 0, INT64_MAX, &expires_at) < 0)
        return false;
    *ret_cert = (struct report_cert){.not_before = in->now_s, .not_after = expires_at};
    return true;
}

static json_t *cert_to_json(const struct report_input *in)
{
    const json_t *shows = json_object_get(json_object_get(in->agent, "tls"), "shows");
    AUTO_FREE char *problem = NULL;
    struct report_cert cert;

    if (in->cert)
        cert = *in->cert;
    else if (!told_cert(in, &cert))
        return json_null();
    problem = cert_problem(&cert, in->now_s);
    return json_pack("{s:I, s:I, s:s?, s:s?}", "expires_at", (json_int_t)cert.not_after,
                     "expires_in_s", (json_int_t)(cert.not_after - in->now_s), "agent_shows",
                     json_string_value(shows), "problem", problem);
}

/* -------------------------------------------------------------------------------------------- */

static json_t *control_to_json(const struct report_input *in)
{
    json_t *answers = in->control_unasked || !in->control_url
                          ? json_null()
                          : json_boolean(!in->control_error || in->is_control_ill);

    return json_pack("{s:s?, s:o, s:s?}", "url", in->control_url, "answers", answers, "error",
                     in->control_error);
}

json_t *report_make(const struct report_input *in)
{
    json_t *problems = json_array(), *cert = cert_to_json(in);

    add_problem(problems, in->agent_error);
    add_problem(problems, in->runtime_error);
    add_problem(problems, in->control_error);
    if (in->agent && text_of(in->agent, "node_id")[0] == '\0')
        add_problem(problems, "this node has not joined the mesh yet");
    add_problem(problems, in->cert_error);
    add_problem(problems, text_of(cert, "problem"));
    add_told(problems, in->agent);
    add_told(problems, in->runtime);
    if (in->agent) {
        add_device_down(problems, in->agent);
        add_unprogrammed(problems, in->agent);
        add_silent(problems, in);
    }
    return json_pack("{s:b, s:o, s:o, s:o, s:O?, s:O?, s:o}", "healthy",
                     json_array_size(problems) == 0, "problems", problems, "control_plane",
                     control_to_json(in), "certificate", cert, "agent", in->agent, "runtime",
                     in->runtime, "overlay_ping", ping_to_json(in));
}

bool report_is_healthy(const json_t *report)
{
    return json_is_true(json_object_get(report, "healthy"));
}

static void add_row_in(struct table *table, const char *part, const char *state, char *details)
{
    AUTO_FREE char *owned = details;

    table_add(table, part);
    table_add(table, state);
    table_add(table, owned);
}

static void add_row(struct table *table, const char *part, bool is_well, char *details)
{
    add_row_in(table, part, is_well ? "ok" : "PROBLEM", details);
}

static void add_node_row(struct table *table, const json_t *agent)
{
    bool has_joined = text_of(agent, "node_id")[0] != '\0';
    const json_t *control = json_object_get(agent, "control_plane");
    bool is_barred = json_is_true(json_object_get(control, "barred"));

    if (!has_joined) {
        add_row(table, "node", false, mem_strdup("has not joined yet"));
        return;
    }
    add_row(table, "node", !is_barred,
            mem_printf("%s%s, %s, subnet %s, id %s", is_barred ? "removed or revoked: " : "",
                       text_of(agent, "hostname"), text_of(agent, "host_ip"),
                       text_of(agent, "subnet"), text_of(agent, "node_id")));
}

static void add_device_row(struct table *table, const json_t *agent)
{
    const json_t *device = json_object_get(agent, "device");
    const char *problem = text_of(device, "problem");
    bool is_up = json_is_true(json_object_get(device, "up"));

    if (is_dry(agent))
        add_row(table, "device", true, mem_strdup("left alone (dataplane none)"));
    else if (problem[0] != '\0' || !is_up)
        add_row(table, "device", false, mem_strdup(problem[0] ? problem : "is not up"));
    else
        add_row(table, "device", true,
                mem_printf("%s, mtu %lld", text_of(device, "name"),
                           (long long)json_integer_value(json_object_get(device, "mtu"))));
}

/* Agents of earlier versions say nothing of it. */
static void add_dataplane_row(struct table *table, const json_t *agent)
{
    const char *name = text_of(agent, "dataplane"), *reason = text_of(agent, "dataplane_reason");

    if (name[0] != '\0' && !is_dry(agent))
        add_row(table, "data path", true,
                reason[0] ? mem_printf("%s (%s)", name, reason) : mem_strdup(name));
}

static json_int_t int_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* The names of those that are down, in words that follow the counts. */
static void add_down(struct strbuf *out, const json_t *agent)
{
    const json_t *peers = json_object_get(agent, "peers"), *peer;
    size_t i, named = 0;

    json_array_foreach (peers, i, peer) {
        if (strcmp(text_of(peer, "status"), "down") != 0)
            continue;
        if (named++ == SILENT_NAMES_MAX) {
            strbuf_adds(out, ", ...");
            return;
        }
        strbuf_addf(out, "%s%s", named == 1 ? "; down: " : ", ", text_of(peer, "hostname"));
    }
}

static json_int_t worse_loss(const json_t *probe)
{
    json_int_t underlay = int_of(probe, "underlay_loss"), overlay = int_of(probe, "overlay_loss");

    return underlay > overlay ? underlay : overlay;
}

/* No problem of now: it may be over, and is seen for a minute after. Who answers nothing is told of
 * elsewhere. */
static void add_losing(struct strbuf *out, const json_t *agent)
{
    const json_t *peers = json_object_get(agent, "peers"), *peer;
    size_t i, named = 0;

    json_array_foreach (peers, i, peer) {
        json_int_t loss = worse_loss(json_object_get(peer, "probe"));

        if (strcmp(text_of(peer, "status"), "up") != 0 || loss < API_PROBE_LOSS_PERCENT ||
            loss == 100)
            continue;
        if (named++ == SILENT_NAMES_MAX) {
            strbuf_adds(out, ", ...");
            return;
        }
        strbuf_addf(out, "%s%s %lld %%", named == 1 ? "; lost of the latest probes: " : ", ",
                    text_of(peer, "hostname"), (long long)loss);
    }
}

static void add_peers_row(struct table *table, const json_t *agent, const json_t *ping)
{
    AUTO_STRBUF struct strbuf details = {0};
    size_t total, up, done;

    count_peers(agent, &total, &up, &done);
    strbuf_addf(&details, "%zu known, %zu up, %zu programmed", total, up, done);
    if (text_of(ping, "error")[0])
        strbuf_addf(&details, ", not pinged (%s)", text_of(ping, "error"));
    else if (!is_dry(agent))
        strbuf_addf(&details, ", %lld answer",
                    (long long)(int_of(ping, "asked") - int_of(ping, "silent")));
    add_down(&details, agent);
    add_losing(&details, agent);
    add_row(table, "peers", (done == up && int_of(ping, "silent") == 0) || is_dry(agent),
            mem_strdup(details.data));
}

/* "1 endpoint", "2 endpoints" */
static char *counted(const json_t *object, const char *key, const char *one, const char *many)
{
    json_int_t count = json_integer_value(json_object_get(object, key));

    return mem_printf("%lld %s", (long long)count, count == 1 ? one : many);
}

static void add_runtime_row(struct table *table, const json_t *runtime)
{
    const char *subnet = text_of(runtime, "subnet");
    AUTO_FREE char *endpoints = counted(runtime, "endpoints", "endpoint", "endpoints");
    AUTO_FREE char *addresses = counted(runtime, "addresses_free", "address", "addresses");
    AUTO_FREE char *routes = counted(runtime, "routes", "route", "routes");

    if (!json_is_object(runtime)) {
        add_row(table, "runtime", false, mem_strdup("does not answer"));
        return;
    }
    add_row(table, "runtime", json_array_size(json_object_get(runtime, "problems")) == 0,
            mem_printf("version %s, subnet %s, %s, %s free, %s", text_of(runtime, "version"),
                       subnet[0] ? subnet : "not configured", endpoints, addresses, routes));
}

/* No problem of the node's: others tried. */
static void add_firewall_row(struct table *table, const json_t *dropped)
{
    AUTO_STRBUF struct strbuf details = {0};
    const char *reason;
    json_t *packets;

    if (json_object_size(dropped) == 0)
        return;
    json_object_foreach ((json_t *)dropped, reason, packets)
        strbuf_addf(&details, "%s%s %lld", details.len > 0 ? ", " : "dropped: ", reason,
                    (long long)json_integer_value(packets));
    add_row(table, "firewall", true, mem_strdup(details.data));
}

/* Runtimes of earlier versions say nothing of it. */
static void add_short_cut_row(struct table *table, const json_t *runtime)
{
    const json_t *has = json_object_get(runtime, "short_cut");

    if (json_is_boolean(has))
        add_row(table, "short cut", true,
                json_is_true(has) ? mem_strdup("on")
                                  : mem_printf("off (%s)", text_of(runtime, "short_cut_reason")));
}

/* How old what the agent knows is, while it cannot ask; owned by the caller. */
static char *staleness(const json_t *of_agent)
{
    const json_t *last_contact = json_object_get(of_agent, "last_contact_s");

    if (text_of(of_agent, "error")[0] == '\0' || !json_is_integer(last_contact))
        return mem_strdup("");
    return mem_printf(", the list of nodes has been stale for %lld s",
                      (long long)json_integer_value(last_contact));
}

/* It answers quiltctl, and it is well in the agent's eyes. */
static void add_control_row(struct table *table, const json_t *control, const json_t *of_agent)
{
    const json_t *answers = json_object_get(control, "answers");
    bool has_trouble = text_of(of_agent, "error")[0] != '\0';
    bool is_ill = text_of(control, "error")[0] != '\0';
    bool is_well = !is_ill && !has_trouble;
    const char *words = json_is_false(answers)  ? " does not answer"
                        : is_ill                ? " answers that it is not well"
                        : has_trouble           ? ", the agent has trouble"
                        : json_is_null(answers) ? ", not asked (needs root)"
                                                : "";
    AUTO_FREE char *stale = staleness(of_agent);

    if (text_of(control, "url")[0] == '\0') {
        add_row_in(table, "control plane", "unknown",
                   mem_strdup("the agent knows where it is; --control-plane URL names it"));
        return;
    }
    add_row(table, "control plane", is_well,
            mem_printf("%s%s%s", text_of(control, "url"), words, stale));
}

static void add_cert_row(struct table *table, const json_t *cert)
{
    json_int_t left_s = int_of(cert, "expires_in_s");
    bool is_well = text_of(cert, "problem")[0] == '\0';
    const char *shows = text_of(cert, "agent_shows");
    bool is_shown = shows[0] == '\0' || strcmp(shows, "the certificate") == 0;
    char span[AGE_TEXT_SIZE];

    if (!json_is_object(cert))
        return;
    (void)span_format(left_s < 0 ? -left_s : left_s, span);
    add_row(table, "certificate", is_well,
            mem_printf("%s%s%s%s%s", left_s < 0 ? "expired " : "good for ", span,
                       left_s < 0 ? " ago" : "", is_shown ? "" : ", the agent shows ",
                       is_shown ? "" : shows));
}

static void add_rows(struct table *table, const json_t *report)
{
    const json_t *agent = json_object_get(report, "agent");
    const json_t *control = json_object_get(report, "control_plane");

    if (json_is_object(agent))
        add_node_row(table, agent);
    add_control_row(table, control, json_object_get(agent, "control_plane"));
    add_cert_row(table, json_object_get(report, "certificate"));
    if (json_is_object(agent))
        add_row(table, "agent", true, mem_printf("version %s", text_of(agent, "version")));
    else
        add_row(table, "agent", false, mem_strdup("does not answer"));
    add_runtime_row(table, json_object_get(report, "runtime"));
    add_firewall_row(table, json_object_get(json_object_get(report, "runtime"), "dropped"));
    add_short_cut_row(table, json_object_get(report, "runtime"));
    if (json_is_object(agent)) {
        add_device_row(table, agent);
        add_dataplane_row(table, agent);
        add_peers_row(table, agent, json_object_get(report, "overlay_ping"));
    }
}

void report_print(const json_t *report, struct strbuf *out)
{
    static const char *const headers[] = {"PART", "STATE", "DETAILS", NULL};
    const json_t *problems = json_object_get(report, "problems"), *p;
    CLEANUP(table_deinit) struct table table;
    size_t i;

    table_init(&table, headers);
    add_rows(&table, report);
    table_print(&table, out);
    strbuf_adds(out, report_is_healthy(report) ? "\nThis node is healthy.\n" : "\nProblems:\n");
    json_array_foreach (problems, i, p) {
        strbuf_adds(out, "  - ");
        strbuf_add_printable(out, json_string_value(p));
        strbuf_adds(out, "\n");
    }
}
