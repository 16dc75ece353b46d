/* The doctor on the host: its underlay, devices, routes, rules and settings. */
#include "tests/unit/cli/doctor_rows.h"

#include <string.h>

static const struct link_info set_down[] = {{.ifindex = 2, .name = "eth0", .has_carrier = true}};
static const struct link_info unplugged[] = {{.ifindex = 2, .name = "eth0", .is_up = true}};
static const struct link_info plugged[] = {
    {.ifindex = 2, .name = "eth0", .is_up = true, .has_carrier = true}};
static const struct link_info rivals[] = {
    {.ifindex = 2, .name = "eth0", .kind = "veth", .is_up = true},
    {.ifindex = 3,
     .name = "cilium_vxlan",
     .kind = "vxlan",
     .is_up = true,
     .vxlan = {.port = 4789, .is_external = true}},
};
static const struct link_info lying_rivals[] = {
    {.ifindex = 3, .name = "flannel.1", .kind = "vxlan", .vxlan = {.vni = 100, .port = 4789}},
};
static const struct link_info harmless[] = {
    {.ifindex = 2,
     .name = "cilium_vxlan",
     .kind = "vxlan",
     .vxlan = {.port = 4789, .is_external = true}},
    {.ifindex = 3,
     .name = "vxlan7",
     .kind = "vxlan",
     .is_up = true,
     .vxlan = {.vni = 100, .port = 8472}},
};
static const struct link_info of_another[] = {
    {.ifindex = 3, .name = "vxlan100", .kind = "vxlan", .is_up = true}};
static const struct link_info twice_taken[] = {
    {.ifindex = 2, .name = "vxlan100", .kind = "bridge"},
    {.ifindex = 3, .name = "flannel.1", .kind = "vxlan", .vxlan = {.vni = 100, .port = 4789}},
};

#define AT_HOST(members) "{\"node_id\":\"id\",\"host_ip\":\"192.168.1.10\"" members "}"
#define AWAY ",\"control_plane\":{\"mode\":\"away\",\"error\":\"unreachable\"}"
#define HOST 0xc0a8010a

#define ALL(of_table)                              \
    {                                              \
        .action = FR_ACT_TO_TBL, .table = of_table \
    }
#define TO_MESH(does)                                           \
    {                                                           \
        .priority = 100, .to = {0x0a2a0000, 16}, .action = does \
    }
#define TO_VTEP(why, of_table)                                                                  \
    {                                                                                           \
        .asked = {.to = 0x0a2a0200}, .answer = {.error = why, .ifindex = 2, .table = of_table } \
    }
#define TO_HOST                                                                                  \
    {                                                                                            \
        .asked = {.to = 0xc0a8010b, .protocol = 17, .port = 4789}, .answer = {.error = -EINVAL}, \
        .is_underlay = true                                                                      \
    }

