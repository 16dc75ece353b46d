/* Requests: each field with values that are wrong, and the words that say so. */
#include "runtime/requests.h"

#include <string.h>

#include "tests/unit/runtime/testing.h"

#define BOOT "00000000-0000-4000-8000-000000000001"

static void check(int r, const char *want_text)
{
    if (!want_text) {
        assert_int_equal(r, 0);
        return;
    }
    assert_int_equal(r, -EINVAL);
    assert_string_equal(err_text(), want_text);
}

static void a_subnet_is_a_node_network_inside_the_cluster(void **unused)
{
    static const struct {
        const char *subnet, *cluster, *text;
    } cases[] = {
        {"10.42.1.0/24", "", NULL},
        {"10.42.255.0/24", "10.42.0.0/16", NULL},
        {"10.42.1.64/26", "10.42.0.0/16", NULL},
        {"172.16.5.0/24", "172.16.0.0/12", NULL},
        {"", "", "subnet: is missing"},
        {"banana", "", "subnet: 'banana' is not an IPv4 network such as 10.42.1.0/24"},
        {"10.42.1.0", "", "subnet: '10.42.1.0' is not an IPv4 network such as 10.42.1.0/24"},
        {"10.42.1.0/33", "", "subnet: '10.42.1.0/33' is not an IPv4 network such as 10.42.1.0/24"},
        {"10.42.1.5/24", "",
         "subnet: '10.42.1.5/24' has host bits set; the network is "
         "10.42.1.0/24"},
        {"10.43.1.0/24", "",
         "subnet: '10.43.1.0/24' is not inside the cluster's network 10.42.0.0/16"},
        {"10.0.0.0/8", "", "subnet: '10.0.0.0/8' is not inside the cluster's network 10.42.0.0/16"},
        {"10.42.0.0/16", "",
         "subnet: '10.42.0.0/16' is no part but the whole of the cluster's "
         "10.42.0.0/16"},
        {"10.42.1.0/25", "", "subnet: '10.42.1.0/25' is not of a node's size, which is /24 here"},
        {"10.42.1.4/31", "10.42.0.0/16",
         "subnet: '10.42.1.4/31' must have a prefix length from 16 to 30"},
        {"10.0.0.0/15", "10.0.0.0/8",
         "subnet: '10.0.0.0/15' must have a prefix length from 16 to 30"},
        {"10.42.1.0/24", "10.42.0.0",
         "cluster_cidr: '10.42.0.0' is not an IPv4 network such as 10.42.1.0/24"},
        {"10.42.1.0/24", "10.42.1.0/16",
         "cluster_cidr: '10.42.1.0/16' has host bits set; the network is 10.42.0.0/16"},
        {"10.42.1.0/24", "0.0.0.0/0", "cluster_cidr: '0.0.0.0/0' is larger than a /8"},
        {"127.0.1.0/24", "127.0.0.0/8",
         "cluster_cidr: '127.0.0.0/8' holds no addresses that hosts can have"},
        {"224.0.1.0/24", "224.0.0.0/8",
         "cluster_cidr: '224.0.0.0/8' holds no addresses that hosts can have"},
        {"169.254.2.0/24", "169.254.0.0/16",
         "cluster_cidr: '169.254.0.0/16' holds the containers' gateway 169.254.1.1"},
    };
    struct subnet_request request;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(request_read_subnet(cases[i].subnet, cases[i].cluster, &request), cases[i].text);
}

