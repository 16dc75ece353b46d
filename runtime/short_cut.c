/* The short cut's rules. */
#include "runtime/short_cut.h"

#include <netinet/in.h>

#include "lib/api/mesh.h"
#include "lib/base/mem.h"
#include "runtime/endpoints.h"

#define FROM_CONTAINER "short_cut"
#define ONWARD "onward"
#define FROM_OVERLAY "from_overlay"
#define ARRIVE "arrive"

/* ---- words ----------------------------------------------------------------------------------- */

static json_t *is_without_options(void)
{
    return word_match("==", word_field("ip", "hdrlength"), json_integer(5));
}

/* No fragment, and to live for another hop: three bytes, of which the flag "do not fragment" and
 * the TTL's last bit do not count, as one number. */
static json_t *is_whole_and_alive(void)
{
    json_t *from_flags = word_raw("nh", 48, 24);
    json_t *bits = word(json_pack("{s:[o, i]}", "&", from_flags, 0xbffffe));

    return word_match("==", bits, word(json_pack("{s:[i, i]}", "range", 0x02, 0xfe)));
}

/* The kernel knows a packet's protocol only when version and lengths are right: without, no rule
 * that asks for it, or for ports, matches. */
static json_t *is_protocol(const char *op, int protocol)
{
    return word_match(op, word_meta("l4proto"), json_integer(protocol));
}

/* Segments of TCP may stand together, and know by themselves how long each is to be. */
static json_t *is_length(const char *op, const struct firewall_spec *spec)
{
    return word_match(op, word_meta("length"), json_integer(spec->mtu_bytes));
}

static json_t *is_no_ip4_or_tagged(void)
{
    return word_match("!=", word_field("ether", "type"), json_string("ip"));
}

/* Whatever the protocol: of one that is not UDP one packet in 65,536 is taken for what it is not,
 * and goes the long way. One too short to have ports does so, too. */
static json_t *is_no_vxlan(void)
{
    return word_match("!=", word_field("th", "dport"), json_integer(MESH_VXLAN_PORT));
}

/* The frame is addressed to the device it came by. */
static json_t *is_for_the_host(void)
{
    return word_match("==", word_meta("pkttype"), json_string("host"));
}

static json_t *value_in(const char *map, json_t *key)
{
    AUTO_FREE char *name = mem_printf("@%s", map);

    return word(json_pack("{s:{s:o, s:s}}", "map", "key", key, "data", name));
}

/* To the neighbour of this address, with one hop less to live (nft_fwd_neigh_eval). Where a map has
 * no value the rule ends; where the device is gone, kernels of 2026 drop the packet. */
