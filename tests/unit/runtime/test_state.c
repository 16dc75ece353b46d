/* The state: what requests do to it, and that it comes back from JSON as it went. */
#include "runtime/state.h"

#include <string.h>

#include "tests/unit/runtime/testing.h"

#define BOOT "00000000-0000-4000-8000-000000000001"
#define LATER_BOOT "00000000-0000-4000-8000-000000000002"

static int make(void **ret)
{
    struct state *state = NEW(struct state);

    state_init(state, BOOT);
    assert_int_equal(state_configure(state, net("10.42.1.0/30"), MESH_CLUSTER_DEFAULT), 0);
    *ret = state;
    return 0;
}

static int drop(void **state)
{
    state_deinit(*state);
    free(*state);
    return 0;
}

/* ino stands for which namespace it is. */
static struct endpoint wish(const char *id, uint64_t ino, uint32_t address)
{
    return (struct endpoint){.id = (char *)(uintptr_t)id,
                             .netns_path = (char *)(uintptr_t) "/run/netns/x",
                             .ifname = "eth0",
                             .addr = address,
                             .netns = {.dev = 4, .ino = ino, .cookie = ino + 1000},
                             .created_at_s = 1700000000};
}

static int attach(struct state *state, const char *id, uint64_t ino, uint32_t address,
                  const struct endpoint **ret)
{
    struct endpoint wanted = wish(id, ino, address);

    return state_attach(state, &wanted, 0, ret);
}

static void endpoints_get_addresses_and_keep_them(void **s)
{
    const struct endpoint *a, *b, *again;

    assert_int_equal(attach(*s, "a", 1, 0, &a), 0);
    assert_int_equal(a->addr, addr("10.42.1.1"));
    assert_int_equal(attach(*s, "b", 2, 0, &b), 0);
    assert_int_equal(b->addr, addr("10.42.1.2"));
    assert_int_equal(attach(*s, "a", 1, 0, &again), 0);
    assert_int_equal(again->addr, addr("10.42.1.1"));
}

static void a_restarted_container_keeps_its_address(void **s)
{
    const struct endpoint *e;

    assert_int_equal(attach(*s, "a", 1, 0, &e), 0);
    assert_int_equal(attach(*s, "a", 9, 0, &e), 0);
    assert_int_equal(e->addr, addr("10.42.1.1"));
    assert_int_equal(e->netns.ino, 9);
    assert_int_equal(((struct state *)*s)->endpoints.count, 1);
}

static void a_known_endpoint_moves_to_the_address_it_asks_for(void **s)
{
    struct state *state = *s;
    const struct endpoint *e;

    assert_int_equal(attach(state, "a", 1, 0, &e), 0);
    assert_int_equal(attach(state, "a", 1, addr("10.42.1.2"), &e), 0);
    assert_int_equal(e->addr, addr("10.42.1.2"));
    assert_int_equal(ipam_free_count(&state->ipam), 1);
}

static void what_cannot_be_attached_is_refused_in_words(void **s)
{
    const struct endpoint *e;

    assert_int_equal(attach(*s, "a", 1, 0, &e), 0);
    assert_int_equal(attach(*s, "b", 1, 0, &e), -EBUSY);
    assert_string_equal(err_text(),
                        "netns: '/run/netns/x' is connected already, as endpoint a/eth0");
    assert_int_equal(attach(*s, "b", 2, addr("10.42.1.1"), &e), -EADDRINUSE);
    assert_string_equal(err_text(), "ip: '10.42.1.1' is held by endpoint a/eth0");
    assert_int_equal(attach(*s, "b", 2, addr("10.42.1.3"), &e), -ERANGE);
    assert_string_equal(err_text(), "ip: '10.42.1.3' is no container address of 10.42.1.0/30");
    assert_int_equal(attach(*s, "b", 2, 0, &e), 0);
    assert_int_equal(attach(*s, "c", 3, 0, &e), -ENOSPC);
    assert_string_equal(err_text(), "no address left in 10.42.1.0/30: all 2 are held by endpoints");
}

static void without_a_subnet_nothing_is_attached(void **s)
{
    const struct endpoint *e;
    struct state none;

    state_init(&none, BOOT);
    assert_int_equal(attach(&none, "a", 1, 0, &e), -ENOTCONN);
    state_deinit(&none);
}

