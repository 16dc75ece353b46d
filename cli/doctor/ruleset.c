/* Reads nftables' JSON; man 5 libnftables-json. */
#include "cli/doctor/ruleset.h"

#include <netinet/in.h>
#include <string.h>

#include "cli/doctor/facts.h"
#include "lib/api/mesh.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static bool is_text(const json_t *object, const char *key, const char *text)
{
    return strcmp(text_of(object, key), text) == 0;
}

/* The statement of this name in a rule. */
static bool does(const json_t *rule, const char *verdict)
{
    const json_t *expr = json_object_get(rule, "expr"), *e;
    size_t i;

    json_array_foreach (expr, i, e)
        if (json_object_get(e, verdict))
            return true;
    return false;
}

static bool has_condition(const json_t *rule)
{
    return does(rule, "match") || does(rule, "xt") || does(rule, "vmap");
}

static bool is_in_table(const json_t *object, const json_t *chain)
{
    return is_text(object, "family", text_of(chain, "family")) &&
           is_text(object, "table", text_of(chain, "table"));
}

/* ---- whom a rule speaks of ------------------------------------------------------------------- */

static bool names_our_device(const char *name)
{
    return facts_is_our_name(name) || strcmp(name, "vxlan*") == 0;
}

static bool covers_cluster(const json_t *value, struct ip4_prefix cluster)
{
    const json_t *prefix = json_object_get(value, "prefix");
    struct ip4_prefix p = {0};
    int64_t len;

    if (!prefix || ip4_parse(text_of(prefix, "addr"), &p.addr) < 0 ||
        json_get_int(prefix, "len", 0, 32, &len) < 0)
        return false;
    p.len = (uint8_t)len;
    return ip4_prefix_covers(p, cluster);
}

/* A value, or one of a set of them. */
static bool speaks_of_cluster(const json_t *value, struct ip4_prefix cluster)
{
    const json_t *set = json_object_get(value, "set"), *item;
    size_t i;

    if (json_is_string(value))
        return names_our_device(json_string_value(value));
    json_array_foreach (set, i, item)
        if (json_is_string(item) ? names_our_device(json_string_value(item))
                                 : covers_cluster(item, cluster))
            return true;
    return covers_cluster(value, cluster);
}

static bool speaks_of_port(const json_t *value, uint16_t port)
{
    const json_t *set = json_object_get(value, "set"), *range, *item;
    size_t i;

    if (json_is_integer(value))
        return json_integer_value(value) == port;
    json_array_foreach (set, i, item)
        if (speaks_of_port(item, port))
            return true;
    range = json_object_get(value, "range");
    return json_array_size(range) == 2 && json_integer_value(json_array_get(range, 0)) <= port &&
           json_integer_value(json_array_get(range, 1)) >= port;
}

static bool is_equality(const json_t *match)
{
    return is_text(match, "op", "==") || is_text(match, "op", "in");
}

static bool matches_cluster(const json_t *rule, struct ip4_prefix cluster)
{
    const json_t *expr = json_object_get(rule, "expr"), *e;
    size_t i;

    json_array_foreach (expr, i, e) {
        const json_t *match = json_object_get(e, "match");

        if (match && is_equality(match) &&
            speaks_of_cluster(json_object_get(match, "right"), cluster))
            return true;
    }
    return false;
}

static bool matches_port(const json_t *rule, uint16_t port)
{
    const json_t *expr = json_object_get(rule, "expr"), *e;
    size_t i;

    json_array_foreach (expr, i, e) {
        const json_t *match = json_object_get(e, "match");
        const json_t *payload = json_object_get(json_object_get(match, "left"), "payload");

        if (payload && is_equality(match) && is_text(payload, "field", "dport") &&
            !is_text(payload, "protocol", "tcp") &&
            speaks_of_port(json_object_get(match, "right"), port))
            return true;
    }
    return false;
}

/* ---- chains ---------------------------------------------------------------------------------- */

/* Nothing but the verdict, and what counts or tells: no condition, no limit. */
static bool is_plain(const json_t *rule)
{
    static const char *const harmless[] = {"counter", "log", "accept", "drop", "reject"};
    const json_t *expr = json_object_get(rule, "expr"), *e;
    size_t i;

    json_array_foreach (expr, i, e) {
        bool is_harmless = false;

        for (size_t k = 0; k < ARRAY_LEN(harmless); k++)
            is_harmless |= json_object_get(e, harmless[k]) != NULL;
        if (!is_harmless)
            return false;
    }
    return true;
}

static bool drops(const json_t *rule)
{
    return does(rule, "drop") || does(rule, "reject");
}

