/* Is this node healthy? Judged in words. */
#include "cli/report.h"

#include <string.h>

#include "cli/output.h"
#include "cli/report_internal.h"
#include "lib/base/ip4.h"
#include "lib/base/mem.h"

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

const char *report_text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

void report_count_peers(const json_t *agent, size_t *ret_total, size_t *ret_up, size_t *ret_done)
{
    const json_t *peers = json_object_get(agent, "peers"), *peer;
    size_t i;

    *ret_total = *ret_up = *ret_done = 0;
    json_array_foreach (peers, i, peer) {
        bool is_up = strcmp(report_text(peer, "status"), "up") == 0;

        *ret_total += 1;
        *ret_up += is_up;
        *ret_done += is_up && json_is_true(json_object_get(peer, "programmed"));
    }
}

bool report_is_dry(const json_t *agent)
{
    return strcmp(report_text(agent, "dataplane"), "none") == 0;
}

/* A device that is not up, unless the agent has said why. */
static void add_device_down(json_t *problems, const json_t *agent)
{
    const json_t *device = json_object_get(agent, "device");
    AUTO_FREE char *text = NULL;

    if (report_is_dry(agent) || !json_is_false(json_object_get(device, "up")) ||
        json_array_size(json_object_get(agent, "problems")) > 0)
        return;
    text =
        mem_printf("the overlay device %s is not up yet; if it stays so, look at the agent's log",
                   report_text(device, "name"));
    add_problem(problems, text);
}

/* Peers that are up but cannot be reached from here, unless the agent has said so itself. */
static void add_unprogrammed(json_t *problems, const json_t *agent)
{
    size_t total, up, done;
    AUTO_FREE char *text = NULL;

    report_count_peers(agent, &total, &up, &done);
    if (report_is_dry(agent) || done == up ||
        json_array_size(json_object_get(agent, "problems")) > 0)
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

    if (strcmp(report_text(peer, "status"), "up") != 0 ||
        !json_is_true(json_object_get(peer, "programmed")) ||
        ip4_prefix_parse(report_text(peer, "subnet"), &subnet) < 0)
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

        if (!report_is_dry(agent) && should_answer(peer, &vtep))
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
            strbuf_addf(out, "%s (%s)", report_text(peer, "hostname"),
                        report_text(peer, "host_ip"));
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

    for (size_t i = 0; i < in->target_count && named < REPORT_NAMES_MAX; i++) {
        if (in->targets[i].has_answered)
            continue;
        strbuf_adds(&names, named++ > 0 ? ", " : "");
        add_peer_name(&names, in->agent, in->targets[i].addr);
    }
    if (silent == 0)
        return;
    text =
        mem_printf("%s%s over the overlay: quiltctl doctor, as root, tries more than a few pings "
                   "and names the cause; a host that has just vanished, packets that get lost, "
                   "or a firewall that drops UDP 4789 or pings, say",
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
                     in->is_unasked_for_fault ? in->control_unasked : in->control_error);
}

json_t *report_make(const struct report_input *in)
{
    json_t *problems = json_array(), *cert = cert_to_json(in);

    add_problem(problems, in->agent_error);
    add_problem(problems, in->is_runtime_unasked ? NULL : in->runtime_error);
    add_problem(problems, in->control_error);
    if (in->is_unasked_for_fault)
        add_problem(problems, in->control_unasked);
    if (in->agent && report_text(in->agent, "node_id")[0] == '\0')
        add_problem(problems, "this node has not joined the mesh yet");
    add_problem(problems, in->cert_error);
    add_problem(problems, report_text(cert, "problem"));
    add_told(problems, in->agent);
    add_told(problems, in->runtime);
    if (in->agent) {
        add_device_down(problems, in->agent);
        add_unprogrammed(problems, in->agent);
        add_silent(problems, in);
    }
    return json_pack(
        "{s:b, s:o, s:o, s:o, s:O?, s:O?, s:s?, s:o}", "healthy", json_array_size(problems) == 0,
        "problems", problems, "control_plane", control_to_json(in), "certificate", cert, "agent",
        in->agent, "runtime", in->runtime, "runtime_unasked",
        in->is_runtime_unasked ? in->runtime_error : NULL, "overlay_ping", ping_to_json(in));
}

bool report_is_healthy(const json_t *report)
{
    return json_is_true(json_object_get(report, "healthy"));
}
