/* Whether a device that is there is the one that is wanted. */
#include "lib/net/vxlan.h"

#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static const struct vxlan_spec spec = {
    .name = "vxlan100", .alias = "quilt:a", .vni = 100, .port = 4789, .local = 0xc0a80a0b};

static const struct link_info matching = {
    .name = "vxlan100",
    .kind = "vxlan",
    .vxlan = {.vni = 100, .port = 4789, .local = 0xc0a80a0b},
};

static void the_same_device_matches(void **state)
{
    const char *difference = "untouched";

    assert_true(vxlan_matches(&matching, &spec, &difference));
    assert_string_equal(difference, "untouched");
}

/* MTU, MAC, alias, up: they can be set. */
static void what_can_be_changed_does_not_matter(void **state)
{
    struct link_info info = matching;
    const char *difference;

    info.mtu_bytes = 9000;
    info.is_up = true;
    memcpy(info.alias, "other", 6);
    info.mac.bytes[0] = 2;
    assert_true(vxlan_matches(&info, &spec, &difference));
}

static void each_difference_is_named(void **state)
{
    struct link_info rows[] = {matching, matching, matching, matching,
                               matching, matching, matching, matching};
    static const char *const want[] = {
        "it is no VXLAN device",
        "VNI is 7, not 100",
        "UDP port is 8472, not 4789",
        "local address is 10.0.0.1, not 192.168.10.11",
        "remote address is 239.1.1.1, not 0.0.0.0",
        "lower device is 3, not 0",
        "learning is 1, not 0",
        "external mode is 1, not 0",
    };

    memcpy(rows[0].kind, "dummy", 6);
    rows[1].vxlan.vni = 7;
    rows[2].vxlan.port = 8472;
    rows[3].vxlan.local = 0x0a000001;
    rows[4].vxlan.remote = 0xef010101;
    rows[5].vxlan.lower_ifindex = 3;
    rows[6].vxlan.is_learning = true;
    rows[7].vxlan.is_external = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *difference = NULL;

        assert_false(vxlan_matches(&rows[i], &spec, &difference));
        assert_string_equal(difference, want[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_device_matches),
        cmocka_unit_test(what_can_be_changed_does_not_matter),
        cmocka_unit_test(each_difference_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