static json_t *send_to(json_t *addr, json_t *device)
{
    return word(
        json_pack("{s:{s:s, s:o, s:o}}", "fwd", "family", "ip", "addr", addr, "dev", device));
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void add_from_container(json_t *ruleset, const struct words_table *table,
                               const struct firewall_spec *spec)
{
    words_add_chain(ruleset, table, FROM_CONTAINER);
    words_add_rule(ruleset, table, FROM_CONTAINER, is_length("<=", spec), is_no_vxlan(),
                   word_go(ONWARD), NULL);
    words_add_rule(ruleset, table, FROM_CONTAINER, is_protocol("==", IPPROTO_TCP), word_go(ONWARD),
                   NULL);
}

static void add_onward(json_t *ruleset, const struct words_table *table,
                       const struct firewall_spec *spec)
{
    words_add_chain(ruleset, table, ONWARD);
    if (spec->has_overlay)
        words_add_rule(
            ruleset, table, ONWARD,
            send_to(value_in(SHORT_CUT_HOPS, word_masked("daddr", ip4_mask(spec->subnet.len))),
                    json_string(MESH_DEVICE_NAME)),
            NULL);
    words_add_rule(ruleset, table, ONWARD, word_go(ARRIVE), NULL);
}

static void add_arrive(json_t *ruleset, const struct words_table *table)
{
    words_add_chain(ruleset, table, ARRIVE);
    words_add_rule(
        ruleset, table, ARRIVE,
        send_to(word_field("ip", "daddr"), value_in(SHORT_CUT_DEVICES, word_field("ip", "daddr"))),
        NULL);
}

static void add_from_overlay(json_t *ruleset, const struct words_table *table,
                             const struct firewall_spec *spec)
{
    words_add_chain(ruleset, table, FROM_OVERLAY);
    words_add_rule(ruleset, table, FROM_OVERLAY, is_length("<=", spec),
                   is_protocol("!=", IPPROTO_RAW), word_go(ARRIVE), NULL);
    words_add_rule(ruleset, table, FROM_OVERLAY, is_protocol("==", IPPROTO_TCP), word_go(ARRIVE),
                   NULL);
}

void short_cut_add_entry(json_t *door, const struct words_table *table, const char *chain,
                         uint32_t addr)
{
    words_add_rule(door, table, chain, word_match("==", word_field("ip", "saddr"), word_addr(addr)),
                   word_match("==", word_field("ether", "saddr"), word_mac(mac_from_ip4(addr))),
                   is_for_the_host(), is_without_options(), is_whole_and_alive(),
                   word_go(FROM_CONTAINER), NULL);
}

void short_cut_add_exit(json_t *door, const struct words_table *table, const char *chain,
                        const struct firewall_spec *spec)
{
    words_add_rule(door, table, chain, is_no_ip4_or_tagged(), word_verdict("accept"), NULL);
    words_add_rule(door, table, chain, is_for_the_host(), is_without_options(),
                   is_whole_and_alive(), firewall_is_of_origin("==", spec), word_go(FROM_OVERLAY),
                   NULL);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static json_t *hop_members(const struct member_list *hops)
{
    json_t *members = json_array();

    for (size_t i = 0; hops && i < hops->count; i++)
        json_array_append_new(members, json_pack("[o, o]", word_addr(hops->items[i].addr),
                                                 word_addr(hops->items[i].to)));
    return members;
}

static json_t *device_members(const struct member_list *devices)
{
    json_t *members = json_array();

    for (size_t i = 0; devices && i < devices->count; i++) {
        char name[IFNAMSIZ];

        endpoint_host_ifname(devices->items[i].addr, name);
        json_array_append_new(members,
                              json_pack("[o, s]", word_addr(devices->items[i].addr), name));
    }
    return members;
}

void short_cut_add(json_t *ruleset, const struct words_table *table,
                   const struct firewall_spec *spec)
{
    uint32_t peers = firewall_peer_room(spec);

    words_add_set(ruleset, table, FIREWALL_ORIGINS, json_pack("[s, s]", "ipv4_addr", "classid"),
                  peers, firewall_origin_members(spec));
    words_add_map(ruleset, table, SHORT_CUT_HOPS, "ipv4_addr", peers, hop_members(spec->hops));
    words_add_map(ruleset, table, SHORT_CUT_DEVICES, "iface_index", firewall_endpoint_room(spec),
                  device_members(spec->devices));
    add_arrive(ruleset, table);
    add_onward(ruleset, table, spec);
    add_from_container(ruleset, table, spec);
    add_from_overlay(ruleset, table, spec);
}

json_t *short_cut_empty_maps(void)
{
    return word(json_pack("[{s:{s:s}}, {s:{s:s}}]", "map", "name", SHORT_CUT_HOPS, "map", "name",
                          SHORT_CUT_DEVICES));
}

json_t *short_cut_probe(const struct words_table *table)
{
    json_t *ruleset = json_array();

    words_add_table(ruleset, table);
    words_add_map(ruleset, table, SHORT_CUT_DEVICES, "iface_index", 1, json_array());
    add_arrive(ruleset, table);
    return ruleset;
}
