/* Routes: the table, and the difference between what is wanted and what the kernel has. */
#include "runtime/routes.h"

#include <string.h>

#include "tests/unit/runtime/testing.h"

/* 10.42.0.0/16 */
static const struct ip4_prefix cluster = {0x0a2a0000, 16};

static struct route to(const char *dst, const char *gateway)
{
    return (struct route){
        .dst = net(dst), .via = "vxlan100", .gateway = gateway ? addr(gateway) : 0};
}

static void a_table_stays_sorted_and_knows_each_destination_once(void **unused)
{
    struct route_table table = {0};
    const struct route c = to("10.42.3.0/24", NULL), a = to("10.42.1.0/24", NULL);
    const struct route b = to("10.42.2.0/24", NULL), b2 = to("10.42.2.0/24", "10.42.2.0");

    assert_true(route_table_put(&table, &c));
    assert_true(route_table_put(&table, &a));
    assert_true(route_table_put(&table, &b));
    assert_false(route_table_put(&table, &b));
    assert_true(route_table_put(&table, &b2));
    assert_int_equal(table.count, 3);
    assert_true(route_equal(&table.items[0], &a));
    assert_true(route_equal(&table.items[1], &b2));
    assert_true(route_equal(&table.items[2], &c));
    assert_ptr_equal(route_table_find(&table, net("10.42.3.0/24")), &table.items[2]);
    assert_null(route_table_find(&table, net("10.42.3.0/25")));
    assert_true(route_table_remove(&table, net("10.42.2.0/24")));
    assert_false(route_table_remove(&table, net("10.42.2.0/24")));
    assert_int_equal(table.count, 2);
    route_table_deinit(&table);
}

static void many_at_once_are_as_one_after_the_other(void **unused)
{
    const struct route many[] = {to("10.42.5.0/24", NULL), to("10.42.1.0/24", NULL),
                                 to("10.42.3.0/24", NULL), to("10.42.5.0/24", "10.42.5.0")};
    const struct route old[] = {to("10.42.3.0/24", "10.42.3.0"), to("10.42.4.0/24", NULL),
                                to("10.42.9.0/24", NULL)};
    struct route_table one_by_one = {0}, at_once = {0};

    for (size_t i = 0; i < 3; i++) {
        (void)route_table_put(&one_by_one, &old[i]);
        (void)route_table_put(&at_once, &old[i]);
    }
    for (size_t i = 0; i < 4; i++)
        (void)route_table_put(&one_by_one, &many[i]);
    route_table_put_all(&at_once, many, 4);
    assert_int_equal(at_once.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(route_equal(&at_once.items[i], &one_by_one.items[i]));
    assert_int_equal(at_once.items[3].gateway, addr("10.42.5.0"));
    route_table_put_all(&at_once, many, 0);
    assert_int_equal(at_once.count, 5);
    route_table_deinit(&one_by_one);
    route_table_deinit(&at_once);
}

static void many_are_removed_at_once_in_whatever_order(void **unused)
{
    struct route_table table = {0};
    const struct route all[] = {to("10.42.1.0/24", NULL), to("10.42.2.0/24", NULL),
                                to("10.42.3.0/24", NULL), to("10.42.4.0/24", NULL)};
    struct ip4_prefix gone[] = {net("10.42.4.0/24"), net("10.42.9.0/24"), net("10.42.2.0/24"),
                                net("10.42.2.0/24"), net("10.42.3.0/25")};

    route_table_put_all(&table, all, 4);
    assert_int_equal(route_table_remove_all(&table, gone, 5), 2);
    assert_int_equal(table.count, 2);
    assert_true(route_equal(&table.items[0], &all[0]));
    assert_true(route_equal(&table.items[1], &all[2]));
    assert_int_equal(route_table_remove_all(&table, gone, 0), 0);
    route_table_deinit(&table);
}

static void with_a_gateway_a_route_is_onlink_and_global(void **unused)
{
    const struct route route = to("10.42.2.0/24", "10.42.2.0");
    struct route_entry e = route_to_entry(&route, cluster, 7);

    assert_int_equal(e.ifindex, 7);
    assert_int_equal(e.gateway, addr("10.42.2.0"));
    assert_true(e.is_onlink);
    assert_int_equal(e.scope, RT_SCOPE_UNIVERSE);
    assert_int_equal(e.protocol, 81);
    assert_int_equal(e.type, RTN_UNICAST);
    assert_int_equal(e.mtu_bytes, 0);
}

static void another_mtu_makes_another_route(void **unused)
{
    const struct route route = to("10.42.2.0/24", "10.42.2.0");
    struct route narrow = route;
    struct route_entry have = route_to_entry(&route, cluster, 7), want;

    narrow.mtu_bytes = 1350;
    want = route_to_entry(&narrow, cluster, 7);
    assert_int_equal(want.mtu_bytes, 1350);
    assert_false(route_equal(&route, &narrow));
    assert_false(route_entry_equal(&want, &have));
    have.mtu_bytes = 1350;
    assert_true(route_entry_equal(&want, &have));
}

static uint8_t scope_of(const char *dst, const char *within)
{
    const struct route route = to(dst, "10.0.0.1");

    return route_to_entry(&route, net(within), 7).scope;
}

static void each_256_networks_of_a_cluster_have_a_scope_of_their_own(void **unused)
{
    assert_int_equal(scope_of("10.42.0.0/24", "10.42.0.0/16"), 0);
    assert_int_equal(scope_of("10.42.255.0/24", "10.42.0.0/16"), 0);
    assert_int_equal(scope_of("10.0.255.0/24", "10.0.0.0/8"), 0);
    assert_int_equal(scope_of("10.1.0.0/24", "10.0.0.0/8"), 1);
    assert_int_equal(scope_of("10.199.255.0/24", "10.0.0.0/8"), 199);
    assert_int_equal(scope_of("10.200.0.0/24", "10.0.0.0/8"), 0); /* 200 has a meaning */
    assert_int_equal(scope_of("10.42.16.16/28", "10.42.0.0/16"), 1);
    assert_int_equal(scope_of("11.255.255.255/32", "10.0.0.0/7"), ((1 << 25) - 1) / 256 % 200);
}

static void without_a_gateway_a_route_has_link_scope(void **unused)
{
    const struct route route = to("10.42.2.0/24", NULL);
    struct route_entry e = route_to_entry(&route, cluster, 7);

    assert_false(e.is_onlink);
    assert_int_equal(e.scope, RT_SCOPE_LINK);
}

static size_t make_entries(struct route_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct route route = {.dst = {.addr = 0x0a2a0000 + ((uint32_t)i << 8), .len = 24},
                              .gateway = 0x0a2a0000 + ((uint32_t)i << 8),
                              .via = "vxlan100"};

        entries[i] = route_to_entry(&route, cluster, 5);
    }
    return count;
}

