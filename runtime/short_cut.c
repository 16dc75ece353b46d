/* The short cut's rules. */
#include "runtime/short_cut.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include "lib/api/mesh.h"
#include "lib/base/mem.h"
#include "lib/base/strbuf.h"
#include "runtime/endpoints.h"

#define FROM_CONTAINER "short_cut"
#define ONWARD "onward"
#define FROM_OVERLAY "from_overlay"
#define ARRIVE "arrive"

/* ---- words ----------------------------------------------------------------------------------- */

/* Each packet pays for each of these. What the kernel compares in place is cheap: one, two or four
 * bytes from IP's header on, equal or not, four of them also masked (nf_tables_core.c); what is
 * found out about a packet, other sizes and ranges take a call each. */

/* To that MAC address, from that one, and IPv4: the frame's header as one number, for what is said
 * in words nft lists back in an order of its own. */
static json_t *is_frame(struct mac to, struct mac from)
{
    AUTO_STRBUF struct strbuf header = {0};

    strbuf_addf(&header, "0x%x", to.bytes[0]);
    for (size_t i = 1; i < sizeof to.bytes; i++)
        strbuf_addf(&header, "%02x", to.bytes[i]);
    for (size_t i = 0; i < sizeof from.bytes; i++)
        strbuf_addf(&header, "%02x", from.bytes[i]);
    strbuf_addf(&header, "%04x", ETH_P_IP);
    return word_match("==", word_raw("ll", 0, ETH_HLEN * 8), word(json_string(header.data)));
}

/* Without a tag. */
static json_t *is_frame_of_ip4(void)
{
    return word_match("==", word_raw("ll", 96, 16), json_integer(ETH_P_IP));
}

static json_t *is_without_options(void)
{
    return word_match("==", word_raw("nh", 0, 8), json_integer(0x45));
}

static json_t *is_of_bits(const char *op, json_t *field, uint32_t mask)
{
    json_t *bits = word(json_pack("{s:[o, I]}", "&", field, (json_int_t)mask));

    return word_match(op, bits, json_integer(0));
}

/* A TTL for another hop: of four bytes, of which it is the first. */
static json_t *is_alive(void)
{
    return is_of_bits("!=", word_raw("nh", 64, 32), 0xfe000000);
}

/* No fragment; "do not fragment" does not count. Of four bytes nft 1.1 would not list it back. */
static json_t *is_whole(void)
{
    return is_of_bits("==", word_field("ip", "frag-off"), 0xbfff);
}

/* The kernel knows a packet's protocol only when version and lengths are right: without, no rule
 * that asks for it, or for ports, matches. */
static json_t *is_tcp(void)
{
    return word_match("==", word_meta("l4proto"), json_integer(IPPROTO_TCP));
}

/* Segments of TCP may stand together, and know by themselves how long each is to be. */
static json_t *is_within_mtu(const struct firewall_spec *spec)
{
    return word_match("<=", word_meta("length"), json_integer(spec->mtu_bytes));
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

/* What is plain in this chain goes on to the next. */
static void add_plain(json_t *ruleset, const struct words_table *table, const char *chain,
                      const struct firewall_spec *spec, const char *next)
{
    words_add_rule(ruleset, table, chain, is_within_mtu(spec), is_no_vxlan(), word_go(next), NULL);
    words_add_rule(ruleset, table, chain, is_tcp(), word_go(next), NULL);
}

static void add_from_container(json_t *ruleset, const struct words_table *table,
                               const struct firewall_spec *spec)
{
    words_add_chain(ruleset, table, FROM_CONTAINER);
    add_plain(ruleset, table, FROM_CONTAINER, spec, ONWARD);
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
    add_plain(ruleset, table, FROM_OVERLAY, spec, ARRIVE);
}

void short_cut_add_entry(json_t *door, const struct words_table *table, const char *chain,
                         uint32_t addr)
{
    words_add_rule(door, table, chain, is_frame(mac_from_ip4(ENDPOINT_GATEWAY), mac_from_ip4(addr)),
                   is_without_options(), is_alive(), is_whole(),
                   word_match("==", word_field("ip", "saddr"), word_addr(addr)),
                   word_go(FROM_CONTAINER), NULL);
}

void short_cut_add_exit(json_t *door, const struct words_table *table, const char *chain,
                        const struct firewall_spec *spec)
{
    words_add_rule(door, table, chain, is_for_the_host(), is_frame_of_ip4(), is_without_options(),
                   is_alive(), is_whole(), firewall_is_of_origin("==", spec), word_go(FROM_OVERLAY),
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