static bool has_plain_rule(const json_t *ruleset, const json_t *chain, bool is_drop)
{
    const json_t *item;
    size_t i;

    json_array_foreach (ruleset, i, item) {
        const json_t *rule = json_object_get(item, "rule");

        if (rule && is_in_table(rule, chain) && is_text(rule, "chain", text_of(chain, "name")) &&
            is_plain(rule) && (is_drop ? drops(rule) : does(rule, "accept")))
            return true;
    }
    return false;
}

static bool drops_the_rest(const json_t *ruleset, const json_t *chain, const char *hook,
                           enum ruleset_how *ret_how)
{
    bool is_policy = is_text(chain, "policy", "drop");

    if (!chain || !is_text(chain, "hook", hook) || is_text(chain, "family", "ip6") ||
        (!is_policy && !has_plain_rule(ruleset, chain, true)))
        return false;
    *ret_how = is_policy ? RULESET_BY_POLICY : RULESET_BY_LAST_RULE;
    return true;
}

static struct ruleset_place place_of(const json_t *ruleset, const json_t *chain,
                                     enum ruleset_how how)
{
    struct ruleset_place place = {.family = text_of(chain, "family"),
                                  .table = text_of(chain, "table"),
                                  .chain = text_of(chain, "name"),
                                  .hook = text_of(chain, "hook"),
                                  .how = how};
    const json_t *item;
    size_t i;

    json_array_foreach (ruleset, i, item) {
        const json_t *other = json_object_get(item, "chain");

        place.has_docker_user |=
            other && is_in_table(other, chain) && is_text(other, "name", "DOCKER-USER");
    }
    return place;
}

static const json_t *chain_of_rule(const json_t *ruleset, const json_t *rule)
{
    const json_t *item;
    size_t i;

    json_array_foreach (ruleset, i, item) {
        const json_t *chain = json_object_get(item, "chain");

        if (chain && is_in_table(chain, rule) && is_text(chain, "name", text_of(rule, "chain")))
            return chain;
    }
    return NULL;
}

/* What is let pass at another hook says nothing about this one. A chain that others jump to may be
 * on its way. */
static bool may_decide(const json_t *ruleset, const json_t *rule, const json_t *chain)
{
    const json_t *of = chain_of_rule(ruleset, rule);

    return of == chain || is_text(of, "hook", "");
}

/* By itself, or by a chain that lets everything pass, as firewalld's trusted zone does. */
static bool accepts(const json_t *ruleset, const json_t *rule)
{
    const json_t *expr = json_object_get(rule, "expr"), *e;
    size_t i;

    if (does(rule, "accept"))
        return true;
    json_array_foreach (expr, i, e) {
        const json_t *to =
            json_object_get(e, "goto") ? json_object_get(e, "goto") : json_object_get(e, "jump");
        AUTO_JSON json_t *chain =
            to ? json_pack("{s:O, s:O, s:O}", "family", json_object_get(rule, "family"), "table",
                           json_object_get(rule, "table"), "name", json_object_get(to, "target"))
               : NULL;

        if (chain && has_plain_rule(ruleset, chain, false))
            return true;
    }
    return false;
}

static bool table_accepts_cluster(const json_t *ruleset, const json_t *chain,
                                  struct ip4_prefix cluster)
{
    const json_t *item;
    size_t i;

    json_array_foreach (ruleset, i, item) {
        const json_t *rule = json_object_get(item, "rule");

        if (rule && is_in_table(rule, chain) && accepts(ruleset, rule) &&
            (matches_cluster(rule, cluster) ||
             (is_text(rule, "chain", text_of(chain, "name")) && !has_condition(rule))) &&
            may_decide(ruleset, rule, chain))
            return true;
    }
    return false;
}

/* All that it asks for is ours. */
static bool drops_cluster(const json_t *rule, struct ip4_prefix cluster)
{
    const json_t *expr = json_object_get(rule, "expr"), *e;
    size_t i, conditions = 0, ours = 0;

    json_array_foreach (expr, i, e) {
        const json_t *match = json_object_get(e, "match");

        conditions += match || json_object_get(e, "limit") || json_object_get(e, "xt");
        ours += match && is_equality(match) &&
                speaks_of_cluster(json_object_get(match, "right"), cluster);
    }
    return drops(rule) && ours > 0 && ours == conditions;
}

static bool chain_drops_cluster(const json_t *ruleset, const json_t *chain,
                                struct ip4_prefix cluster)
{
    const json_t *item;
    size_t i;

