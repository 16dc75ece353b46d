/* The firewall table's rules. */
#include "runtime/firewall.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/api/mesh.h"
#include "lib/base/mem.h"
#include "runtime/endpoints.h"
#include "runtime/firewall_words.h"

#define CONTAINERS MESH_ENDPOINT_PREFIX "*"
#define OVERLAY MESH_DEVICE_NAME
#define OTHER_VXLAN_PORT 8472 /* what VXLAN had before RFC 7348 */
#define BEFORE_TRACKING (-300)
#define ROOM_BITS_MAX 16

#define PEERS FIREWALL_PEERS
#define ORIGINS FIREWALL_ORIGINS
#define ENDPOINTS FIREWALL_ENDPOINTS

#define FROM_CONTAINER "from_container"
#define FORGED "forged"
#define INSIDE "inside"
#define VXLAN "vxlan"
#define FROM_OVERLAY "from_overlay"
#define TO_HOST "to_host"
#define ERRORS "errors"

static const struct ip4_prefix loopback = {.addr = 0x7f000000, .len = 8};
static const struct ip4_prefix link_local = {.addr = 0xa9fe0000, .len = 16};
#define METADATA 0xa9fea9feu /* 169.254.169.254 */

const char *const firewall_reasons[FIREWALL_REASON_COUNT] = {
    [FIREWALL_NO_PEER] = "no_peer",
    [FIREWALL_OTHER_ORIGIN] = "other_origin",
    [FIREWALL_STRAY] = "stray",
    [FIREWALL_OUTSIDE] = "outside",
    [FIREWALL_LOOPBACK] = "loopback",
    [FIREWALL_NOT_IP4] = "not_ip4",
    [FIREWALL_FORGED_SOURCE] = "forged_source",
    [FIREWALL_FORGED_MAC] = "forged_mac",
    [FIREWALL_VXLAN] = "vxlan_of_container",
    [FIREWALL_TUNNEL] = "tunnel",
    [FIREWALL_LINK_LOCAL] = "link_local",
    [FIREWALL_HOST] = "host",
    [FIREWALL_PEER_HOST] = "peer_host",
    [FIREWALL_FORGED_ERROR] = "forged_error",
    [FIREWALL_NOWHERE] = "nowhere",
    [FIREWALL_INVALID] = "invalid",
    [FIREWALL_ARP] = "arp",
    [FIREWALL_IP6] = "ipv6",
    [FIREWALL_VLAN] = "vlan",
    [FIREWALL_FRAME] = "frame",
};

/* ---- entries --------------------------------------------------------------------------------- */

static const struct words_table inet = {FIREWALL_FAMILY, FIREWALL_TABLE};

#define add_rule(ruleset, chain, ...) words_add_rule(ruleset, &inet, chain, __VA_ARGS__)

/* Named like the hook it is on. */
static void add_base_chain(json_t *ruleset, const char *name, const char *type, int priority)
{
    words_add_base_chain(
        ruleset, &inet,
        &(struct words_hook){.name = name, .type = type, .hook = name, .priority = priority});
}

static void add_chain(json_t *ruleset, const char *name)
{
    words_add_chain(ruleset, &inet, name);
}

/* ---- sets ------------------------------------------------------------------------------------ */

/* The peer's address as a number of the kind that traffic classes have: the kernel keeps a packet's
 * priority while it takes it out of its VXLAN, and asks for it nowhere on that way. */
static json_t *mark_of(uint32_t host)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%x:%x", host >> 16, host & 0xffff);
    return json_string(text);
}

static json_t *peer_members(const struct firewall_spec *spec)
{
    json_t *members = json_array();

    for (size_t i = 0; i < spec->peer_count; i++) {
        uint32_t host = spec->peers[i].host;

        if (i == 0 || spec->peers[i - 1].host != host)
            json_array_append_new(members, json_pack("[o, o]", word_addr(host), mark_of(host)));
    }
    return members;
}

json_t *firewall_origin_members(const struct firewall_spec *spec)
{
    json_t *members = json_array();

    for (size_t i = 0; i < spec->peer_count; i++) {
        const struct firewall_peer *peer = &spec->peers[i];

        if (peer->subnet)
            json_array_append_new(members,
                                  word_concat(word_addr(peer->subnet), mark_of(peer->host), NULL));
    }
    return members;
}

