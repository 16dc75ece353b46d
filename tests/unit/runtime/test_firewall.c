/* The firewall table, rule for rule, in words close to nft's own. That the kernel takes it and
 * lists it back is tests/kernel's to prove, what it does to packets tests/mesh's. */
#include "runtime/firewall.h"

#include <string.h>

#include "lib/base/error.h"
#include "runtime/frames.h"
#include "tests/unit/runtime/testing.h"

/* ---- a ruleset as text ----------------------------------------------------------------------- */

static void say(struct strbuf *out, const json_t *value);

static void say_list(struct strbuf *out, const json_t *list, const char *between)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        strbuf_adds(out, i > 0 ? between : "");
        say(out, item);
    }
}

static void say_word(struct strbuf *out, const char *key, const json_t *of)
{
    if (strcmp(key, "match") == 0) {
        say(out, json_object_get(of, "left"));
        strbuf_addf(out, " %s ", json_string_value(json_object_get(of, "op")));
        say(out, json_object_get(of, "right"));
    } else if (strcmp(key, "payload") == 0 && json_object_get(of, "base")) {
        strbuf_addf(out, "%s+%d/%d", json_string_value(json_object_get(of, "base")),
                    (int)json_integer_value(json_object_get(of, "offset")),
                    (int)json_integer_value(json_object_get(of, "len")));
    } else if (strcmp(key, "fwd") == 0) {
        strbuf_adds(out, "fwd to ");
        say(out, json_object_get(of, "addr"));
        strbuf_adds(out, " device ");
        say(out, json_object_get(of, "dev"));
    } else if (strcmp(key, "payload") == 0) {
        strbuf_addf(out, "%s %s", json_string_value(json_object_get(of, "protocol")),
                    json_string_value(json_object_get(of, "field")));
    } else if (strcmp(key, "prefix") == 0) {
        strbuf_addf(out, "%s/%d", json_string_value(json_object_get(of, "addr")),
                    (int)json_integer_value(json_object_get(of, "len")));
    } else if (strcmp(key, "fib") == 0) {
        strbuf_addf(out, "fib %s by ", json_string_value(json_object_get(of, "result")));
        say_list(out, json_object_get(of, "flags"), "+");
    } else if (strcmp(key, "mangle") == 0) {
        say(out, json_object_get(of, "key"));
        strbuf_adds(out, " := ");
        say(out, json_object_get(of, "value"));
    } else if (strcmp(key, "map") == 0) {
        say(out, json_object_get(of, "data"));
        strbuf_adds(out, "[");
        say(out, json_object_get(of, "key"));
        strbuf_adds(out, "]");
    } else if (strcmp(key, "goto") == 0) {
        strbuf_addf(out, "goto %s", json_string_value(json_object_get(of, "target")));
    } else if (json_is_array(of)) {
        strbuf_adds(out, strcmp(key, "set") == 0 ? "{" : "");
        say_list(out, of,
                 strcmp(key, "concat") == 0  ? " . "
                 : strcmp(key, "range") == 0 ? "-"
                 : strcmp(key, "&") == 0     ? " & "
                                             : ", ");
        strbuf_adds(out, strcmp(key, "set") == 0 ? "}" : "");
    } else if (json_object_get(of, "dir")) {
        strbuf_addf(out, "%s %s", json_string_value(json_object_get(of, "dir")),
                    json_string_value(json_object_get(of, "key")));
    } else if (json_object_get(of, "key")) {
        strbuf_adds(out, json_string_value(json_object_get(of, "key")));
    } else {
        strbuf_adds(out, key);
        if (json_is_string(of))
            strbuf_addf(out, " %s", json_string_value(of));
    }
}

static void say(struct strbuf *out, const json_t *value)
{
    void *first = json_object_iter((json_t *)value);

    if (json_is_string(value))
        strbuf_adds(out, json_string_value(value));
    else if (json_is_integer(value))
        strbuf_addf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_array(value))
        say_list(out, value, ", ");
    else if (first)
        say_word(out, json_object_iter_key(first), json_object_iter_value(first));
}

