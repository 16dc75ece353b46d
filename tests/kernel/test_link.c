/* Devices: VXLAN ones with all that makes them ours, veth pairs, and leaving others alone. */
#include "lib/net/link.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "lib/net/addr.h"
#include "lib/net/netns.h"
#include "lib/net/veth.h"
#include "lib/net/vxlan.h"
#include "tests/kernel/lab.h"

static const struct vxlan_spec spec = {.name = "vxlan100",
                                       .alias = "quilt:7f3a",
                                       .vni = 100,
                                       .port = 4789,
                                       .local = 0xc0a80a0b,
                                       .mac = {{2, 0x51, 10, 42, 1, 0}},
                                       .mtu_bytes = 1450};

static void a_vxlan_device_is_as_specified_from_its_creation(void **state)
{
    struct link_info info;
    const char *difference = NULL;

    assert_ok(vxlan_create(*state, &spec));
    assert_ok(link_get(*state, "vxlan100", &info));
    assert_string_equal(info.kind, "vxlan");
    assert_string_equal(info.alias, "quilt:7f3a");
    assert_true(mac_equal(info.mac, spec.mac));
    assert_int_equal(info.mtu_bytes, 1450);
    assert_false(info.is_up || info.has_carrier);
    assert_int_equal(info.vxlan.vni, 100);
    assert_int_equal(info.vxlan.port, 4789);
    assert_int_equal(info.vxlan.local, 0xc0a80a0b);
    assert_int_equal(info.vxlan.remote, 0);
    assert_int_equal(info.vxlan.lower_ifindex, 0);
    assert_false(info.vxlan.is_learning);
    assert_false(info.vxlan.is_external);
    assert_true(vxlan_matches(&info, &spec, &difference));
    assert_ok(link_set_up(*state, info.ifindex, true));
    assert_ok(link_get_by_index(*state, info.ifindex, &info));
    assert_true(info.is_up && info.has_carrier);
    assert_int_equal(info.mtu_bytes, 1450);
    assert_true(mac_equal(info.mac, spec.mac));
}

static void iproute2_sees_the_same_device(void **state)
{
    AUTO_FREE char *shown = NULL;

    assert_ok(vxlan_create(*state, &spec));
    shown = lab_run("ip", "-d", "link", "show", "vxlan100", NULL);
    assert_non_null(strstr(shown, "mtu 1450"));
    assert_non_null(strstr(shown, "vxlan id 100 local 192.168.10.11 "));
    assert_non_null(strstr(shown, "dstport 4789 nolearning"));
    assert_non_null(strstr(shown, "link/ether 02:51:0a:2a:01:00"));
    assert_non_null(strstr(shown, "alias quilt:7f3a"));
    assert_null(strstr(shown, " dev "));
    assert_null(strstr(shown, "remote"));
}

static void an_mtu_over_1500_is_exact_too(void **state)
{
    struct vxlan_spec jumbo = spec;
    struct link_info info;

    jumbo.mtu_bytes = 8950;
    assert_ok(vxlan_create(*state, &jumbo));
    assert_ok(link_get(*state, "vxlan100", &info));
    assert_int_equal(info.mtu_bytes, 8950);
}

static void a_taken_name_is_refused_and_its_owner_untouched(void **state)
{
    AUTO_FREE char *before = NULL;
    AUTO_FREE char *after = NULL;

    lab_do("ip", "link", "add", "vxlan100", "type", "veth", "peer", "name", "p0");
    before = lab_run("ip", "-d", "link", NULL);
    assert_error(vxlan_create(*state, &spec), EEXIST);
    assert_non_null(strstr(err_text(), "vxlan100"));
    after = lab_run("ip", "-d", "link", NULL);
    assert_string_equal(after, before);
}

static void a_second_device_with_the_same_vni_and_port_is_refused(void **state)
{
    struct vxlan_spec second = spec;
    struct link_info info;

    second.name = "vxlan101";
    assert_ok(vxlan_create(*state, &spec));
    assert_error(vxlan_create(*state, &second), EEXIST);
    assert_error(link_get(*state, "vxlan101", &info), ENODEV);
}

