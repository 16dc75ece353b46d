/* The firewall table as JSON; man 5 libnftables-json. */
#include "runtime/firewall.h"

#include <stdlib.h>
#include <string.h>

#include "lib/api/mesh.h"
#include "lib/base/mem.h"
#include "runtime/endpoints.h"

#define CONTAINERS ENDPOINT_HOST_PREFIX "*"

static json_t *check(json_t *json)
{
    if (!json)
        mem_exhausted(0);
    return json;
}

/* ---- expressions --------------------------------------------------------------------------- */

static json_t *match(const char *op, json_t *left, json_t *right)
{
    return check(json_pack("{s:{s:s, s:o, s:o}}", "match", "op", op, "left", left, "right", right));
}

static json_t *meta(const char *key)
{
    return check(json_pack("{s:{s:s}}", "meta", "key", key));
}

static json_t *payload(const char *protocol, const char *field)
{
    return check(json_pack("{s:{s:s, s:s}}", "payload", "protocol", protocol, "field", field));
}

static json_t *prefix(struct ip4_prefix p)
{
    char text[IP4_TEXT_SIZE];

    return check(
        json_pack("{s:{s:s, s:i}}", "prefix", "addr", ip4_format(p.addr, text), "len", (int)p.len));
}

static json_t *from_container(void)
{
    return match("==", meta("iifname"), json_string(CONTAINERS));
}

static json_t *is_vxlan(void)
{
    return match("==", payload("udp", "dport"), json_integer(MESH_VXLAN_PORT));
}

static json_t *is_not_ip4(void)
{
    return match("!=", meta("nfproto"), json_string("ipv4"));
}

/* The route back to the source leads to another device than the packet came by, or nowhere. */
static json_t *is_forged(void)
{
    json_t *fib = json_pack("{s:{s:s, s:[s,s]}}", "fib", "result", "oif", "flags", "saddr", "iif");

    return match("==", check(fib), json_string("0"));
}

/* For the kernel a broadcast from 0.0.0.0 (DHCP) is never forged (nft_fib4_eval). */
static json_t *is_from_nobody(void)
{
    return match("==", payload("ip", "saddr"), json_string("0.0.0.0"));
}

static json_t *is_to_this_host(void)
{
    json_t *fib = json_pack("{s:{s:s, s:[s]}}", "fib", "result", "type", "flags", "daddr");

    return match("==", check(fib), json_string("local"));
}

static json_t *is_from_no_peer(void)
{
    return match("!=", payload("ip", "saddr"), json_string("@" FIREWALL_PEERS));
}

/* ---- rules ----------------------------------------------------------------------------------- */

static json_t *drop(json_t *first, json_t *second, json_t *third)
{
    json_t *expr = json_array();

    json_array_append_new(expr, first);
    if (second)
        json_array_append_new(expr, second);
    if (third)
        json_array_append_new(expr, third);
    json_array_append_new(expr, json_pack("{s:n}", "counter"));
    json_array_append_new(expr, json_pack("{s:n}", "drop"));
    return expr;
}

static json_t *masquerade(const struct firewall_spec *spec)
{
    json_t *expr = json_array();

    json_array_append_new(expr, match("==", payload("ip", "saddr"), prefix(spec->subnet)));
    json_array_append_new(expr, match("!=", payload("ip", "daddr"), prefix(spec->cluster)));
    json_array_append_new(expr, match("!=", meta("oifname"), json_string(CONTAINERS)));
    /* Fully random ports: two containers that start at once do not race for the same one. */
    json_array_append_new(expr, json_pack("{s:{s:s}}", "masquerade", "flags", "fully-random"));
    return expr;
}

static void add_rule(json_t *ruleset, const char *chain, json_t *expr)
{
    json_array_append_new(
        ruleset, check(json_pack("{s:{s:s, s:s, s:s, s:o}}", "rule", "family", FIREWALL_FAMILY,
                                 "table", FIREWALL_TABLE, "chain", chain, "expr", expr)));
}

static void add_chain(json_t *ruleset, const char *name, const char *type, int priority)
{
    json_array_append_new(
        ruleset, check(json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:i, s:s}}", "chain", "family",
                                 FIREWALL_FAMILY, "table", FIREWALL_TABLE, "name", name, "type",
                                 type, "hook", name, "prio", priority, "policy", "accept")));
}

static void add_set(json_t *ruleset, const struct firewall_spec *spec)
{
    json_t *set = json_pack("{s:s, s:s, s:s, s:s}", "family", FIREWALL_FAMILY, "name",
                            FIREWALL_PEERS, "table", FIREWALL_TABLE, "type", "ipv4_addr");

    if (spec->peer_count > 0)
        json_object_set_new(set, "elem", firewall_peers(spec));
    json_array_append_new(ruleset, check(json_pack("{s:o}", "set", set)));
}

json_t *firewall_peers(const struct firewall_spec *spec)
{
    json_t *elements = json_array();
    char text[IP4_TEXT_SIZE];

    for (size_t i = 0; i < spec->peer_count; i++)
        json_array_append_new(elements, json_string(ip4_format(spec->peers[i], text)));
    return elements;
}

json_t *firewall_ruleset(const struct firewall_spec *spec)
{
    json_t *ruleset = json_array();

    json_array_append_new(ruleset, check(json_pack("{s:{s:s, s:s}}", "table", "family",
                                                   FIREWALL_FAMILY, "name", FIREWALL_TABLE)));
    add_set(ruleset, spec);
    add_chain(ruleset, "prerouting", "filter", -300);
    add_chain(ruleset, "postrouting", "nat", 100);
    add_rule(ruleset, "prerouting", drop(from_container(), is_not_ip4(), NULL));
    add_rule(ruleset, "prerouting", drop(from_container(), is_vxlan(), NULL));
    add_rule(ruleset, "prerouting", drop(from_container(), is_forged(), NULL));
    add_rule(ruleset, "prerouting", drop(from_container(), is_from_nobody(), NULL));
    add_rule(ruleset, "prerouting", drop(is_to_this_host(), is_vxlan(), is_from_no_peer()));
    if (spec->subnet.len > 0)
        add_rule(ruleset, "postrouting", masquerade(spec));
    return ruleset;
}

json_t *firewall_without_peers(const json_t *ruleset)
{
    json_t *copy = check(json_deep_copy(ruleset)), *item;
    size_t i;

    json_array_foreach (copy, i, item) {
        json_t *set = json_object_get(item, "set");

        if (set)
            (void)json_object_del(set, "elem");
    }
    return copy;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

size_t firewall_sort_peers(uint32_t *peers, size_t count)
{
    size_t kept = 0;

    if (count > 0)
        qsort(peers, count, sizeof *peers, compare);
    for (size_t i = 0; i < count; i++) {
        if (peers[i] != 0 && (kept == 0 || peers[kept - 1] != peers[i]))
            peers[kept++] = peers[i];
    }
    return kept;
}