/* How many of the wanted routes the kernel lacks or has otherwise. */
static size_t count_missing(const struct route_entry *want, size_t want_count,
                            struct route_entry *have, size_t have_count)
{
    size_t missing = 0;

    routes_sort(have, have_count);
    for (size_t i = 0; i < want_count; i++)
        missing += routes_have(have, have_count, &want[i]) ? 0 : 1;
    return missing;
}

static void what_is_there_is_not_missing_in_whatever_order(void **unused)
{
    struct route_entry want[254], have[254];
    size_t n = make_entries(want, 254);

    for (size_t i = 0; i < n; i++)
        have[i] = want[n - 1 - i];
    assert_int_equal(count_missing(want, n, have, n), 0);
}

static void against_nothing_all_are_missing(void **unused)
{
    struct route_entry want[3];

    (void)make_entries(want, 3);
    assert_int_equal(count_missing(want, 3, NULL, 0), 3);
}

/* Each field that we decide, changed alone, makes the route wrong. */
static void any_other_field_makes_it_missing(void **unused)
{
    for (int field = 0; field < 9; field++) {
        struct route_entry want[2], have[2];

        (void)make_entries(want, 2);
        memcpy(have, want, sizeof have);
        switch (field) {
        case 0:
            have[1].dst.len = 25;
            break;
        case 1:
            have[1].gateway++;
            break;
        case 2:
            have[1].ifindex++;
            break;
        case 3:
            have[1].is_onlink = false;
            break;
        case 4:
            have[1].scope = RT_SCOPE_LINK;
            break;
        case 5:
            have[1].protocol = 4;
            break;
        case 6:
            have[1].type = RTN_BLACKHOLE;
            break;
        case 7:
            have[1].metric = 10;
            break;
        default:
            have[1].is_multipath = true;
            break;
        }
        assert_int_equal(count_missing(want, 2, have, 2), 1);
    }
}

static void routes_of_a_destination_are_found_where_they_begin(void **unused)
{
    const struct route_entry sorted[] = {{.dst = net("10.42.1.0/24")},
                                         {.dst = net("10.42.3.0/24")},
                                         {.dst = net("10.42.3.0/24"), .metric = 5},
                                         {.dst = net("10.42.3.0/25")},
                                         {.dst = net("10.42.9.0/24")}};

    assert_int_equal(routes_begin(sorted, 5, net("10.42.0.0/24")), 0);
    assert_int_equal(routes_begin(sorted, 5, net("10.42.1.0/24")), 0);
    assert_int_equal(routes_begin(sorted, 5, net("10.42.2.0/24")), 1);
    assert_int_equal(routes_begin(sorted, 5, net("10.42.3.0/24")), 1);
    assert_int_equal(routes_begin(sorted, 5, net("10.42.3.0/25")), 3);
    assert_int_equal(routes_begin(sorted, 5, net("10.42.10.0/24")), 5);
    assert_int_equal(routes_begin(NULL, 0, net("10.42.1.0/24")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_stays_sorted_and_knows_each_destination_once),
        cmocka_unit_test(many_at_once_are_as_one_after_the_other),
        cmocka_unit_test(many_are_removed_at_once_in_whatever_order),
        cmocka_unit_test(with_a_gateway_a_route_is_onlink_and_global),
        cmocka_unit_test(another_mtu_makes_another_route),
        cmocka_unit_test(each_256_networks_of_a_cluster_have_a_scope_of_their_own),
        cmocka_unit_test(without_a_gateway_a_route_has_link_scope),
        cmocka_unit_test(what_is_there_is_not_missing_in_whatever_order),
        cmocka_unit_test(against_nothing_all_are_missing),
        cmocka_unit_test(any_other_field_makes_it_missing),
        cmocka_unit_test(routes_of_a_destination_are_found_where_they_begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