/* The chain's rules, one a line. */
static void assert_chain(const json_t *ruleset, const char *chain, const char *want)
{
    AUTO_STRBUF struct strbuf out = {0};
    const json_t *entry;
    size_t i;

    strbuf_adds(&out, "");
    json_array_foreach (ruleset, i, entry) {
        const json_t *rule = json_object_get(entry, "rule");
        const char *name = json_string_value(json_object_get(rule, "chain"));

        if (!name || strcmp(name, chain) != 0)
            continue;
        say_list(&out, json_object_get(rule, "expr"), "; ");
        strbuf_adds(&out, "\n");
    }
    assert_string_equal(out.data ? out.data : "", want);
}

static const json_t *find(const json_t *ruleset, const char *type, const char *name)
{
    const json_t *entry;
    size_t i;

    json_array_foreach (ruleset, i, entry) {
        const json_t *body = json_object_get(entry, type);
        const char *found = json_string_value(json_object_get(body, "name"));

        if (found && strcmp(found, name) == 0)
            return body;
    }
    return NULL;
}

static void assert_members(const json_t *ruleset, const char *type, const char *name,
                           const char *want)
{
    AUTO_STRBUF struct strbuf out = {0};

    say_list(&out, json_object_get(find(ruleset, type, name), "elem"), "; ");
    assert_string_equal(out.data ? out.data : "", want);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static const struct firewall_peer peers[] = {
    {0xc0a8010b, 0x0a2a0200}, {0xc0a8010c, 0}, {0xc0a8010c, 0x0a2a0300}};
static struct member of_endpoints[] = {{.set = MEMBERS_ENDPOINTS, .addr = 0x0a2a0101},
                                       {.set = MEMBERS_ENDPOINTS, .addr = 0x0a2a0105}};
static struct member of_hops[] = {{.set = MEMBERS_HOPS, .addr = 0x0a2a0200, .to = 0x0a2a0200}};
static struct member of_devices[] = {{.set = MEMBERS_DEVICES, .addr = 0x0a2a0101, .to = 7}};
static const struct member_list endpoints = {of_endpoints, ARRAY_LEN(of_endpoints)};
static const struct member_list hops = {of_hops, ARRAY_LEN(of_hops)};
static const struct member_list devices = {of_devices, ARRAY_LEN(of_devices)};

static struct firewall_spec node(void)
{
    return (struct firewall_spec){.subnet = net("10.42.1.0/24"),
                                  .cluster = net("10.42.0.0/16"),
                                  .peers = peers,
                                  .peer_count = ARRAY_LEN(peers),
                                  .endpoints = &endpoints,
                                  .devices = &devices,
                                  .hops = &hops,
                                  .has_overlay = true,
                                  .mtu_bytes = 1450,
                                  .has_short_cut = true};
}

static void a_nodes_table_reads_so(void **unused)
{
    const struct firewall_spec spec = node();
    AUTO_JSON json_t *ruleset = firewall_ruleset(&spec);

    assert_chain(ruleset, "prerouting",
                 "iifname == qv*; goto from_container\n"
                 "iifname == vxlan100; goto from_overlay\n"
                 "udp dport == 4789; goto vxlan\n"
                 "iifname == lo; accept\n"
                 "ip daddr == 127.0.0.0/8; counter loopback; drop\n"
                 "ip saddr == 10.42.0.0/16; counter outside; drop\n");
    assert_chain(ruleset, "from_container",
                 "nfproto != ipv4; counter not_ip4; drop\n"
                 "iifname . ip saddr . ether saddr != @endpoints; goto forged\n"
                 "ip daddr == 10.42.0.0/16; goto inside\n"
                 "udp dport == {4789, 8472}; counter vxlan_of_container; drop\n"
                 "th+64/64 == 576460752303449088; counter vxlan_of_container; drop\n"
                 "ip protocol == 4; counter tunnel; drop\n"
                 "ip daddr == 169.254.0.0/16; counter link_local; drop\n"
                 "ip daddr == 127.0.0.0/8; counter loopback; drop\n");
    assert_chain(ruleset, "inside",
                 "udp dport == 4789; counter vxlan_of_container; drop\n"
                 "ip daddr == 10.42.1.0; accept\n"
                 "notrack; accept\n");
    assert_chain(ruleset, "forged",
                 "fib oif by saddr+iif == 0; counter forged_source; drop\n"
                 "ip saddr == 0.0.0.0; counter forged_source; drop\n"
                 "counter forged_mac; drop\n");
    assert_chain(ruleset, "vxlan",
                 "priority := @peers[ip saddr]; notrack; accept\n"
                 "fib type by daddr != unicast; counter no_peer; drop\n");
    assert_chain(ruleset, "from_overlay",
                 "ip saddr & 255.255.255.0 . priority != @origins; counter other_origin; drop\n"
                 "ip daddr == 10.42.1.0; udp dport == 4789; counter vxlan_of_container; drop\n"
                 "ip daddr == 10.42.1.0; accept\n"
                 "ip daddr == 10.42.1.0/24; notrack; accept\n"
                 "counter stray; drop\n");
    assert_chain(ruleset, "output", "udp dport == 4789; notrack\n");
    assert_chain(ruleset, "input",
                 "iifname == qv*; goto to_host\n"
                 "iifname == vxlan100; ip saddr & 0.0.0.255 != 0.0.0.0; goto to_host\n"
                 "icmp code == frag-needed; th+136/8 != 6; priority := @peers[ip saddr]; "
                 "counter forged_error; drop\n");
    assert_chain(ruleset, "to_host",
                 "state in established; accept\n"
                 "icmp type == {destination-unreachable, source-quench, redirect, time-exceeded, "
                 "parameter-problem}; goto errors\n"
                 "icmp type == echo-request; accept\n"
                 "counter host; drop\n");
    assert_chain(ruleset, "forward",
                 "iifname != qv*; accept\n"
                 "ip daddr == 10.42.0.0/16; oifname == vxlan100; accept\n"
                 "ip daddr == 10.42.0.0/16; oifname == qv*; accept\n"
                 "ip daddr == 10.42.0.0/16; counter nowhere; drop\n"
                 "icmp type == {destination-unreachable, source-quench, redirect, time-exceeded, "
                 "parameter-problem}; goto errors\n"
                 "state in invalid; counter invalid; drop\n"
                 "state in established, related; accept\n"
                 "icmp type == echo-request; accept\n"
                 "priority := @peers[ip daddr]; counter peer_host; drop\n");
    assert_chain(ruleset, "postrouting",
                 "ip saddr == 10.42.1.0/24; udp dport == {4789, 8472}; ip daddr != 10.42.0.0/16; "
                 "counter vxlan_of_container; drop\n"
                 "ip saddr == 10.42.1.0/24; ip daddr != 10.42.0.0/16; oifname != qv*; "
                 "masquerade\n");
}

static void containers_tell_of_their_own_connections_and_change_no_way(void **unused)
{
    const struct firewall_spec spec = node();
    AUTO_JSON json_t *ruleset = firewall_ruleset(&spec);

    assert_chain(ruleset, "errors",
                 "icmp code == frag-needed; counter forged_error; drop\n"
                 "icmp type == redirect; counter forged_error; drop\n"
                 "priority := @peers[ip daddr]; counter forged_error; drop\n"
                 "iifname . original ip saddr . ether saddr == @endpoints; accept\n"
                 "iifname . reply ip saddr . ether saddr == @endpoints; accept\n"
                 "iifname == vxlan100; icmp code == port-unreachable; "
                 "original ip saddr & 255.255.255.0 . priority == @origins; accept\n"
                 "iifname == vxlan100; icmp code == port-unreachable; "
                 "reply ip saddr & 255.255.255.0 . priority == @origins; accept\n"
                 "counter forged_error; drop\n");
}

static void the_sets_say_who_may_send_what(void **unused)
{
    const struct firewall_spec spec = node();
    AUTO_JSON json_t *ruleset = firewall_ruleset(&spec);

    assert_members(ruleset, "map", "peers", "192.168.1.11, c0a8:10b; 192.168.1.12, c0a8:10c");
    assert_members(ruleset, "set", "origins", "10.42.2.0 . c0a8:10b; 10.42.3.0 . c0a8:10c");
    assert_members(ruleset, "set", "endpoints",
                   "qv0a2a0101 . 10.42.1.1 . 02:51:0a:2a:01:01; "
                   "qv0a2a0105 . 10.42.1.5 . 02:51:0a:2a:01:05");
}

static void without_a_subnet_nothing_gets_in_and_nothing_is_rewritten(void **unused)
{
    const struct firewall_spec spec = {.cluster = net("10.42.0.0/16")};
    AUTO_JSON json_t *ruleset = firewall_ruleset(&spec);

    assert_chain(ruleset, "from_overlay", "counter stray; drop\n");
    assert_chain(ruleset, "vxlan",
                 "priority := @peers[ip saddr]; notrack; accept\n"
                 "fib type by daddr != unicast; counter no_peer; drop\n");
    assert_members(ruleset, "map", "peers", "");
    assert_members(ruleset, "set", "endpoints", "");
    assert_chain(ruleset, "postrouting", "");
    /* The cluster's network is not known to be ours before. */
    assert_chain(ruleset, "prerouting",
                 "iifname == qv*; goto from_container\n"
                 "iifname == vxlan100; goto from_overlay\n"
                 "udp dport == 4789; goto vxlan\n"
                 "iifname == lo; accept\n"
                 "ip daddr == 127.0.0.0/8; counter loopback; drop\n");
}

static void what_the_operator_opens_is_open(void **unused)
{
    struct firewall_spec spec = node();
    AUTO_JSON json_t *some = NULL, *all = NULL;

    assert_int_equal(firewall_open(&spec.policy, "53/udp"), 0);
    assert_int_equal(firewall_open(&spec.policy, "53/tcp"), 0);
    assert_int_equal(firewall_open(&spec.policy, "metadata"), 0);
    some = firewall_ruleset(&spec);
    assert_chain(some, "to_host",
                 "state in established; accept\n"
                 "icmp type == {destination-unreachable, source-quench, redirect, time-exceeded, "
                 "parameter-problem}; goto errors\n"
                 "icmp type == echo-request; accept\n"
                 "l4proto . th dport == {17 . 53, 6 . 53}; accept\n"
                 "counter host; drop\n");
    assert_chain(some, "from_container",
                 "nfproto != ipv4; counter not_ip4; drop\n"
                 "iifname . ip saddr . ether saddr != @endpoints; goto forged\n"
                 "ip daddr == 10.42.0.0/16; goto inside\n"
                 "udp dport == {4789, 8472}; counter vxlan_of_container; drop\n"
                 "th+64/64 == 576460752303449088; counter vxlan_of_container; drop\n"
                 "ip protocol == 4; counter tunnel; drop\n"
                 "ip daddr == 169.254.169.254; accept\n"
                 "ip daddr == 169.254.0.0/16; counter link_local; drop\n"
                 "ip daddr == 127.0.0.0/8; counter loopback; drop\n");
    assert_int_equal(firewall_open(&spec.policy, "hosts"), 0);
    all = firewall_ruleset(&spec);
    assert_chain(all, "to_host",
                 "icmp type == {destination-unreachable, source-quench, redirect, time-exceeded, "
                 "parameter-problem}; goto errors\n");
    assert_chain(all, "forward",
                 "iifname != qv*; accept\n"
                 "ip daddr == 10.42.0.0/16; oifname == vxlan100; accept\n"
                 "ip daddr == 10.42.0.0/16; oifname == qv*; accept\n"
                 "ip daddr == 10.42.0.0/16; counter nowhere; drop\n"
                 "icmp type == {destination-unreachable, source-quench, redirect, time-exceeded, "
                 "parameter-problem}; goto errors\n"
                 "state in invalid; counter invalid; drop\n");
}

static void all_can_be_tracked(void **unused)
{
    struct firewall_spec spec = node();
    AUTO_JSON json_t *ruleset = NULL;

    spec.policy.is_all_tracked = true;
    ruleset = firewall_ruleset(&spec);
    assert_chain(ruleset, "inside",
                 "udp dport == 4789; counter vxlan_of_container; drop\n"
                 "ip daddr == 10.42.1.0; accept\n");
    assert_chain(ruleset, "from_overlay",
                 "ip saddr & 255.255.255.0 . priority != @origins; counter other_origin; drop\n"
                 "ip daddr == 10.42.1.0; udp dport == 4789; counter vxlan_of_container; drop\n"
                 "ip daddr == 10.42.1.0; accept\n"
                 "ip daddr == 10.42.1.0/24; accept\n"
                 "counter stray; drop\n");
}

static void words_that_open_are_read_strictly(void **unused)
{
    static const char *const wrong[] = {"",        "53",         "0/udp",   "65536/udp",
                                        "53/icmp", "/udp",       "-1/tcp",  "Hosts",
                                        "53/udp ", "53/udp/tcp", "+53/tcp", "metadata/1"};
    struct firewall_policy policy = {0};

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(firewall_open(&policy, wrong[i]), -EINVAL);
    assert_int_equal(policy.port_count, 0);
    for (uint16_t port = 1; port <= FIREWALL_PORTS_MAX; port++) {
        char word[16];

        (void)snprintf(word, sizeof word, "%u/tcp", port);
        assert_int_equal(firewall_open(&policy, word), 0);
        assert_int_equal(firewall_open(&policy, word), 0);
    }
    assert_int_equal(policy.port_count, FIREWALL_PORTS_MAX);
    assert_int_equal(firewall_open(&policy, "99/tcp"), -ENOSPC);
}

static void each_reason_has_a_counter_and_a_rule(void **unused)
{
    const struct firewall_spec spec = node();
    AUTO_JSON json_t *inet = firewall_ruleset(&spec), *netdev = frames_ruleset(&spec);

    for (size_t i = 0; i < FIREWALL_REASON_COUNT; i++) {
        const json_t *ruleset = i < FIREWALL_FRAMES_FIRST ? inet : netdev;
        AUTO_FREE char *text = json_to_text(ruleset);
        char rule[80];

        assert_non_null(find(ruleset, "counter", firewall_reasons[i]));
        (void)snprintf(rule, sizeof rule, "{\"counter\":\"%s\"},{\"drop\":null}",
                       firewall_reasons[i]);
        assert_non_null(strstr(text, rule));
    }
}

static void frames_are_of_ip4_or_dropped(void **unused)
{
    const struct firewall_spec spec = {.subnet = net("10.42.1.0/24")};
    AUTO_JSON json_t *ruleset = frames_ruleset(&spec), *door = frames_door(&spec, 0x0a2a0105);

    assert_chain(ruleset, "frames",
                 "ether type == arp; counter arp; drop\n"
                 "ether type == ip6; counter ipv6; drop\n"
                 "ether type == {8021q, 8021ad}; counter vlan; drop\n"
                 "counter frame; drop\n");
    assert_chain(door, "qv0a2a0105", "ether type != ip; goto frames\n");
    assert_string_equal(
        json_string_value(json_object_get(find(door, "chain", "qv0a2a0105"), "dev")), "qv0a2a0105");
}

static void a_door_is_known_among_others_by_its_device_and_its_rules(void **unused)
{
    const struct firewall_spec spec = node();
    AUTO_JSON json_t *listing = frames_ruleset(&spec), *bare = frames_ruleset(&spec);
    AUTO_JSON json_t *first = frames_door(&spec, 0x0a2a0105), *overlay = frames_overlay_door(&spec);
    AUTO_JSON json_t *second = frames_door(&spec, 0x0a2a0101), *rest = NULL, *names = NULL;

    json_array_extend(listing, first);
    json_array_extend(listing, overlay);
    assert_true(frames_has_door(listing, first));
    assert_true(frames_has_door(listing, overlay));
    assert_false(frames_has_door(listing, second));
    json_array_append(listing, json_array_get(second, 0));
    assert_false(frames_has_door(listing, second)); /* without its rules */
    json_array_append(listing, json_array_get(second, 2));
    json_array_append(listing, json_array_get(second, 1));
    assert_false(frames_has_door(listing, second)); /* in another order */
    names = frames_list_doors(listing);
    assert_int_equal(json_array_size(names), 3);
    assert_string_equal(json_string_value(json_array_get(names, 0)), "qv0a2a0105");
    assert_string_equal(json_string_value(json_array_get(names, 1)), "vxlan100");
    rest = frames_without_doors(listing);
    assert_true(json_equal(rest, bare));
    json_array_append(listing, json_array_get(first, 1));
    assert_false(frames_has_door(listing, first)); /* with one rule more */
}

static void the_short_cut_reads_so(void **unused)
{
    const struct firewall_spec spec = node();
    AUTO_JSON json_t *ruleset = frames_ruleset(&spec), *door = frames_door(&spec, 0x0a2a0105);
    AUTO_JSON json_t *overlay = frames_overlay_door(&spec);

    assert_chain(door, "qv0a2a0105",
                 "ether type != ip; goto frames\n"
                 "ll+0/112 == 0x251a9fe010102510a2a01050800; nh+0/8 == 69; "
                 "nh+64/32 & 4261412864 != 0; ip frag-off & 49151 == 0; ip saddr == 10.42.1.5; "
                 "goto short_cut\n");
    assert_chain(ruleset, "short_cut",
                 "length <= 1450; th dport != 4789; goto onward\n"
                 "l4proto == 6; goto onward\n");
    assert_chain(ruleset, "onward",
                 "fwd to @hops[ip daddr & 255.255.255.0] device vxlan100\n"
                 "goto arrive\n");
    assert_chain(ruleset, "arrive", "fwd to ip daddr device @veths[ip daddr]\n");
    assert_chain(overlay, "vxlan100",
                 "pkttype == host; ll+96/16 == 2048; nh+0/8 == 69; "
                 "nh+64/32 & 4261412864 != 0; ip frag-off & 49151 == 0; ip saddr & 255.255.255.0 . "
                 "priority == @origins; "
                 "goto from_overlay\n");
    assert_chain(ruleset, "from_overlay",
                 "length <= 1450; th dport != 4789; goto arrive\n"
                 "l4proto == 6; goto arrive\n");
    assert_members(ruleset, "map", "hops", "10.42.2.0, 10.42.2.0");
    assert_members(ruleset, "map", "veths", "10.42.1.1, qv0a2a0101");
    assert_members(ruleset, "set", "origins", "10.42.2.0 . c0a8:10b; 10.42.3.0 . c0a8:10c");
}

/* Of a cluster of 256 subnets with 256 addresses each, twice. */
static void sets_have_room_for_all_that_there_can_be(void **unused)
{
    struct firewall_spec spec = node();

    assert_int_equal(firewall_peer_room(&spec), 512);
    assert_int_equal(firewall_endpoint_room(&spec), 512);
    spec.peer_count = 257;
    assert_int_equal(firewall_peer_room(&spec), 1024);
    spec.subnet = spec.cluster = (struct ip4_prefix){0};
    assert_int_equal(firewall_peer_room(&spec), 131072);
    assert_int_equal(firewall_endpoint_room(&spec), 131072);
}

static void without_an_overlay_the_short_cut_ends_on_this_node(void **unused)
{
    struct firewall_spec spec = node();
    AUTO_JSON json_t *ruleset = NULL;

    spec.has_overlay = false;
    ruleset = frames_ruleset(&spec);
    assert_chain(ruleset, "onward", "goto arrive\n");
}

static void without_its_members_a_table_is_that_of_a_node_alone(void **unused)
{
    struct firewall_spec spec = node();
    AUTO_JSON json_t *with = firewall_ruleset(&spec), *bare = firewall_without_members(with);
    AUTO_JSON json_t *alone = NULL, *bare_alone = NULL;

    spec.peer_count = 0;
    spec.endpoints = NULL;
    alone = firewall_ruleset(&spec);
    bare_alone = firewall_without_members(alone);
    assert_true(json_equal(bare, bare_alone));
    assert_false(json_equal(with, alone));
}

static void peers_are_sorted_and_each_is_there_once(void **unused)
{
    struct firewall_peer list[] = {{7, 1}, {3, 2}, {0, 5}, {7, 1}, {7, 0}, {0xffffffff, 1}};

    assert_int_equal(firewall_sort_peers(list, ARRAY_LEN(list)), 4);
    assert_int_equal(list[0].host, 3);
    assert_int_equal(list[1].host, 7);
    assert_int_equal(list[1].subnet, 0);
    assert_int_equal(list[2].subnet, 1);
    assert_int_equal(list[3].host, 0xffffffff);
    assert_int_equal(firewall_sort_peers(list, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nodes_table_reads_so),
        cmocka_unit_test(containers_tell_of_their_own_connections_and_change_no_way),
        cmocka_unit_test(the_sets_say_who_may_send_what),
        cmocka_unit_test(without_a_subnet_nothing_gets_in_and_nothing_is_rewritten),
        cmocka_unit_test(what_the_operator_opens_is_open),
        cmocka_unit_test(all_can_be_tracked),
        cmocka_unit_test(words_that_open_are_read_strictly),
        cmocka_unit_test(each_reason_has_a_counter_and_a_rule),
        cmocka_unit_test(frames_are_of_ip4_or_dropped),
        cmocka_unit_test(a_door_is_known_among_others_by_its_device_and_its_rules),
        cmocka_unit_test(the_short_cut_reads_so),
        cmocka_unit_test(sets_have_room_for_all_that_there_can_be),
        cmocka_unit_test(without_an_overlay_the_short_cut_ends_on_this_node),
        cmocka_unit_test(without_its_members_a_table_is_that_of_a_node_alone),
        cmocka_unit_test(peers_are_sorted_and_each_is_there_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
