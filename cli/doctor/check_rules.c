/* Other programs' routing rules that lead packets of the mesh astray. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "cli/doctor/checks.h"
#include "lib/base/strbuf.h"

/* ---- which rule it was --------------------------------------------------------------------- */

static bool is_by_device(const struct facts *f, const struct rule_entry *rule, int ifindex)
{
    const struct link_info *link = facts_link(f, ifindex);

    return rule->in_device[0] == '\0' || strcmp(rule->in_device, ifindex == 0 ? "lo"
                                                                 : link       ? link->name
                                                                              : "") == 0;
}

static bool is_to_port(const struct rule_entry *rule, uint16_t port)
{
    return rule->port_first == 0 || (port >= rule->port_first && port <= rule->port_last);
}

/* As the kernel does it (net/core/fib_rules.c, net/ipv4/fib_rules.c). Our packets have no mark. */
static bool fits(const struct facts *f, const struct rule_entry *rule,
                 const struct rule_question *asked)
{
    bool fits = ip4_prefix_contains(rule->to, asked->to) &&
                ip4_prefix_contains(rule->from, asked->from) && rule->out_device[0] == '\0' &&
                is_by_device(f, rule, asked->in_ifindex) && (rule->mark & rule->mark_mask) == 0 &&
                (rule->protocol == 0 || rule->protocol == asked->protocol) &&
                is_to_port(rule, asked->port);

    return !rule->is_special && fits != rule->is_inverted;
}

static int error_of(const struct rule_entry *rule)
{
    switch (rule->action) {
    case FR_ACT_BLACKHOLE:
        return -EINVAL;
    case FR_ACT_PROHIBIT:
        return -EACCES;
    case FR_ACT_UNREACHABLE:
        return -ENETUNREACH;
    default:
        return 0;
    }
}

static bool is_of_all_hosts(uint32_t table)
{
    return table == RT_TABLE_LOCAL || table == RT_TABLE_MAIN || table == RT_TABLE_DEFAULT;
}

/* That there is no route is no rule's fault; that a route says no may be its table's. Of what comes
 * by a device the kernel says the same for other reasons, too. */
static bool is_said_by_route(const struct stray *stray)
{
    int error = stray->answer.error;

    return stray->asked.in_ifindex == 0 &&
           (error == -EINVAL || error == -EACCES || error == -EHOSTUNREACH);
}

/* NULL: none, so routes have to explain it. */
static const struct rule_entry *find_blamed(const struct facts *f, const struct stray *stray)
{
    const struct rule_entry *suspect = NULL;
    uint32_t from_priority = 0;

    for (size_t i = 0; i < f->rule_count; i++) {
        const struct rule_entry *rule = &f->rules[i];

        if (rule->priority < from_priority || !fits(f, rule, &stray->asked))
            continue;
        if (rule->action == FR_ACT_GOTO)
            from_priority = rule->goes_to;
        else if (error_of(rule) != 0)
            return error_of(rule) == stray->answer.error ? rule : suspect;
        else if (rule->action != FR_ACT_TO_TBL)
            continue;
        else if (stray->answer.error == 0 && rule->table == stray->answer.table)
            return is_of_all_hosts(rule->table) ? NULL : rule;
        else if (is_said_by_route(stray) && !is_of_all_hosts(rule->table) && !suspect)
            suspect = rule;
    }
    return suspect;
}

bool rules_explain(const struct facts *facts, const struct path *path)
{
    for (size_t i = 0; i < facts->stray_count; i++) {
        const struct stray *stray = &facts->strays[i];

        if (stray->asked.to == (stray->is_underlay ? path->host_ip : path->vtep) &&
            find_blamed(facts, stray))
            return true;
    }
    return false;
}

/* ---- in words ------------------------------------------------------------------------------ */

static const char *action_of(const struct rule_entry *rule)
{
    return rule->action == FR_ACT_BLACKHOLE  ? "blackhole"
           : rule->action == FR_ACT_PROHIBIT ? "prohibit"
                                             : "unreachable";
}

