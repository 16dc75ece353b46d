/* The three daemons, as they and their absence tell. */
#include <inttypes.h>
#include <string.h>

#include "cli/doctor/checks.h"
#include "cli/output.h"

#define SKEW_MAX_S 5
#define CERT_LATE_PERCENT 80
#define ADDRESSES_LOW_PERCENT 10
#define SUBNETS_LOW_PERCENT 10

static void check_agent(const struct facts *f, struct findings *findings)
{
    if (f->agent)
        return;
    findings_add(
        findings,
        (struct finding){.cause = "agent-away",
                         .severity = SEVERITY_ERROR,
                         .what = mem_strdup("this node's agent does not answer: after the node "
                                            "timeout the peers take their routes to it away"),
                         .shows = mem_strdup(f->agent_error),
                         .mend = mem_strdup("systemctl restart quilt-mesh-agent; "
                                            "journalctl -u quilt-mesh-agent")});
}

static void check_runtime(const struct facts *f, struct findings *findings)
{
    if (f->runtime || !f->runtime_error)
        return;
    findings_add(findings, (struct finding){.cause = "runtime-away",
                                            .severity = SEVERITY_ERROR,
                                            .what = mem_strdup(
                                                "this node's runtime does not answer: no container "
                                                "can be attached, nothing is repaired"),
                                            .shows = mem_strdup(f->runtime_error),
                                            .mend = mem_strdup("systemctl restart quilt-runtime; "
                                                               "journalctl -u quilt-runtime")});
}

static void check_joined(const struct facts *f, struct findings *findings)
{
    if (!f->agent || facts_text(f->agent, "node_id")[0] != '\0' || findings_have_error(findings))
        return;
    findings_add(findings,
                 (struct finding){.cause = "not-joined",
                                  .severity = SEVERITY_ERROR,
                                  .what = mem_strdup("this node has not joined the mesh"),
                                  .shows = mem_strdup("the agent has no node id"),
                                  .mend = mem_strdup("look at the agent's log: journalctl -u "
                                                     "quilt-mesh-agent")});
}

static void check_clock(const struct facts *f, struct findings *findings)
{
    const json_t *control = json_object_get(f->agent, "control_plane");
    int64_t skew_s;

    if (json_get_int(control, "clock_skew_s", INT64_MIN, INT64_MAX, &skew_s) < 0 ||
        (skew_s <= SKEW_MAX_S && skew_s >= -SKEW_MAX_S))
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "clock-skew",
            .severity = SEVERITY_WARNING,
            .what = mem_strdup("the clocks of this host and of the control plane differ: "
                               "certificates begin and end at the wrong time"),
            .shows = mem_printf("the control plane's clock is %" PRId64 " s %s this one",
                                skew_s < 0 ? -skew_s : skew_s, skew_s < 0 ? "behind" : "ahead of"),
            .mend = mem_strdup("on the host that is wrong: timedatectl set-ntp true")});
}

static void check_cert(const struct facts *f, struct findings *findings)
{
    const struct report_cert *cert = f->cert;
    char span[AGE_TEXT_SIZE];
    int64_t left_s;

    if (!cert)
        return;
    left_s = cert->not_after - f->now_s;
    if (f->now_s >= cert->not_before &&
        f->now_s - cert->not_before <=
            (cert->not_after - cert->not_before) / 100 * CERT_LATE_PERCENT)
        return;
    if (f->now_s < cert->not_before)
        left_s = 0;
    findings_add(
        findings,
        (struct finding){
            .cause = "certificate",
            .severity = left_s > 0 ? SEVERITY_WARNING : SEVERITY_ERROR,
            .what = mem_strdup("this node's certificate is not as good as it should be by "
                               "now: agents renew theirs when 70 % of its life are over"),
            .shows =
                f->now_s < cert->not_before
                    ? mem_printf("it begins in %s", span_format(cert->not_before - f->now_s, span))
                : left_s > 0 ? mem_printf("it ends in %s", span_format(left_s, span))
                             : mem_printf("it ended %s ago", span_format(-left_s, span)),
            .mend = mem_strdup("check both clocks (timedatectl) and the agent's log: "
                               "journalctl -u quilt-mesh-agent")});
}