    if (!chain || !is_text(chain, "hook", "forward"))
        return false;
    json_array_foreach (ruleset, i, item) {
        const json_t *rule = json_object_get(item, "rule");

        if (rule && chain_of_rule(ruleset, rule) == chain && drops_cluster(rule, cluster))
            return true;
    }
    return false;
}

bool ruleset_find_forward_drop(const json_t *ruleset, struct ip4_prefix cluster,
                               struct ruleset_place *ret)
{
    const json_t *item;
    size_t i;

    json_array_foreach (ruleset, i, item) {
        const json_t *chain = json_object_get(item, "chain");
        enum ruleset_how how = RULESET_BY_RULE;

        if ((!drops_the_rest(ruleset, chain, "forward", &how) &&
             !chain_drops_cluster(ruleset, chain, cluster)) ||
            table_accepts_cluster(ruleset, chain, cluster))
            continue;
        *ret = place_of(ruleset, chain, how);
        return true;
    }
    return false;
}

/* A chain that others jump to may be on either way. */
static bool is_on_way(const json_t *chain, bool is_incoming)
{
    static const char *const in[] = {"", "ingress", "prerouting", "input"};
    static const char *const out[] = {"", "egress", "postrouting", "output"};
    const char *const *hooks = is_incoming ? in : out;

    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        if (is_text(chain, "hook", hooks[i]))
            return true;
    return false;
}

static bool find_port_rule(const json_t *ruleset, uint16_t port, bool is_incoming,
                           struct ruleset_place *ret)
{
    const json_t *item;
    size_t i;

    json_array_foreach (ruleset, i, item) {
        const json_t *rule = json_object_get(item, "rule");
        const json_t *chain;

        if (!rule || !drops(rule) || !matches_port(rule, port))
            continue;
        chain = chain_of_rule(ruleset, rule);
        if (!chain || !is_on_way(chain, is_incoming))
            continue;
        *ret = place_of(ruleset, chain, RULESET_BY_RULE);
        return true;
    }
    return false;
}

static bool table_accepts_port(const json_t *ruleset, const json_t *chain, uint16_t port)
{
    const json_t *item;
    size_t i;

    json_array_foreach (ruleset, i, item) {
        const json_t *rule = json_object_get(item, "rule");

        if (rule && is_in_table(rule, chain) && does(rule, "accept") &&
            (matches_port(rule, port) ||
             (is_text(rule, "chain", text_of(chain, "name")) && !has_condition(rule))) &&
            may_decide(ruleset, rule, chain))
            return true;
    }
    return false;
}

bool ruleset_find_port_drop(const json_t *ruleset, uint16_t port, bool is_incoming,
                            struct ruleset_place *ret)
{
    const char *hook = is_incoming ? "input" : "output";
    const json_t *item;
    size_t i;

    if (find_port_rule(ruleset, port, is_incoming, ret))
        return true;
    json_array_foreach (ruleset, i, item) {
        const json_t *chain = json_object_get(item, "chain");
        enum ruleset_how how;

        if (!drops_the_rest(ruleset, chain, hook, &how) || table_accepts_port(ruleset, chain, port))
            continue;
        *ret = place_of(ruleset, chain, how);
        return true;
    }
    return false;
}

/* ---- a peer's ping, out of the overlay's device ---------------------------------------------- */

/* The left side of a condition, and what it is of such a ping. */
static const struct {
    const char *kind, *key; /* {"meta": {"key": "iifname"}} */
    const char *value;      /* a protocol's is its number in JSON */
} ping_values[] = {
    {"meta", "iifname", MESH_DEVICE_NAME},
    {"meta", "iif", MESH_DEVICE_NAME},
    {"meta", "l4proto", "icmp"},
    {"meta", "nfproto", "ipv4"},
    {"ct", "state", "new"},
};

static const char *ping_payload(const json_t *payload)
{
    if (is_text(payload, "protocol", "icmp") && is_text(payload, "field", "type"))
        return "echo-request";
    if (is_text(payload, "protocol", "ip") && is_text(payload, "field", "protocol"))
        return "icmp";
    return NULL;
}

/* NULL: it cannot be told. */
static const char *ping_value(const json_t *left)
{
    const json_t *payload = json_object_get(left, "payload");

    for (size_t i = 0; i < ARRAY_LEN(ping_values); i++)
        if (is_text(json_object_get(left, ping_values[i].kind), "key", ping_values[i].key))
            return ping_values[i].value;
    return payload ? ping_payload(payload) : NULL;
}

/* "vxlan*" is each device that begins so, and "@name" a set that is not looked into. */
static bool is_word(const char *pattern, const char *word)
{
    size_t n = strlen(pattern);

    if (n > 0 && pattern[n - 1] == '*')
        return strncmp(pattern, word, n - 1) == 0;
    return pattern[0] == '@' || strcmp(pattern, word) == 0;
}

