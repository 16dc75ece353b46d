/* The report as a table for people. */
#include <string.h>

#include "cli/output.h"
#include "cli/report_internal.h"
#include "lib/api/probe.h"
#include "lib/base/mem.h"

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
    bool has_joined = report_text(agent, "node_id")[0] != '\0';
    const json_t *control = json_object_get(agent, "control_plane");
    bool is_barred = json_is_true(json_object_get(control, "barred"));

    if (!has_joined) {
        add_row(table, "node", false, mem_strdup("has not joined yet"));
        return;
    }
    add_row(table, "node", !is_barred,
            mem_printf("%s%s, %s, subnet %s, id %s", is_barred ? "removed or revoked: " : "",
                       report_text(agent, "hostname"), report_text(agent, "host_ip"),
                       report_text(agent, "subnet"), report_text(agent, "node_id")));
}

static void add_device_row(struct table *table, const json_t *agent)
{
    const json_t *device = json_object_get(agent, "device");
    const char *problem = report_text(device, "problem");
    bool is_up = json_is_true(json_object_get(device, "up"));

    if (report_is_dry(agent))
        add_row(table, "device", true, mem_strdup("left alone (dataplane none)"));
    else if (problem[0] != '\0' || !is_up)
        add_row(table, "device", false, mem_strdup(problem[0] ? problem : "is not up"));
    else
        add_row(table, "device", true,
                mem_printf("%s, mtu %lld", report_text(device, "name"),
                           (long long)json_integer_value(json_object_get(device, "mtu"))));
}

/* Agents of earlier versions say nothing of it. */
static void add_dataplane_row(struct table *table, const json_t *agent)
{
    const char *name = report_text(agent, "dataplane"),
               *reason = report_text(agent, "dataplane_reason");

    if (name[0] != '\0' && !report_is_dry(agent))
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
        if (strcmp(report_text(peer, "status"), "down") != 0)
            continue;
        if (named++ == REPORT_NAMES_MAX) {
            strbuf_adds(out, ", ...");
            return;
        }
        strbuf_addf(out, "%s%s", named == 1 ? "; down: " : ", ", report_text(peer, "hostname"));
    }
}

/* Of what answers at all: pings may be filtered on one of the two. */
static json_int_t worse_loss(const json_t *probe)
{
    json_int_t underlay = int_of(probe, "underlay_loss"), overlay = int_of(probe, "overlay_loss");

    if (underlay == 100)
        return overlay == 100 ? 0 : overlay;
    return overlay == 100 || underlay > overlay ? underlay : overlay;
}

/* No problem of now: it may be over, and is seen for a minute after. Who answers nothing is told of
 * elsewhere. */
static void add_losing(struct strbuf *out, const json_t *agent)
{
    const json_t *peers = json_object_get(agent, "peers"), *peer;
    size_t i, named = 0;

    json_array_foreach (peers, i, peer) {
        json_int_t loss = worse_loss(json_object_get(peer, "probe"));

        if (strcmp(report_text(peer, "status"), "up") != 0 || loss < API_PROBE_LOSS_PERCENT)
            continue;
        if (named++ == REPORT_NAMES_MAX) {
            strbuf_adds(out, ", ...");
            return;
        }
        strbuf_addf(out, "%s%s %lld %%", named == 1 ? "; lost of the latest probes: " : ", ",
                    report_text(peer, "hostname"), (long long)loss);
    }
}

static void add_peers_row(struct table *table, const json_t *agent, const json_t *ping)
{
    AUTO_STRBUF struct strbuf details = {0};
    size_t total, up, done;

    report_count_peers(agent, &total, &up, &done);
    strbuf_addf(&details, "%zu known, %zu up, %zu programmed", total, up, done);
    if (report_text(ping, "error")[0])
        strbuf_addf(&details, ", not pinged (%s)", report_text(ping, "error"));
    else if (!report_is_dry(agent))
        strbuf_addf(&details, ", %lld answer",
                    (long long)(int_of(ping, "asked") - int_of(ping, "silent")));
    add_down(&details, agent);
    add_losing(&details, agent);
    add_row(table, "peers", (done == up && int_of(ping, "silent") == 0) || report_is_dry(agent),
            mem_strdup(details.data));
}

/* "1 endpoint", "2 endpoints" */
static char *counted(const json_t *object, const char *key, const char *one, const char *many)
{
    json_int_t count = json_integer_value(json_object_get(object, key));

    return mem_printf("%lld %s", (long long)count, count == 1 ? one : many);
}

static void add_runtime_row(struct table *table, const json_t *runtime, bool is_unasked)
{
    const char *subnet = report_text(runtime, "subnet");
    AUTO_FREE char *endpoints = counted(runtime, "endpoints", "endpoint", "endpoints");
    AUTO_FREE char *addresses = counted(runtime, "addresses_free", "address", "addresses");
    AUTO_FREE char *routes = counted(runtime, "routes", "route", "routes");

    if (is_unasked) {
        add_row_in(table, "runtime", "unknown", mem_strdup("not asked (needs root)"));
        return;
    }
    if (!json_is_object(runtime)) {
        add_row(table, "runtime", false, mem_strdup("does not answer"));
        return;
    }
    add_row(table, "runtime", json_array_size(json_object_get(runtime, "problems")) == 0,
            mem_printf("version %s, subnet %s, %s, %s free, %s", report_text(runtime, "version"),
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
                json_is_true(has)
                    ? mem_strdup("on")
                    : mem_printf("off (%s)", report_text(runtime, "short_cut_reason")));
}

/* How old what the agent knows is, while it cannot ask; owned by the caller. */
static char *staleness(const json_t *of_agent)
{
    const json_t *last_contact = json_object_get(of_agent, "last_contact_s");

    if (report_text(of_agent, "error")[0] == '\0' || !json_is_integer(last_contact))
        return mem_strdup("");
    return mem_printf(", the list of nodes has been stale for %lld s",
                      (long long)json_integer_value(last_contact));
}

/* It answers quiltctl, and it is well in the agent's eyes. */
static void add_control_row(struct table *table, const json_t *control, const json_t *of_agent)
{
    const json_t *answers = json_object_get(control, "answers");
    bool has_trouble = report_text(of_agent, "error")[0] != '\0';
    bool has_error = report_text(control, "error")[0] != '\0';
    bool is_well = !has_error && !has_trouble, is_unasked = json_is_null(answers);
    const char *words = json_is_false(answers)    ? " does not answer"
                        : has_error && is_unasked ? ", not asked: what it would be shown is no good"
                        : has_error               ? " answers that it is not well"
                        : has_trouble             ? ", the agent has trouble"
                        : is_unasked              ? ", not asked (needs root)"
                                                  : "";
    AUTO_FREE char *stale = staleness(of_agent);

    if (report_text(control, "url")[0] == '\0') {
        add_row_in(table, "control plane", "unknown",
                   mem_strdup("the agent knows where it is; --control-plane URL names it"));
        return;
    }
    add_row(table, "control plane", is_well,
            mem_printf("%s%s%s", report_text(control, "url"), words, stale));
}

static void add_cert_row(struct table *table, const json_t *cert)
{
    json_int_t left_s = int_of(cert, "expires_in_s");
    bool is_well = report_text(cert, "problem")[0] == '\0';
    const char *shows = report_text(cert, "agent_shows");
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
        add_row(table, "agent", true, mem_printf("version %s", report_text(agent, "version")));
    else
        add_row(table, "agent", false, mem_strdup("does not answer"));
    add_runtime_row(table, json_object_get(report, "runtime"),
                    json_is_string(json_object_get(report, "runtime_unasked")));
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