static const struct doctor_row rows[] = {
    /* Below all: what follows from it is not told. */
    {.causes = "", .agent = AT_HOST(""), .addr = HOST, .links = plugged, .link_count = 1},
    {.causes = "host-ip-gone",
     .agent = AT_HOST(",\"problems\":[\"a\"]"),
     .addr = HOST + 1,
     .has_no_control = true},
    {.causes = "host-ip-gone", .agent = AT_HOST("")},
    {.causes = "underlay-down",
     .agent = AT_HOST(",\"problems\":[\"a\"]"),
     .addr = HOST,
     .links = set_down,
     .link_count = 1,
     .has_no_control = true},
    {.causes = "underlay-down",
     .agent = AT_HOST(AWAY),
     .addr = HOST,
     .links = set_down,
     .link_count = 1},
    /* Unless it did answer, by loopback say. */
    {.causes = "underlay-down control-plane-ill",
     .agent = AT_HOST(""),
     .addr = HOST,
     .links = set_down,
     .link_count = 1,
     .is_control_ill = true},
    {.causes = "host-ip-gone control-plane-untrusted",
     .agent = AT_HOST(AWAY),
     .is_control_untrusted = true},
    {.causes = "host-ip-gone control-plane-untrusted",
     .agent = AT_HOST(",\"control_plane\":{\"untrusted\":true,\"error\":\"another CA\"}")},
    {.causes = "host-ip-gone control-plane-error", .agent = AT_HOST(""), .is_control_odd = true},
    /* Another device leads out. */
    {.causes = "",
     .agent = AT_HOST(""),
     .addr = HOST,
     .links = unplugged,
     .link_count = 1,
     .passes_without_carrier = true},
    {.causes = "control-plane-away peer-unreachable",
     .agent = AT_HOST(""),
     .addr = HOST,
     .links = unplugged,
     .link_count = 1,
     .passes_without_carrier = true,
     .path = {NAMED},
     .has_no_control = true},
    {.causes = "underlay-down",
     .agent = AT_HOST(""),
     .addr = HOST,
     .links = unplugged,
     .link_count = 1},
    {.causes = "", .agent = AT_HOST(""), .has_no_addrs = true},
    {.causes = "not-tried", .agent = AT_HOST(""), .has_no_links = true, .blind = "the devices"},
    {.causes = "", .agent = AT_HOST(",\"dataplane\":\"none\"")},
    {.causes = "vxlan-taken", .links = rivals, .link_count = ARRAY_LEN(rivals)},
    {.causes = "vxlan-taken", .links = lying_rivals, .link_count = ARRAY_LEN(lying_rivals)},
    {.causes = "", .links = harmless, .link_count = ARRAY_LEN(harmless)},
    {.causes = "port-taken", .links = rivals, .link_count = 1, .port_owner = "x (pid 1)"},
    {.causes = "device-name-taken", .links = of_another, .link_count = 1},
    {.causes = "device-name-taken vxlan-taken",
     .links = twice_taken,
     .link_count = ARRAY_LEN(twice_taken)},
    /* Inside the cluster, whoever it leads to; around it, when its hosts are on the link. */
    {.causes = "cidr-overlap",
     .route = {.dst = {0x0a2a8000, 17}, .gateway = 1, .ifindex = 2, .type = RTN_UNICAST}},
    {.causes = "cidr-overlap",
     .route = {.dst = {0x0a000000, 8}, .ifindex = 2, .type = RTN_UNICAST}},
    {.causes = "",
     .route = {.dst = {0x0a000000, 8}, .gateway = 1, .ifindex = 2, .type = RTN_UNICAST}},
    {.causes = "", .route = {.dst = {0x0a2a0200, 24}, .ifindex = 3, .protocol = 81}},
    /* A rule that fits, and whose doing it is. */
    {.causes = "foreign-rule",
     .rules = {TO_MESH(FR_ACT_BLACKHOLE), ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "foreign-rule",
     .rules = {ALL(254), TO_MESH(FR_ACT_PROHIBIT)},
     .stray = TO_VTEP(-EACCES, 0)},
    {.causes = "",
     .rules = {TO_MESH(FR_ACT_BLACKHOLE), ALL(254)},
     .stray = TO_VTEP(-ENETUNREACH, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .to = {0x0a2b0000, 16}}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .is_inverted = true}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .is_special = true}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .mark = 1, .mark_mask = 1}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "foreign-rule",
     .rules = {{.action = FR_ACT_BLACKHOLE, .in_device = "lo"}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .in_device = "eth0"}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .protocol = 17, .port_first = 4000, .port_last = 5000},
               ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_GOTO, .goes_to = 9},
               {.priority = 8, .action = FR_ACT_BLACKHOLE},
               {.priority = 9, .action = FR_ACT_TO_TBL, .table = 254}},
     .stray = TO_VTEP(-EINVAL, 0)},
    /* Another table: where its route leads elsewhere, or says no; not that the main one has none.
     */
    {.causes = "foreign-rule", .rules = {ALL(254), ALL(77)}, .stray = TO_VTEP(0, 77)},
    {.causes = "", .rules = {ALL(77), ALL(254)}, .stray = TO_VTEP(0, 254)},
    {.causes = "foreign-rule", .rules = {ALL(77), ALL(254)}, .stray = TO_VTEP(-EHOSTUNREACH, 0)},
    {.causes = "", .rules = {ALL(77), ALL(254)}, .stray = TO_VTEP(-ENETUNREACH, 0)},
    {.causes = "",
     .rules = {ALL(77), ALL(254)},
     .stray = {.asked = {.to = 0x0a2a0200, .in_ifindex = 2}, .answer = {.error = -EINVAL}}},
    /* A peer that it makes silent is explained by it. */
    {.causes = "foreign-rule",
     .path = {NAMED},
     .rules = {ALL(254),
               {.action = FR_ACT_BLACKHOLE, .protocol = 17, .port_first = 4789, .port_last = 4789}},
     .stray = TO_HOST},
    {.causes = "peer-unreachable", .path = {NAMED}, .rules = {ALL(254)}, .stray = TO_HOST},
    {.causes = "address-twice",
     .agent = AT_HOST(",\"peers\":[{\"host_ip\":\"192.168.1.10\",\"status\":\"up\"}]"),
     .links = plugged,
     .link_count = 1,
     .addr = HOST},
    {.causes = "",
     .agent = AT_HOST(",\"peers\":[{\"host_ip\":\"192.168.1.10\",\"status\":\"down\"}]"),
     .links = plugged,
     .link_count = 1,
     .addr = HOST},
    {.causes = "networkd-manages", .networkd = "vxlan100"},
    {.causes = "nm-cloud-setup", .has_nm_cloud_setup = true},
    {.causes = "ip-forward-off", .has_no_forwarding = true},
    {.causes = "ip-forward-off", .is_overlay_deaf = true},
    {.causes = "ip-forward-off", .is_overlay_deaf = true, .has_no_forwarding = true},
    {.causes = "conntrack-full", .conntrack_count = 900},
    {.causes = "", .conntrack_count = 899},
    {.causes = "neighbours-full", .neigh_count = 1000},
    {.causes = "disk-full", .free_bytes = (16 << 20) - 1},
};