static void going_up_names_the_device_in_the_way(void **state)
{
    lab_do("ip", "link", "add", "flannel.1", "type", "vxlan", "external", "dstport", "4789");
    lab_do("ip", "link", "set", "flannel.1", "up");
    assert_ok(vxlan_create(*state, &spec));
    assert_true(vxlan_set_up(*state, lab_ifindex(*state, "vxlan100")) < 0);
    assert_non_null(strstr(err_text(), "flannel.1"));
    assert_non_null(strstr(err_text(), "4789"));
}

static void bad_names_and_aliases_never_reach_the_kernel(void **state)
{
    struct vxlan_spec bad = spec;
    char alias[LINK_ALIAS_MAX + 1];
    struct link_info info;

    bad.name = "a/b";
    assert_error(vxlan_create(*state, &bad), EINVAL);
    memset(alias, 'a', LINK_ALIAS_MAX);
    alias[LINK_ALIAS_MAX] = '\0';
    bad = spec;
    bad.alias = alias;
    assert_error(vxlan_create(*state, &bad), EINVAL);
    assert_error(link_get(*state, "", &info), EINVAL);
    assert_error(link_set_alias(*state, 1, alias), EINVAL);
    alias[LINK_ALIAS_MAX - 1] = '\0';
    assert_ok(vxlan_create(*state, &bad));
    assert_ok(link_get(*state, "vxlan100", &info));
    assert_string_equal(info.alias, alias);
}

static void what_is_altered_by_hand_can_be_set_back(void **state)
{
    struct mac mac = {{2, 0x51, 10, 42, 7, 0}};
    struct link_info info;
    int ifindex = lab_vxlan(*state);

    assert_ok(link_set_mtu(*state, ifindex, 1400));
    assert_ok(link_set_mac(*state, ifindex, mac));
    assert_ok(link_set_alias(*state, ifindex, "quilt:other"));
    assert_ok(link_set_up(*state, ifindex, false));
    assert_ok(link_get_by_index(*state, ifindex, &info));
    assert_int_equal(info.mtu_bytes, 1400);
    assert_true(mac_equal(info.mac, mac));
    assert_string_equal(info.alias, "quilt:other");
    assert_false(info.is_up);
}

static void deleting_is_idempotent(void **state)
{
    struct link_info info;
    int ifindex = lab_vxlan(*state);

    assert_ok(link_delete(*state, ifindex));
    assert_ok(link_delete(*state, ifindex));
    assert_error(link_get(*state, "vxlan100", &info), ENODEV);
    assert_error(link_get_by_index(*state, ifindex, &info), ENODEV);
}

static void a_dump_lists_one_kind_or_all(void **state)
{
    AUTO_FREE struct link_info *links = NULL;
    size_t count;

    (void)lab_vxlan(*state);
    lab_do("ip", "link", "add", "d0", "type", "veth", "peer", "name", "p0");
    assert_ok(link_dump(*state, "vxlan", &links, &count));
    assert_int_equal(count, 1);
    assert_string_equal(links[0].name, "vxlan100");
    free(TAKE_PTR(links));
    assert_ok(link_dump(*state, "nosuchkind", &links, &count));
    assert_int_equal(count, 0);
    assert_null(links);
    assert_ok(link_dump(*state, NULL, &links, &count));
    assert_true(count >= 4); /* lo, vxlan100, d0, p0; some kernels add tunnels of their own */
}

/* A second namespace, to hang the other end in. */
static int other_netns(void)
{
    struct netns_id id;
    int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int other;
    char path[64];

    assert_true(own >= 0);
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    other = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_int_equal(setns(own, CLONE_NEWNET), 0);
    close(own);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", other);
    assert_ok(netns_open(path, &own, &id));
    close(other);
    return own;
}