static json_t *endpoint_members(const struct firewall_spec *spec)
{
    json_t *members = json_array();

    for (size_t i = 0; spec->endpoints && i < spec->endpoints->count; i++) {
        uint32_t addr = spec->endpoints->items[i].addr;
        char name[IFNAMSIZ];

        endpoint_host_ifname(addr, name);
        json_array_append_new(
            members, word_concat(json_string(name), word_addr(addr), word_mac(mac_from_ip4(addr))));
    }
    return members;
}

/* Twice as many as there can be. A set that is told its size is a plain hash table, which is looked
 * up in half the time of one that may grow (net/netfilter/nft_set_hash.c); each member that it has
 * room for takes some ten bytes. */
static uint32_t room(int bits)
{
    return UINT32_C(2) << (bits < 0 ? 0 : bits > ROOM_BITS_MAX ? ROOM_BITS_MAX : bits);
}

/* Before this node has a subnet the overlay may be there already, with all peers; or it is yet of a
 * larger cluster than this one. */
uint32_t firewall_peer_room(const struct firewall_spec *spec)
{
    uint32_t size =
        room(spec->subnet.len > 0 ? spec->subnet.len - spec->cluster.len : ROOM_BITS_MAX);

    while (size / 2 < spec->peer_count)
        size *= 2;
    return size;
}

uint32_t firewall_endpoint_room(const struct firewall_spec *spec)
{
    return room(32 - spec->subnet.len);
}

json_t *firewall_sets(const struct firewall_spec *spec)
{
    uint32_t peers = firewall_peer_room(spec);
    json_t *sets = json_array();

    words_add_map(sets, &inet, PEERS, "classid", peers, peer_members(spec));
    words_add_set(sets, &inet, ORIGINS, json_pack("[s, s]", "ipv4_addr", "classid"), peers,
                  firewall_origin_members(spec));
    words_add_set(sets, &inet, ENDPOINTS,
                  json_pack("[s, s, s]", "ifname", "ipv4_addr", "ether_addr"),
                  firewall_endpoint_room(spec), endpoint_members(spec));
    return sets;
}

static void add_sets(json_t *ruleset, const struct firewall_spec *spec)
{
    AUTO_JSON json_t *sets = firewall_sets(spec);

    json_array_extend(ruleset, sets);
}

static void add_counters(json_t *ruleset)
{
    for (size_t i = 0; i < FIREWALL_FRAMES_FIRST; i++)
        words_add_counter(ruleset, &inet, firewall_reasons[i]);
}

/* ---- words of ours ------------------------------------------------------------------------- */

/* Two words, for the end of a rule. */
#define DROP(reason) word_count(firewall_reasons[reason]), word_verdict("drop"), NULL
#define ACCEPT word_verdict("accept"), NULL
#define UNTRACKED word_verdict("notrack"), word_verdict("accept"), NULL

static json_t *is_not_ip4(void)
{
    return word_match("!=", word_meta("nfproto"), json_string("ipv4"));
}

/* The device and the MAC that the packet came by, and this address. */
static json_t *is_endpoint(const char *op, json_t *addr)
{
    return word_match(op, word_concat(word_meta("iifname"), addr, word_field("ether", "saddr")),
                      json_string("@" ENDPOINTS));
}

static json_t *is_from_nobody(void)
{
    return word_match("==", word_field("ip", "saddr"), json_string("0.0.0.0"));
}

static json_t *is_vxlan_of_any_age(void)
{
    return word_match("==", word_field("udp", "dport"),
                      word(json_pack("{s:[i, i]}", "set", MESH_VXLAN_PORT, OTHER_VXLAN_PORT)));
}

/* Our VXLAN's header behind one of UDP, whatever its port (RFC 7348; eight bytes of that size mean
 * nothing else). Who sends raw packets can have two bytes of each written when it leaves the host,
 * after all rules: they may be left to the network card as the packet's checksum, wherever he says
 * that it is. So the port that is seen here need not be the one that arrives; but it is the only
 * thing that can change. */
static json_t *is_vxlan_by_content(void)
{
    const json_int_t header = (INT64_C(0x08000000) << 32) | (MESH_VNI << 8);

    return word_match("==", word_raw("th", 64, 64), json_integer(header));
}

static json_t *is_ip_in_ip(void)
{
    return word_match("==", word_field("ip", "protocol"), json_integer(IPPROTO_IPIP));
}

static json_t *is_to_own_vtep(const struct firewall_spec *spec)
{
    return word_match("==", word_field("ip", "daddr"), word_addr(spec->subnet.addr));
}

static json_t *is_of_origin(const char *op, json_t *addr, const struct firewall_spec *spec)
{
    return word_match(
        op, word_concat(word_bits(addr, ip4_mask(spec->subnet.len)), word_meta("priority"), NULL),
        json_string("@" ORIGINS));
}