static bool has_word(const json_t *value, const char *word)
{
    const json_t *set = json_object_get(value, "set"), *item;
    size_t i;

    if (json_is_string(value))
        return is_word(json_string_value(value), word);
    if (json_is_integer(value))
        return strcmp(word, "icmp") != 0 || json_integer_value(value) == IPPROTO_ICMP;
    json_array_foreach (set ? set : value, i, item)
        if (has_word(item, word))
            return true;
    return false;
}

/* A range could. */
static bool meets_cluster(const json_t *value, struct ip4_prefix cluster)
{
    const json_t *set = json_object_get(value, "set"), *prefix = json_object_get(value, "prefix");
    const char *addr = prefix ? text_of(prefix, "addr") : json_string_value(value);
    const json_t *item;
    struct ip4_prefix p;
    int64_t len = 32;
    size_t i;

    json_array_foreach (set, i, item)
        if (meets_cluster(item, cluster))
            return true;
    if (set)
        return false;
    if (!addr || ip4_parse(addr, &p.addr) < 0 ||
        (prefix && json_get_int(prefix, "len", 0, 32, &len) < 0))
        return true;
    p.len = (uint8_t)len;
    return ip4_prefix_covers(p, cluster) || ip4_prefix_covers(cluster, p);
}

static bool is_of_ports(const json_t *left)
{
    const json_t *payload = json_object_get(left, "payload");

    return is_text(payload, "protocol", "udp") || is_text(payload, "protocol", "tcp") ||
           is_text(payload, "protocol", "th");
}

static bool can_be_ping(const json_t *left, const json_t *right, struct ip4_prefix cluster)
{
    const json_t *payload = json_object_get(left, "payload");
    const char *value = ping_value(left);

    if (is_of_ports(left))
        return false;
    if (is_text(payload, "protocol", "ip") && is_text(payload, "field", "saddr"))
        return meets_cluster(right, cluster);
    return !value || has_word(right, value);
}

static bool matches_ping(const json_t *match, struct ip4_prefix cluster)
{
    const json_t *left = json_object_get(match, "left"), *right = json_object_get(match, "right");
    const char *value = ping_value(left);

    if (is_equality(match))
        return can_be_ping(left, right, cluster);
    return !is_of_ports(left) && !(is_text(match, "op", "!=") && value && has_word(right, value));
}

/* [[key, {"accept": null}], ...], or the name of such a map, which is not looked into. */
static bool map_could_accept_ping(const json_t *map, struct ip4_prefix cluster)
{
    const json_t *data = json_object_get(map, "data"), *item;
    size_t i;

    if (json_is_string(data))
        return true;
    json_array_foreach (json_object_get(data, "set"), i, item)
        if (json_object_get(json_array_get(item, 1), "accept") &&
            can_be_ping(json_object_get(map, "key"), json_array_get(item, 0), cluster))
            return true;
    return false;
}

static bool could_accept_ping(const json_t *rule, struct ip4_prefix cluster)
{
    const json_t *expr = json_object_get(rule, "expr"), *e;
    bool is_accepted = does(rule, "accept");
    size_t i;

    json_array_foreach (expr, i, e) {
        const json_t *match = json_object_get(e, "match"), *map = json_object_get(e, "vmap");

        if (match && !matches_ping(match, cluster))
            return false;
        is_accepted |= map && map_could_accept_ping(map, cluster);
    }
    return is_accepted;
}

static bool table_could_accept_ping(const json_t *ruleset, const json_t *chain,
                                    struct ip4_prefix cluster)
{
    const json_t *item;
    size_t i;

    json_array_foreach (ruleset, i, item) {
        const json_t *rule = json_object_get(item, "rule");

        if (rule && is_in_table(rule, chain) && could_accept_ping(rule, cluster) &&
            is_on_way(chain_of_rule(ruleset, rule), true))
            return true;
    }
    return false;
}

bool ruleset_find_echo_drop(const json_t *ruleset, struct ip4_prefix cluster,
                            struct ruleset_place *ret)
{
    const json_t *item;
    size_t i;

    json_array_foreach (ruleset, i, item) {
        const json_t *chain = json_object_get(item, "chain");
        enum ruleset_how how;

        if (!drops_the_rest(ruleset, chain, "input", &how) ||
            table_could_accept_ping(ruleset, chain, cluster))
            continue;
        *ret = place_of(ruleset, chain, how);
        return true;
    }
    return false;
}