static void check_addresses(const struct facts *f, struct findings *findings)
{
    int64_t endpoints, left;

    if (json_get_int(f->runtime, "endpoints", 0, INT32_MAX, &endpoints) < 0 ||
        json_get_int(f->runtime, "addresses_free", 0, INT32_MAX, &left) < 0 ||
        facts_text(f->runtime, "subnet")[0] == '\0' ||
        left * 100 > (left + endpoints) * ADDRESSES_LOW_PERCENT)
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "addresses-low",
            .severity = left > 0 ? SEVERITY_WARNING : SEVERITY_ERROR,
            .what = mem_printf("the addresses of this node's subnet %s are near their end",
                               facts_text(f->runtime, "subnet")),
            .shows = mem_printf("%" PRId64 " of %" PRId64 " are free", left, left + endpoints),
            .mend = mem_strdup("quiltctl endpoint ls, and detach what is gone (quiltctl "
                               "endpoint detach ID); or run containers on another node")});
}

/* One that was removed and joined again. Its runtime follows once nobody has an address of the old
 * one; each that is attached before that takes another such. */
static void check_subnet(const struct facts *f, struct findings *findings)
{
    const char *wanted = facts_text(f->agent, "subnet"), *had = facts_text(f->runtime, "subnet");
    int64_t endpoints;

    if (json_get_int(f->runtime, "endpoints", 1, INT32_MAX, &endpoints) < 0 || !wanted[0] ||
        !had[0] || strcmp(wanted, had) == 0)
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "subnet-changed",
            .severity = SEVERITY_ERROR,
            .what = mem_strdup("this node has another subnet by now, and its containers have "
                               "addresses of the one before, to which nobody has a route"),
            .shows = mem_printf("the node's subnet is %s, the runtime's is %s, with %" PRId64
                                " endpoint%s",
                                wanted, had, endpoints, endpoints == 1 ? "" : "s"),
            .mend = mem_printf("detach all of them before you attach one again (quiltctl endpoint "
                               "ls; quiltctl endpoint detach ID), and wait until quiltctl status "
                               "shows the runtime with %s",
                               wanted)});
}

/* Each node has a subnet, also one that is down; the first and the last are nobody's. What an
 * operator has reserved, or waits to be given again, is not seen from here. */
static void check_subnets(const struct facts *f, struct findings *findings)
{
    int64_t nodes = 1 + (int64_t)json_array_size(json_object_get(f->agent, "peers")), all, left;
    struct ip4_prefix own, cluster = facts_cluster(f);

    if (ip4_prefix_parse(facts_text(f->agent, "subnet"), &own) < 0 || own.len <= cluster.len)
        return;
    all = (INT64_C(1) << (own.len - cluster.len)) - 2;
    left = all - nodes;
    if (left * 100 > all * SUBNETS_LOW_PERCENT)
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "subnets-low",
            .severity = left > 0 ? SEVERITY_WARNING : SEVERITY_ERROR,
            .what = mem_strdup("the cluster's network is near its end: each node takes a subnet "
                               "of it, and soon none can join"),
            .shows = mem_printf("%" PRId64 " of %" PRId64 " subnets belong to nodes", nodes, all),
            .mend = mem_strdup("quiltctl node ls, and forget those that will not come back: "
                               "quiltctl node rm NODE")});
}

void check_daemons(const struct facts *facts, struct findings *findings)
{
    check_agent(facts, findings);
    check_runtime(facts, findings);
    check_control(facts, findings);
    check_joined(facts, findings);
    check_clock(facts, findings);
    check_cert(facts, findings);
    check_subnet(facts, findings);
    check_addresses(facts, findings);
    check_subnets(facts, findings);
}