json_t *firewall_is_of_origin(const char *op, const struct firewall_spec *spec)
{
    return is_of_origin(op, word_field("ip", "saddr"), spec);
}

/* Hosts speak in the mesh as their VTEP, whose address is the network's. */
static json_t *is_from_container_there(const struct firewall_spec *spec)
{
    return word_match("!=", word_masked("saddr", ~ip4_mask(spec->subnet.len)), word_addr(0));
}

static json_t *is_open_port(const struct firewall_policy *policy)
{
    json_t *set = json_array();

    for (size_t i = 0; i < policy->port_count; i++)
        json_array_append_new(
            set, word_concat(json_integer(policy->ports[i].is_tcp ? IPPROTO_TCP : IPPROTO_UDP),
                             json_integer(policy->ports[i].number), NULL));
    return word_match("==", word_concat(word_meta("l4proto"), word_field("th", "dport"), NULL),
                      word(json_pack("{s:o}", "set", set)));
}

/* ---- prerouting ------------------------------------------------------------------------------ */

/* A broadcast from 0.0.0.0 (DHCP) is at home everywhere, for the kernel (nft_fib4_eval). */
static void add_forged(json_t *ruleset)
{
    add_chain(ruleset, FORGED);
    add_rule(ruleset, FORGED, word_is_routed_elsewhere(), DROP(FIREWALL_FORGED_SOURCE));
    add_rule(ruleset, FORGED, is_from_nobody(), DROP(FIREWALL_FORGED_SOURCE));
    add_rule(ruleset, FORGED, DROP(FIREWALL_FORGED_MAC));
}

/* To the mesh. What is for this host is tracked, so that its answers are known. */
static void add_inside(json_t *ruleset, const struct firewall_spec *spec)
{
    add_chain(ruleset, INSIDE);
    add_rule(ruleset, INSIDE, word_udp_port(MESH_VXLAN_PORT), DROP(FIREWALL_VXLAN));
    add_rule(ruleset, INSIDE, is_to_own_vtep(spec), ACCEPT);
    if (!spec->policy.is_all_tracked)
        add_rule(ruleset, INSIDE, UNTRACKED);
}

static void add_from_container(json_t *ruleset, const struct firewall_spec *spec)
{
    add_chain(ruleset, FROM_CONTAINER);
    add_rule(ruleset, FROM_CONTAINER, is_not_ip4(), DROP(FIREWALL_NOT_IP4));
    add_rule(ruleset, FROM_CONTAINER, is_endpoint("!=", word_field("ip", "saddr")), word_go(FORGED),
             NULL);
    if (spec->subnet.len > 0)
        add_rule(ruleset, FROM_CONTAINER, word_to("==", spec->cluster), word_go(INSIDE), NULL);
    add_rule(ruleset, FROM_CONTAINER, is_vxlan_of_any_age(), DROP(FIREWALL_VXLAN));
    add_rule(ruleset, FROM_CONTAINER, is_vxlan_by_content(), DROP(FIREWALL_VXLAN));
    add_rule(ruleset, FROM_CONTAINER, is_ip_in_ip(), DROP(FIREWALL_TUNNEL));
    if (spec->policy.is_metadata_open)
        add_rule(ruleset, FROM_CONTAINER,
                 word_match("==", word_field("ip", "daddr"), word_addr(METADATA)), ACCEPT);
    add_rule(ruleset, FROM_CONTAINER, word_to("==", link_local), DROP(FIREWALL_LINK_LOCAL));
    add_rule(ruleset, FROM_CONTAINER, word_to("==", loopback), DROP(FIREWALL_LOOPBACK));
}

static void add_vxlan(json_t *ruleset)
{
    add_chain(ruleset, VXLAN);
    add_rule(ruleset, VXLAN, word_look_up("saddr", "@" PEERS), UNTRACKED);
    add_rule(ruleset, VXLAN, word_is_to_this_host(), DROP(FIREWALL_NO_PEER));
}