static void a_detached_address_rests_then_returns(void **s)
{
    struct state *state = *s;
    const struct endpoint *e;

    assert_int_equal(attach(state, "a", 1, 0, &e), 0);
    state_detach(state, "a", "eth0", 0);
    state_detach(state, "a", "eth0", 0);
    assert_int_equal(state->endpoints.count, 0);
    assert_int_equal(attach(state, "b", 2, 0, &e), 0);
    assert_int_equal(e->addr, addr("10.42.1.2"));
}

static void the_same_subnet_again_changes_nothing(void **s)
{
    assert_int_equal(state_configure(*s, net("10.42.1.0/30"), MESH_CLUSTER_DEFAULT),
                     STATE_UNCHANGED);
}

static void another_subnet_waits_until_the_endpoints_are_gone(void **s)
{
    const struct endpoint *e;

    assert_int_equal(attach(*s, "a", 1, 0, &e), 0);
    assert_int_equal(state_configure(*s, net("10.42.2.0/30"), MESH_CLUSTER_DEFAULT), -EBUSY);
    assert_string_equal(err_text(), "1 endpoint holds addresses of 10.42.1.0/30; detach it first");
    assert_int_equal(attach(*s, "b", 2, 0, &e), 0);
    assert_int_equal(state_configure(*s, net("10.42.2.0/30"), MESH_CLUSTER_DEFAULT), -EBUSY);
    assert_string_equal(err_text(),
                        "2 endpoints hold addresses of 10.42.1.0/30; detach them first");
    state_detach(*s, "a", "eth0", 0);
    state_detach(*s, "b", "eth0", 0);
    assert_int_equal(state_configure(*s, net("10.42.2.0/30"), MESH_CLUSTER_DEFAULT), 0);
    assert_int_equal(attach(*s, "a", 1, 0, &e), 0);
    assert_int_equal(e->addr, addr("10.42.2.1"));
}

static void another_subnet_drops_the_routes_that_do_not_fit_it(void **s)
{
    struct state *state = *s;
    const struct route own = {.dst = net("10.42.2.0/30"), .via = "vxlan100"};
    const struct route other = {.dst = net("10.42.3.0/30"), .via = "vxlan100"};
    const struct route outside = {.dst = net("10.43.3.0/30"), .via = "vxlan100"};

    (void)route_table_put(&state->routes, &own);
    (void)route_table_put(&state->routes, &other);
    (void)route_table_put(&state->routes, &outside);
    assert_int_equal(state_configure(state, net("10.42.2.0/30"), MESH_CLUSTER_DEFAULT), 0);
    assert_int_equal(state->routes.count, 1);
    assert_true(route_equal(&state->routes.items[0], &other));
}

static void a_later_boot_releases_all_endpoints_and_keeps_the_routes(void **s)
{
    struct state *state = *s;
    const struct route route = {.dst = net("10.42.1.4/30"), .via = "vxlan100"};
    const struct endpoint *e;

    (void)route_table_put(&state->routes, &route);
    assert_int_equal(attach(state, "a", 1, 0, &e), 0);
    assert_int_equal(state_begin_boot(state, BOOT), 0);
    assert_int_equal(state->endpoints.count, 1);
    assert_int_equal(state_begin_boot(state, LATER_BOOT), 1);
    assert_int_equal(state->endpoints.count, 0);
    assert_int_equal(ipam_free_count(&state->ipam), 2);
    assert_int_equal(state->routes.count, 1);
    assert_int_equal(attach(state, "b", 2, 0, &e), 0);
    assert_int_equal(e->addr, addr("10.42.1.2"));
}

static void adopted_endpoints_hold_their_addresses_once_the_subnet_is_known(void **s)
{
    struct state state;
    struct endpoint adopted = wish("a", 1, addr("10.42.1.1"));
    const struct endpoint *e;

    state_init(&state, BOOT);
    assert_int_equal(state_adopt(&state, &adopted), 0);
    assert_int_equal(state_adopt(&state, &adopted), -EEXIST);
    assert_int_equal(state_configure(&state, net("10.42.2.0/30"), MESH_CLUSTER_DEFAULT), -EBUSY);
    assert_int_equal(state_configure(&state, net("10.42.1.0/30"), MESH_CLUSTER_DEFAULT), 0);
    assert_int_equal(attach(&state, "b", 2, 0, &e), 0);
    assert_int_equal(e->addr, addr("10.42.1.2"));
    state_deinit(&state);
}

