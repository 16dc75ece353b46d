/* What the kernel has against what is wanted: each piece taken away or altered alone is seen. */
#include "runtime/view.h"

#include <string.h>

#include "tests/unit/runtime/testing.h"

#define ADDR 0x0a2a0105 /* 10.42.1.5 */

/* A host with an overlay and one whole endpoint. */
struct host {
    struct link_info links[3];
    struct route_entry routes[2];
    struct neigh_entry neighs[1];
    struct view view;
};

static const struct endpoint endpoint = {.ifname = "eth0", .addr = ADDR};

static int make(void **state)
{
    struct host *h = NEW(struct host);

    h->links[0] = (struct link_info){.ifindex = 9,
                                     .name = "vxlan100",
                                     .kind = "vxlan",
                                     .alias = "quilt:overlay",
                                     .mtu_bytes = 1450,
                                     .is_up = true};
    h->links[1] = (struct link_info){.ifindex = 5,
                                     .name = "qv0a2a0105",
                                     .kind = "veth",
                                     .alias = "quilt:endpoint:a/eth0",
                                     .mtu_bytes = 1450,
                                     .mac = plug_host_mac(),
                                     .is_up = true};
    h->links[2] = (struct link_info){.ifindex = 2, .name = "eth0", .is_up = true};
    h->routes[0] = plug_host_route(ADDR, 5);
    h->routes[1] = route_to_entry(&(struct route){.dst = net("10.42.2.0/24"), .gateway = 1},
                                  net("10.42.0.0/16"), 9);
    h->neighs[0] = plug_host_neigh(ADDR, 5);
    h->neighs[0].is_permanent = true;
    h->view = (struct view){h->links, 3, h->routes, 2, h->neighs, 1};
    *state = h;
    return 0;
}

static int drop(void **state)
{
    free(*state);
    return 0;
}

static enum endpoint_health check(struct host *h)
{
    struct link_info *link;

    view_sort(&h->view);
    return view_check_endpoint(&h->view, &endpoint, 1450, &link);
}

/* The host's device, wherever sorting put it. */
static struct link_info *device(struct host *h)
{
    view_sort(&h->view);
    return view_find_link(&h->view, "qv0a2a0105");
}

static void a_whole_endpoint_is_whole(void **s)
{
    assert_int_equal(check(*s), ENDPOINT_WHOLE);
}

static void an_endpoint_without_its_device_is_missing(void **s)
{
    memcpy(device(*s)->name, "other", 6);
    assert_int_equal(check(*s), ENDPOINT_MISSING);
}

static void a_device_without_our_alias_is_foreign(void **s)
{
    device(*s)->alias[0] = '\0';
    assert_int_equal(check(*s), ENDPOINT_FOREIGN);
}

static void a_device_of_another_kind_is_foreign(void **s)
{
    memcpy(device(*s)->kind, "dummy", 6);
    assert_int_equal(check(*s), ENDPOINT_FOREIGN);
}

static void a_device_that_is_down_is_broken(void **s)
{
    device(*s)->is_up = false;
    assert_int_equal(check(*s), ENDPOINT_BROKEN);
}

static void another_mac_is_broken(void **s)
{
    device(*s)->mac.bytes[5] ^= 1;
    assert_int_equal(check(*s), ENDPOINT_BROKEN);
}

static void without_its_route_an_endpoint_is_broken(void **s)
{
    struct host *h = *s;

    view_sort(&h->view);
    h->view.route_count = 0;
    assert_int_equal(check(h), ENDPOINT_BROKEN);
}

static void a_route_over_another_device_is_broken(void **s)
{
    struct host *h = *s;

    for (size_t i = 0; i < 2; i++)
        h->routes[i].ifindex = 2;
    assert_int_equal(check(h), ENDPOINT_BROKEN);
}

static void a_neighbour_that_is_another_or_not_permanent_is_broken(void **s)
{
    struct host *h = *s;

    h->neighs[0].is_permanent = false;
    assert_int_equal(check(h), ENDPOINT_BROKEN);
    h->neighs[0].is_permanent = true;
    h->neighs[0].mac.bytes[0] ^= 4;
    assert_int_equal(check(h), ENDPOINT_BROKEN);
    h->view.neigh_count = 0;
    assert_int_equal(check(h), ENDPOINT_BROKEN);
}

static void only_another_mtu_is_told_apart(void **s)
{
    device(*s)->mtu_bytes = 1400;
    assert_int_equal(check(*s), ENDPOINT_MTU);
}

static enum route_health check_route(struct host *h, const char *via, uint32_t gateway)
{
    struct route route = {.dst = net("10.42.2.0/24"), .gateway = gateway};
    struct route_entry want;

    memcpy(route.via, via, strlen(via) + 1);
    view_sort(&h->view);
    return view_check_route(&h->view, &route, net("10.42.0.0/16"), &want);
}

static void routes_are_there_missing_or_not_ready(void **s)
{
    struct host *h = *s;

    assert_int_equal(check_route(h, "vxlan100", 1), ROUTE_THERE);
    assert_int_equal(check_route(h, "vxlan100", 2), ROUTE_MISSING);
    assert_int_equal(check_route(h, "eth0", 1), ROUTE_MISSING);
    assert_int_equal(check_route(h, "vxlan7", 1), ROUTE_NO_DEVICE);
    view_find_link(&h->view, "vxlan100")->is_up = false;
    assert_int_equal(check_route(h, "vxlan100", 1), ROUTE_DEVICE_DOWN);
}

static void the_overlay_is_the_vxlan_device_with_our_alias(void **s)
{
    struct host *h = *s;
    struct link_info *overlay;

    view_sort(&h->view);
    overlay = view_find_overlay(&h->view);
    assert_non_null(overlay);
    assert_string_equal(overlay->name, "vxlan100");
    overlay->alias[0] = 'Q';
    assert_null(view_find_overlay(&h->view));
}

static void a_host_with_nothing_is_no_trouble(void **s)
{
    struct view nothing = {0};
    struct link_info *link;
    struct route_entry want;

    view_sort(&nothing);
    assert_null(view_find_link(&nothing, "eth0"));
    assert_int_equal(view_check_endpoint(&nothing, &endpoint, 1450, &link), ENDPOINT_MISSING);
    assert_int_equal(
        view_check_route(&nothing, &(struct route){.via = "x"}, net("10.42.0.0/16"), &want),
        ROUTE_NO_DEVICE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(a_whole_endpoint_is_whole),
        TEST(an_endpoint_without_its_device_is_missing),
        TEST(a_device_without_our_alias_is_foreign),
        TEST(a_device_of_another_kind_is_foreign),
        TEST(a_device_that_is_down_is_broken),
        TEST(another_mac_is_broken),
        TEST(without_its_route_an_endpoint_is_broken),
        TEST(a_route_over_another_device_is_broken),
        TEST(a_neighbour_that_is_another_or_not_permanent_is_broken),
        TEST(only_another_mtu_is_told_apart),
        TEST(routes_are_there_missing_or_not_ready),
        TEST(the_overlay_is_the_vxlan_device_with_our_alias),
        TEST(a_host_with_nothing_is_no_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