/* As ip(8) takes it. */
static char *rule_text(const struct rule_entry *rule)
{
    struct strbuf text = {0};
    char prefix[IP4_PREFIX_TEXT_SIZE];

    strbuf_addf(&text, "pref %u%s from %s", rule->priority, rule->is_inverted ? " not" : "",
                rule->from.len ? ip4_prefix_format(rule->from, prefix) : "all");
    if (rule->to.len)
        strbuf_addf(&text, " to %s", ip4_prefix_format(rule->to, prefix));
    if (rule->mark || rule->mark_mask)
        strbuf_addf(&text, " fwmark 0x%x/0x%x", rule->mark, rule->mark_mask);
    if (rule->in_device[0])
        strbuf_addf(&text, " iif %s", rule->in_device);
    if (rule->out_device[0])
        strbuf_addf(&text, " oif %s", rule->out_device);
    if (rule->protocol)
        strbuf_addf(&text, " ipproto %u", rule->protocol);
    if (rule->port_first)
        strbuf_addf(&text, " dport %u-%u", rule->port_first, rule->port_last);
    if (rule->action == FR_ACT_TO_TBL)
        strbuf_addf(&text, " lookup %u", rule->table);
    else
        strbuf_addf(&text, " %s", action_of(rule));
    return strbuf_take(&text);
}

static char *shows_text(const struct facts *f, const struct stray *stray, const char *rule)
{
    const struct link_info *link = facts_link(f, stray->answer.ifindex);
    char from[IP4_TEXT_SIZE], to[IP4_TEXT_SIZE];

    ip4_format(stray->asked.to, to);
    return mem_printf(
        "ip rule: %s; a packet %s%s%sto %s %s%s", rule, stray->asked.from ? "from " : "",
        stray->asked.from ? ip4_format(stray->asked.from, from) : "", stray->asked.from ? " " : "",
        to, stray->answer.error ? "has no way" : "leaves by ",
        stray->answer.error ? ""
        : link              ? link->name
                            : "another device");
}

/* Before it, for the mesh alone, when there is a place before it. */
static char *mend_text(const struct facts *f, const struct stray *stray,
                       const struct rule_entry *blamed, const char *rule)
{
    struct ip4_prefix to =
        stray->is_underlay ? (struct ip4_prefix){stray->asked.to, 32} : facts_cluster(f);
    char text[IP4_PREFIX_TEXT_SIZE];

    if (blamed->priority == 0)
        return mem_printf("ip rule del %s", rule);
    return mem_printf("if nothing needs it: ip rule del %s; otherwise let the mesh pass before it: "
                      "ip rule add pref %u to %s lookup main",
                      rule, blamed->priority - 1, ip4_prefix_format(to, text));
}

static void add_rule(const struct facts *f, const struct stray *stray,
                     const struct rule_entry *blamed, struct findings *findings)
{
    AUTO_FREE char *rule = rule_text(blamed);
    AUTO_FREE char *does = blamed->action == FR_ACT_TO_TBL
                               ? mem_printf("sends to the table %u", blamed->table)
                               : mem_strdup("swallows");

    findings_add(
        findings,
        (struct finding){
            .cause = "foreign-rule",
            .severity = SEVERITY_ERROR,
            .what =
                stray->is_underlay
                    ? mem_printf("a routing rule of the host %s what goes to a peer's host, "
                                 "VXLAN and all",
                                 does)
                    : mem_printf("a routing rule of the host %s packets of the mesh (not those "
                                 "that take the eBPF path or the short cut, which ask no rules)",
                                 does),
            .shows = shows_text(f, stray, rule),
            .mend = mend_text(f, stray, blamed, rule)});
}

/* Each rule once for what is inside the mesh and once for what is below. */
void check_rules(const struct facts *facts, struct findings *findings)
{
    AUTO_FREE bool *is_told = mem_zalloc(2 * facts->rule_count + 1);

    for (size_t i = 0; i < facts->stray_count; i++) {
        const struct stray *stray = &facts->strays[i];
        const struct rule_entry *blamed = find_blamed(facts, stray);
        size_t at = blamed ? 2 * (size_t)(blamed - facts->rules) + stray->is_underlay : 0;

        if (!blamed || is_told[at])
            continue;
        is_told[at] = true;
        add_rule(facts, stray, blamed, findings);
    }
}