static void fill(struct state *state)
{
    const struct route routes[] = {
        {.dst = net("10.42.9.0/30"), .via = "vxlan100", .gateway = addr("10.42.9.0")},
        {.dst = net("10.42.3.0/30"), .via = "eth1"},
    };
    const struct endpoint *e;

    assert_int_equal(attach(state, "a", 1, 0, &e), 0);
    assert_int_equal(attach(state, "b", UINT64_MAX - 1000, 0, &e), 0);
    state_detach(state, "a", "eth0", 0);
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        (void)route_table_put(&state->routes, &routes[i]);
    state->mtu_bytes = 1450;
}

static void what_was_written_is_read_back(void **s)
{
    AUTO_JSON json_t *json = NULL, *again = NULL;
    AUTO_FREE char *text = NULL, *text_again = NULL;
    struct state copy;

    fill(*s);
    json = state_to_json(*s);
    assert_int_equal(state_from_json(json, &copy), 0);
    again = state_to_json(&copy);
    text = json_to_text(json);
    text_again = json_to_text(again);
    assert_string_equal(text, text_again);
    assert_int_equal(copy.endpoints.items[0].netns.ino, UINT64_MAX - 1000);
    assert_int_equal(ipam_free_count(&copy.ipam), 1);
    assert_int_equal(copy.ipam.last, addr("10.42.1.2"));
    state_deinit(&copy);
}

static void the_written_form_is_this(void **s)
{
    AUTO_JSON json_t *json = NULL;
    AUTO_FREE char *text = NULL;
    const struct endpoint *e;
    const struct route route = {.dst = net("10.42.9.0/30"),
                                .via = "vxlan100",
                                .gateway = addr("10.42.9.0"),
                                .mtu_bytes = 1350};

    assert_int_equal(attach(*s, "a", 1, 0, &e), 0);
    (void)route_table_put(&((struct state *)*s)->routes, &route);
    json = state_to_json(*s);
    text = json_to_text(json);
    assert_string_equal(
        text, "{\"format\":1,\"boot_id\":\"" BOOT "\",\"cluster_cidr\":\"10.42.0.0/16\","
              "\"subnet\":\"10.42.1.0/30\",\"last_ip\":\"10.42.1.1\",\"mtu_bytes\":0,"
              "\"endpoints\":[{\"id\":\"a\",\"ifname\":\"eth0\",\"netns\":\"/run/netns/x\","
              "\"netns_id\":\"4:1:1001\",\"ip\":\"10.42.1.1\",\"created_at\":1700000000}],"
              "\"routes\":[{\"destination\":\"10.42.9.0/30\",\"via_interface\":\"vxlan100\","
              "\"gateway\":\"10.42.9.0\",\"mtu_bytes\":1350}]}");
}