static void each_cause_is_named_and_nothing_else(void **state)
{
    assert_causes(rows, ARRAY_LEN(rows));
}

/* A new name does not mend what its VNI and port are in the way of; a card cannot be deleted. */
static void a_device_of_our_name_is_mended_by_what_it_is(void **state)
{
    static const struct {
        struct link_info link;
        bool is_renamed, is_deleted;
    } cases[] = {
        {{.kind = "vxlan", .vxlan = {.vni = 100, .port = 4789}}, false, true},
        {{.kind = "vxlan", .is_up = true, .vxlan = {.port = 4789, .is_external = true}},
         false,
         true},
        {{.kind = "vxlan", .vxlan = {.vni = 100, .port = 8472}}, true, true},
        {{.kind = "bridge"}, true, true},
        {{.kind = ""}, true, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(findings_deinit) struct findings findings = {0};
        struct link_info link = cases[i].link;
        const struct facts f = {.links = &link, .link_count = 1};

        memcpy(link.name, "vxlan100", sizeof "vxlan100");
        check_devices(&f, &findings);
        assert_int_equal(findings.count, 1);
        assert_string_equal(findings.items[0].cause, "device-name-taken");
        assert_int_equal(!!strstr(findings.items[0].mend, "vxlan100 name "), cases[i].is_renamed);
        assert_int_equal(!!strstr(findings.items[0].mend, "ip link del vxlan100"),
                         cases[i].is_deleted);
        assert_non_null(strstr(findings.items[0].mend, "it is not the mesh's"));
    }
}

static void what_is_down_below_is_mended_by_how_it_is_down(void **state)
{
    static const struct {
        const struct link_info *links;
        uint32_t addr;
        const char *shows, *mend;
    } cases[] = {
        {set_down, HOST, "eth0 has been set down", "ip link set eth0 up;"},
        {unplugged, HOST, "eth0 is up and has no carrier", "see to its cable"},
        {plugged, HOST + 1, "it has only 192.168.1.11 on eth0",
         "ip addr add 192.168.1.10/PREFIX dev eth0 "},
        {plugged, 0, "it has no address but loopback's",
         "ip addr add 192.168.1.10/PREFIX dev eth0 "},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_JSON json_t *agent = doctor_parse(AT_HOST(""));
        CLEANUP(findings_deinit) struct findings findings = {0};
        struct addr_entry addr = {.ifindex = 2, .addr = cases[i].addr};
        const struct facts f = {.agent = agent,
                                .links = (struct link_info *)cases[i].links,
                                .link_count = 1,
                                .addrs = &addr,
                                .addr_count = addr.addr != 0,
                                .has_addrs = true};

        check_underlay(&f, &findings);
        assert_int_equal(findings.count, 1);
        assert_string_equal(findings.items[0].shows, cases[i].shows);
        assert_ptr_equal(strstr(findings.items[0].mend, cases[i].mend), findings.items[0].mend);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cause_is_named_and_nothing_else),
        cmocka_unit_test(a_device_of_our_name_is_mended_by_what_it_is),
        cmocka_unit_test(what_is_down_below_is_mended_by_how_it_is_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