static void a_route_leads_to_another_nodes_network(void **unused)
{
    static const struct {
        const char *dst, *via, *gateway, *text;
    } cases[] = {
        {"10.42.2.0/24", "vxlan100", "", NULL},
        {"10.42.2.0/24", "vxlan100", "10.42.2.0", NULL},
        {"", "vxlan100", "", "destination: is missing"},
        {"10.42.2.0", "vxlan100", "",
         "destination: '10.42.2.0' is not an IPv4 network such as 10.42.1.0/24"},
        {"10.42.2.1/24", "vxlan100", "",
         "destination: '10.42.2.1/24' has host bits set; the network is 10.42.2.0/24"},
        {"10.43.2.0/24", "vxlan100", "",
         "destination: '10.43.2.0/24' is not inside the cluster's network 10.42.0.0/16"},
        {"0.0.0.0/0", "vxlan100", "",
         "destination: '0.0.0.0/0' is not inside the cluster's network 10.42.0.0/16"},
        {"10.42.2.0/25", "vxlan100", "",
         "destination: '10.42.2.0/25' is not of a node's size, which is /24 here"},
        {"10.42.1.0/24", "vxlan100", "", "destination: '10.42.1.0/24' is this node's own subnet"},
        {"10.42.2.0/24", "", "", "via_interface: is missing"},
        {"10.42.2.0/24", "a/b", "", "via_interface: 'a/b' is not an interface name"},
        {"10.42.2.0/24", "sixteen-letters-", "",
         "via_interface: 'sixteen-letters-' is not an interface name (1 to 15 characters)"},
        {"10.42.2.0/24", "lo", "", "via_interface: 'lo' leads to no other node"},
        {"10.42.2.0/24", "qv0a2a0105", "",
         "via_interface: 'qv0a2a0105' is a container's, not a way to another node"},
        {"10.42.2.0/24", "vxlan100", "10.42.2.0/24",
         "gateway: '10.42.2.0/24' is not an IPv4 address"},
        {"10.42.2.0/24", "vxlan100", "10.42.02.1", "gateway: '10.42.02.1' is not an IPv4 address"},
        {"10.42.2.0/24", "vxlan100", "127.0.0.1",
         "gateway: '127.0.0.1' is no address that a host can have"},
        {"10.42.2.0/24", "vxlan100", "224.0.0.1",
         "gateway: '224.0.0.1' is no address that a host can have"},
    };
    struct state state;
    struct route route;

    state_init(&state, BOOT);
    assert_int_equal(state_configure(&state, net("10.42.1.0/24"), MESH_CLUSTER_DEFAULT), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(request_read_route(&state, cases[i].dst, cases[i].via, cases[i].gateway, &route),
              cases[i].text);
    state_deinit(&state);
}

static void before_the_subnet_is_known_routes_are_checked_against_the_defaults(void **unused)
{
    struct ip4_prefix dst;
    struct state state;

    state_init(&state, BOOT);
    check(request_read_destination(&state, "10.42.2.0/24", &dst), NULL);
    assert_true(ip4_prefix_equal(dst, net("10.42.2.0/24")));
    check(request_read_destination(&state, "10.42.2.0/26", &dst),
          "destination: '10.42.2.0/26' is not of a node's size, which is /24 here");
    state_deinit(&state);
}

static void route_destinations_have_the_size_of_the_nodes_own_network(void **unused)
{
    struct ip4_prefix dst;
    struct state state;

    state_init(&state, BOOT);
    assert_int_equal(state_configure(&state, net("10.42.1.0/26"), MESH_CLUSTER_DEFAULT), 0);
    check(request_read_destination(&state, "10.42.1.64/26", &dst), NULL);
    check(request_read_destination(&state, "10.42.2.0/24", &dst),
          "destination: '10.42.2.0/24' is not of a node's size, which is /26 here");
    state_deinit(&state);
}

static void an_endpoint_is_named_by_id_and_interface(void **unused)
{
    static const struct {
        const char *id, *ifname, *text;
    } cases[] = {
        {"c1", "eth0", NULL},
        {"0123456789abcdef_A.b-c", "net1", NULL},
        {"", "", "id: is missing"},
        {"../x", "", "id: '../x' is not an id: 1 to 253 of A-Z a-z 0-9 _ . -"},
        {"a b", "", "id: 'a b' is not an id: 1 to 253 of A-Z a-z 0-9 _ . -"},
        {"-a", "", "id: '-a' is not an id: 1 to 253 of A-Z a-z 0-9 _ . -"},
        {"c1", "eth/0", "ifname: 'eth/0' is not an interface name"},
        {"c1", "..", "ifname: '..' is not an interface name (1 to 15 characters)"},
        {"c1", "lo", "ifname: 'lo' is the loopback device of every namespace"},
    };
    const char *ifname;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(request_read_key(cases[i].id, cases[i].ifname, &ifname), cases[i].text);
    check(request_read_key("c1", "", &ifname), NULL);
    assert_string_equal(ifname, "eth0");
}

static void an_id_of_254_bytes_is_too_long(void **unused)
{
    char id[255];
    const char *ifname;

    memset(id, 'a', sizeof id);
    id[253] = '\0';
    assert_int_equal(request_read_key(id, "", &ifname), 0);
    id[253] = 'a';
    id[254] = '\0';
    assert_int_equal(request_read_key(id, "", &ifname), -EINVAL);
}

static void a_namespace_is_an_absolute_path(void **unused)
{
    char path[5000];

    check(request_read_netns("/run/netns/c1"), NULL);
    check(request_read_netns(""), "netns: is missing");
    check(request_read_netns("run/netns/c1"), "netns: 'run/netns/c1' is not an absolute path");
    check(request_read_netns("/run/\xff"), "netns: is not valid UTF-8");
    memset(path, '/', sizeof path);
    path[sizeof path - 1] = '\0';
    check(request_read_netns(path), "netns: is longer than 4095 bytes");
}

static void an_address_may_be_asked_for(void **unused)
{
    uint32_t wish = 7;

    check(request_read_ip("", &wish), NULL);
    assert_int_equal(wish, 0);
    check(request_read_ip("10.42.1.9", &wish), NULL);
    assert_int_equal(wish, 0x0a2a0109);
    check(request_read_ip("10.42.1.9/32", &wish), "ip: '10.42.1.9/32' is not an IPv4 address");
    check(request_read_ip("0.0.0.0", &wish), "ip: '0.0.0.0' is no address that a host can have");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subnet_is_a_node_network_inside_the_cluster),
        cmocka_unit_test(a_route_leads_to_another_nodes_network),
        cmocka_unit_test(before_the_subnet_is_known_routes_are_checked_against_the_defaults),
        cmocka_unit_test(route_destinations_have_the_size_of_the_nodes_own_network),
        cmocka_unit_test(an_endpoint_is_named_by_id_and_interface),
        cmocka_unit_test(an_id_of_254_bytes_is_too_long),
        cmocka_unit_test(a_namespace_is_an_absolute_path),
        cmocka_unit_test(an_address_may_be_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