/* One member at a time made wrong. */
static void a_wrong_member_is_named(void **s)
{
    static const struct {
        const char *path, *value, *text;
    } cases[] = {
        {"format", "2", "format: 2 is not 1, written by another release?"},
        {"format", "null", "format: missing"},
        {"boot_id", "\"x\"", "'x' is not a UUID"},
        {"cluster_cidr", "\"10.42.0.0\"",
         "cluster_cidr: '10.42.0.0' is not an IPv4 network such as 10.42.1.0/24"},
        {"subnet", "\"10.0.0.0/8\"", "subnet: a prefix of /8 is out of range"},
        {"subnet", "7", "subnet: must be a string"},
        {"last_ip", "\"1\"", "last_ip: '1' is not an IPv4 address"},
        {"mtu_bytes", "-1", "mtu_bytes: must be from 0 to 65535"},
        {"endpoints", "{}", "endpoints: must be an array"},
        {"endpoints", "[7]", "endpoints[0]: id: missing"},
        {"endpoints",
         "[{\"id\":\"a\",\"ifname\":\"eth0\",\"netns\":\"/x\",\"netns_id\":\"1:2\",\"ip\":\"10.42."
         "1.1\",\"created_at\":1}]",
         "endpoints[0]: netns_id: '' is not a whole number from 0 to 18446744073709551615"},
        {"endpoints",
         "[{\"id\":\"/\",\"ifname\":\"eth0\",\"netns\":\"/x\",\"netns_id\":\"1:2:3\",\"ip\":\"10."
         "42.1.1\",\"created_at\":1}]",
         "endpoints[0]: '/' is not an id: 1 to 253 of A-Z a-z 0-9 _ . -"},
        {"routes", "[{\"destination\":\"10.42.2.0/24\"}]", "routes[0]: via_interface: missing"},
        {"routes", "[{\"destination\":\"10.42.2.0/24\",\"via_interface\":\"a/b\"}]",
         "routes[0]: 'a/b' is not an interface name"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_JSON json_t *json = state_to_json(*s);
        json_t *value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
        struct state copy;

        assert_non_null(value);
        json_object_set_new(json, cases[i].path, value);
        assert_int_equal(state_from_json(json, &copy), -EINVAL);
        assert_string_equal(err_text(), cases[i].text);
    }
}

static void assert_same(const struct state *a, const struct state *b)
{
    AUTO_JSON json_t *x = state_to_json(a), *y = state_to_json(b);

    assert_true(json_equal(x, y));
}

static void a_change_of_routes_makes_one_state_the_other(void **s)
{
    const struct route kept = {.dst = net("10.42.1.4/30"), .via = "vxlan100"};
    const struct route gone = {.dst = net("10.42.1.8/30"), .via = "vxlan100"};
    const struct route old = {.dst = net("10.42.1.12/30"), .via = "vx\"an100"};
    struct route new = old;
    struct state *from = *s, to, copy;
    AUTO_JSON json_t *json = NULL;
    AUTO_FREE char *text = NULL;

    new.gateway = addr("10.42.1.12");
    new.mtu_bytes = 1350;
    (void)route_table_put(&from->routes, &kept);
    (void)route_table_put(&from->routes, &gone);
    (void)route_table_put(&from->routes, &old);
    state_copy(&to, from);
    state_copy(&copy, from);
    (void)route_table_remove(&to.routes, gone.dst);
    (void)route_table_put(&to.routes, &new);
    text = state_change_to_json(from, &to);
    assert_string_equal(text, "{\"routes\":[{\"destination\":\"10.42.1.12/30\",\"via_interface\":"
                              "\"vx\\\"an100\",\"gateway\":\"10.42.1.12\",\"mtu_bytes\":1350}],"
                              "\"removed\":[\"10.42.1.8/30\"]}");
    assert_int_equal(json_parse(text, strlen(text), &json), 0);
    assert_int_equal(state_change_from_json(json, &copy), 0);
    assert_same(&copy, &to);
    state_deinit(&copy);
    state_deinit(&to);
}

static void what_is_more_than_routes_is_no_small_change(void **s)
{
    const struct endpoint *unused;
    struct state *from = *s, to;

    state_copy(&to, from);
    assert_int_equal(attach(&to, "a", 1, 0, &unused), 0);
    assert_null(state_change_to_json(from, &to));
    state_deinit(&to);
    state_copy(&to, from);
    to.mtu_bytes++;
    assert_null(state_change_to_json(from, &to));
    state_deinit(&to);
}

static void a_change_that_is_none_leaves_the_state(void **s)
{
    static const char *const texts[] = {
        "{}",
        "{\"routes\":[]}",
        "{\"routes\":[7],\"removed\":[]}",
        "{\"routes\":[],\"removed\":[7]}",
        "{\"routes\":[],\"removed\":[\"10.42.1.4\"]}",
    };
    struct state before;

    state_copy(&before, *s);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO_JSON json_t *json = NULL;

        assert_int_equal(json_parse(texts[i], strlen(texts[i]), &json), 0);
        assert_int_equal(state_change_from_json(json, *s), -EINVAL);
        assert_same(*s, &before);
    }
    state_deinit(&before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(endpoints_get_addresses_and_keep_them),
        TEST(a_restarted_container_keeps_its_address),
        TEST(a_known_endpoint_moves_to_the_address_it_asks_for),
        TEST(what_cannot_be_attached_is_refused_in_words),
        TEST(without_a_subnet_nothing_is_attached),
        TEST(a_detached_address_rests_then_returns),
        TEST(the_same_subnet_again_changes_nothing),
        TEST(another_subnet_waits_until_the_endpoints_are_gone),
        TEST(another_subnet_drops_the_routes_that_do_not_fit_it),
        TEST(a_later_boot_releases_all_endpoints_and_keeps_the_routes),
        TEST(adopted_endpoints_hold_their_addresses_once_the_subnet_is_known),
        TEST(what_was_written_is_read_back),
        TEST(a_change_of_routes_makes_one_state_the_other),
        TEST(what_is_more_than_routes_is_no_small_change),
        TEST(a_change_that_is_none_leaves_the_state),
        TEST(the_written_form_is_this),
        TEST(a_wrong_member_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