static void add_from_overlay(json_t *ruleset, const struct firewall_spec *spec)
{
    add_chain(ruleset, FROM_OVERLAY);
    if (spec->subnet.len > 0) {
        add_rule(ruleset, FROM_OVERLAY, firewall_is_of_origin("!=", spec),
                 DROP(FIREWALL_OTHER_ORIGIN));
        add_rule(ruleset, FROM_OVERLAY, is_to_own_vtep(spec), word_udp_port(MESH_VXLAN_PORT),
                 DROP(FIREWALL_VXLAN));
        add_rule(ruleset, FROM_OVERLAY, is_to_own_vtep(spec), ACCEPT);
        if (spec->policy.is_all_tracked)
            add_rule(ruleset, FROM_OVERLAY, word_to("==", spec->subnet), ACCEPT);
        else
            add_rule(ruleset, FROM_OVERLAY, word_to("==", spec->subnet), UNTRACKED);
    }
    add_rule(ruleset, FROM_OVERLAY, DROP(FIREWALL_STRAY));
}

/* Every packet of the host comes by here, most of them twice: what carries the mesh first. */
static void add_prerouting(json_t *ruleset, const struct firewall_spec *spec)
{
    static const char hook[] = "prerouting";

    add_base_chain(ruleset, hook, "filter", BEFORE_TRACKING);
    add_rule(ruleset, hook, word_in_from("==", CONTAINERS), word_go(FROM_CONTAINER), NULL);
    add_rule(ruleset, hook, word_in_from("==", OVERLAY), word_go(FROM_OVERLAY), NULL);
    add_rule(ruleset, hook, word_udp_port(MESH_VXLAN_PORT), word_go(VXLAN), NULL);
    add_rule(ruleset, hook, word_in_from("==", "lo"), ACCEPT);
    add_rule(ruleset, hook, word_to("==", loopback), DROP(FIREWALL_LOOPBACK));
    if (spec->subnet.len > 0)
        add_rule(ruleset, hook,
                 word_match("==", word_field("ip", "saddr"), word_prefix(spec->cluster)),
                 DROP(FIREWALL_OUTSIDE));
}

/* ---- the other hooks ------------------------------------------------------------------------- */

static void add_output(json_t *ruleset)
{
    add_base_chain(ruleset, "output", "filter", BEFORE_TRACKING);
    add_rule(ruleset, "output", word_udp_port(MESH_VXLAN_PORT), word_verdict("notrack"), NULL);
}

/* What containers may have of this host and of the others. */
static void add_open(json_t *ruleset, const char *chain, const struct firewall_policy *policy)
{
    add_rule(ruleset, chain, word_is_echo_request(), ACCEPT);
    if (policy->port_count > 0)
        add_rule(ruleset, chain, is_open_port(policy), ACCEPT);
}

/* To connection tracking an ICMP error is related to whatever it quotes, whoever sends it. One that
 * a container makes up, "too big", would shrink its host's way to a peer, VXLAN and all. Out of the
 * mesh it leaves under the host's address, so that of its own connections would shrink somebody's
 * way to the host, and that may be a peer, at another address than it is known by. So what changes
 * ways is dropped, and the rest is to be of its own connections. A peer's host, which takes those
 * for its host's, is told nothing; from behind the overlay, where only the node is known, which has
 * connections of its own, it may tell of closed ports and of nothing else. */
static void add_errors(json_t *ruleset, const struct firewall_spec *spec)
{
    static const char *const directions[] = {"original", "reply"};

    add_chain(ruleset, ERRORS);
    add_rule(ruleset, ERRORS, word_is_too_big(), DROP(FIREWALL_FORGED_ERROR));
    add_rule(ruleset, ERRORS, word_is_redirect(), DROP(FIREWALL_FORGED_ERROR));
    add_rule(ruleset, ERRORS, word_look_up("daddr", "@" PEERS), DROP(FIREWALL_FORGED_ERROR));
    for (size_t i = 0; i < ARRAY_LEN(directions); i++)
        add_rule(ruleset, ERRORS, is_endpoint("==", word_sender(directions[i])), ACCEPT);
    for (size_t i = 0; spec->subnet.len > 0 && i < ARRAY_LEN(directions); i++)
        add_rule(ruleset, ERRORS, word_in_from("==", OVERLAY), word_is_refusal(),
                 is_of_origin("==", word_sender(directions[i]), spec), ACCEPT);
    add_rule(ruleset, ERRORS, DROP(FIREWALL_FORGED_ERROR));
}

static void add_to_host(json_t *ruleset, const struct firewall_policy *policy)
{
    add_chain(ruleset, TO_HOST);
    if (!policy->are_hosts_open)
        add_rule(ruleset, TO_HOST, word_is_of_state("established"), ACCEPT);
    add_rule(ruleset, TO_HOST, word_is_error(), word_go(ERRORS), NULL);
    if (policy->are_hosts_open)
        return;
    add_open(ruleset, TO_HOST, policy);
    add_rule(ruleset, TO_HOST, DROP(FIREWALL_HOST));
}