static void a_veth_pair_has_one_end_in_each_namespace(void **state)
{
    AUTO_CLOSE int netns_fd = other_netns();
    const struct veth_spec pair = {.name = "qv1",
                                   .alias = "quilt:endpoint",
                                   .mac = {{2, 0, 0, 0, 0, 1}},
                                   .peer_name = "eth0",
                                   .peer_mac = {{2, 0, 0, 0, 0, 2}},
                                   .peer_netns_fd = netns_fd,
                                   .mtu_bytes = 1450};
    struct nl *inside = NULL;
    struct link_info host;
    struct link_info peer;

    assert_ok(veth_create(*state, &pair));
    assert_error(veth_create(*state, &pair), EEXIST);
    assert_ok(link_get(*state, "qv1", &host));
    assert_ok(nl_open_in(netns_fd, &inside));
    assert_ok(link_get(inside, "eth0", &peer));
    nl_close(inside);
    assert_string_equal(host.kind, "veth");
    assert_string_equal(host.alias, "quilt:endpoint");
    assert_true(mac_equal(host.mac, pair.mac));
    assert_true(mac_equal(peer.mac, pair.peer_mac));
    assert_int_equal(host.mtu_bytes, 1450);
    assert_int_equal(peer.mtu_bytes, 1450);
    assert_int_equal(host.peer_ifindex, peer.ifindex);
    assert_int_equal(peer.peer_ifindex, host.ifindex);
    assert_error(link_get(*state, "eth0", &peer), ENODEV);
}

static void a_taken_name_inside_creates_nothing_outside(void **state)
{
    AUTO_CLOSE int netns_fd = other_netns();
    struct veth_spec pair = {.name = "qv1",
                             .alias = "quilt:endpoint",
                             .mac = {{2, 0, 0, 0, 0, 1}},
                             .peer_name = "eth0",
                             .peer_mac = {{2, 0, 0, 0, 0, 2}},
                             .peer_netns_fd = netns_fd,
                             .mtu_bytes = 1450};
    struct link_info info;

    assert_ok(veth_create(*state, &pair));
    pair.name = "qv2";
    assert_error(veth_create(*state, &pair), EEXIST);
    assert_error(link_get(*state, "qv2", &info), ENODEV);
}

static void addresses_come_and_go(void **state)
{
    AUTO_FREE struct addr_entry *entries = NULL;
    struct addr_entry entry = {.ifindex = lab_vxlan(*state), .addr = 0x0a2a0100, .prefix_len = 32};
    size_t count;

    assert_ok(addr_add(*state, &entry));
    assert_ok(addr_add(*state, &entry));
    lab_do("ip", "link", "add", "d0", "type", "veth", "peer", "name", "p0");
    lab_do("ip", "addr", "add", "198.51.100.1/24", "dev", "d0");
    assert_ok(addr_dump(*state, entry.ifindex, &entries, &count));
    assert_int_equal(count, 1);
    assert_int_equal(entries[0].ifindex, entry.ifindex);
    assert_int_equal(entries[0].addr, 0x0a2a0100);
    assert_int_equal(entries[0].prefix_len, 32);
    assert_int_equal(entries[0].scope, 0);
    free(TAKE_PTR(entries));
    assert_ok(addr_dump(*state, 0, &entries, &count));
    assert_int_equal(count, 3); /* and 127.0.0.1 */
    assert_ok(addr_delete(*state, &entry));
    assert_ok(addr_delete(*state, &entry));
    free(TAKE_PTR(entries));
    assert_ok(addr_dump(*state, entry.ifindex, &entries, &count));
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_vxlan_device_is_as_specified_from_its_creation),
        LAB_TEST(iproute2_sees_the_same_device),
        LAB_TEST(an_mtu_over_1500_is_exact_too),
        LAB_TEST(a_taken_name_is_refused_and_its_owner_untouched),
        LAB_TEST(a_second_device_with_the_same_vni_and_port_is_refused),
        LAB_TEST(going_up_names_the_device_in_the_way),
        LAB_TEST(bad_names_and_aliases_never_reach_the_kernel),
        LAB_TEST(what_is_altered_by_hand_can_be_set_back),
        LAB_TEST(deleting_is_idempotent),
        LAB_TEST(a_dump_lists_one_kind_or_all),
        LAB_TEST(a_veth_pair_has_one_end_in_each_namespace),
        LAB_TEST(a_taken_name_inside_creates_nothing_outside),
        LAB_TEST(addresses_come_and_go),
    };

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