/* A ping that a container sends to this host can arrive as "too big" from its own, whose address it
 * has here, for the reason that is said at is_vxlan_by_content(). It would shrink the way between
 * the two hosts. Of TCP it may be true, when the peer is a router, and TCP looks whether what is
 * quoted can be its own. */
static void add_peer_errors(json_t *ruleset)
{
    add_rule(ruleset, "input", word_is_too_big(), word_is_about("!=", IPPROTO_TCP),
             word_look_up("saddr", "@" PEERS), DROP(FIREWALL_FORGED_ERROR));
}

static void add_input(json_t *ruleset, const struct firewall_spec *spec)
{
    add_base_chain(ruleset, "input", "filter", 0);
    add_to_host(ruleset, &spec->policy);
    add_rule(ruleset, "input", word_in_from("==", CONTAINERS), word_go(TO_HOST), NULL);
    if (spec->subnet.len > 0)
        add_rule(ruleset, "input", word_in_from("==", OVERLAY), is_from_container_there(spec),
                 word_go(TO_HOST), NULL);
    add_peer_errors(ruleset);
}

/* What is for an address that nobody has, or a node that is away, would leave by the host's default
 * route, under the container's address. So would what cannot be tracked. */
static void add_forward(json_t *ruleset, const struct firewall_spec *spec)
{
    static const char hook[] = "forward";

    add_base_chain(ruleset, hook, "filter", 0);
    add_rule(ruleset, hook, word_in_from("!=", CONTAINERS), ACCEPT);
    add_rule(ruleset, hook, word_to("==", spec->cluster), word_out_to("==", OVERLAY), ACCEPT);
    add_rule(ruleset, hook, word_to("==", spec->cluster), word_out_to("==", CONTAINERS), ACCEPT);
    add_rule(ruleset, hook, word_to("==", spec->cluster), DROP(FIREWALL_NOWHERE));
    add_rule(ruleset, hook, word_is_error(), word_go(ERRORS), NULL);
    add_rule(ruleset, hook, word_is_of_state("invalid"), DROP(FIREWALL_INVALID));
    if (spec->policy.are_hosts_open)
        return;
    add_rule(ruleset, hook, word_is_answer(), ACCEPT);
    add_open(ruleset, hook, &spec->policy);
    add_rule(ruleset, hook, word_look_up("daddr", "@" PEERS), DROP(FIREWALL_PEER_HOST));
}

/* Sees the first packet of each connection. Another table may have changed its port since. */
static void add_postrouting(json_t *ruleset, const struct firewall_spec *spec)
{
    static const char hook[] = "postrouting";

    add_base_chain(ruleset, hook, "nat", 100);
    if (spec->subnet.len == 0)
        return;
    add_rule(ruleset, hook, word_match("==", word_field("ip", "saddr"), word_prefix(spec->subnet)),
             is_vxlan_of_any_age(), word_to("!=", spec->cluster), DROP(FIREWALL_VXLAN));
    /* Fully random ports: two containers that start at once do not race for the same one. */
    add_rule(ruleset, hook, word_match("==", word_field("ip", "saddr"), word_prefix(spec->subnet)),
             word_to("!=", spec->cluster), word_out_to("!=", CONTAINERS),
             word(json_pack("{s:{s:s}}", "masquerade", "flags", "fully-random")), NULL);
}

json_t *firewall_ruleset(const struct firewall_spec *spec)
{
    json_t *ruleset = json_array();

    words_add_table(ruleset, &inet);
    add_counters(ruleset);
    add_sets(ruleset, spec);
    add_forged(ruleset);
    if (spec->subnet.len > 0)
        add_inside(ruleset, spec);
    add_from_container(ruleset, spec);
    add_vxlan(ruleset);
    add_from_overlay(ruleset, spec);
    add_prerouting(ruleset, spec);
    add_output(ruleset);
    add_errors(ruleset, spec);
    add_input(ruleset, spec);
    add_forward(ruleset, spec);
    add_postrouting(ruleset, spec);
    return ruleset;
}

json_t *firewall_without_members(const json_t *ruleset)
{
    json_t *copy = word(json_deep_copy(ruleset)), *item;
    size_t i;

    json_array_foreach (copy, i, item) {
        json_t *set = json_object_get(item, "set");
        json_t *map = json_object_get(item, "map");

        (void)json_object_del(set, "elem");
        (void)json_object_del(map, "elem");
    }
    return copy;
}
