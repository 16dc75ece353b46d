/* What the overlay should be: copies, comparing, finding. */

#include "agent/overlay/want.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static struct overlay_want make(void)
{
    static struct overlay_peer peers[] = {{0x0a2a0200, 1}, {0x0a2a0300, 2}, {0x0a2a0500, 3}};

    return (struct overlay_want){.alias = "quilt:x:overlay",
                                 .vni = 100,
                                 .port = 4789,
                                 .local = 7,
                                 .subnet = {0x0a2a0100, 24},
                                 .mtu_bytes = 1450,
                                 .peers = peers,
                                 .peer_count = 3};
}

static void the_device_follows_from_the_subnet(void **state)
{
    struct overlay_want want = make();
    struct vxlan_spec spec = overlay_want_device(&want);
    char mac[MAC_TEXT_SIZE];

    assert_string_equal(spec.name, "vxlan100");
    assert_string_equal(mac_format(spec.mac, mac), "02:51:0a:2a:01:00");
    assert_int_equal(spec.vni, 100);
    assert_int_equal(spec.port, 4789);
    assert_int_equal(spec.local, 7);
    assert_int_equal(spec.mtu_bytes, 1450);
}

static void a_copy_is_equal_and_its_own(void **state)
{
    struct overlay_want want = make(), copy = overlay_want_copy(&want);

    assert_true(overlay_want_alike(&want, &copy));
    assert_int_equal(copy.peer_count, want.peer_count);
    assert_memory_equal(copy.peers, want.peers, want.peer_count * sizeof *want.peers);
    assert_ptr_not_equal(want.peers, copy.peers);
    overlay_want_deinit(&copy);
}

static void what_follows_from_elsewhere_makes_no_difference(void **state)
{
    struct overlay_want want = make(), copy = overlay_want_copy(&want);

    copy.mtu_bytes = 9000;
    assert_true(overlay_want_alike(&want, &copy));
    copy.is_partial = true;
    assert_false(overlay_want_alike(&want, &copy));
    copy.peers[2].mtu_bytes = 9000;
    assert_true(overlay_peer_alike(&want.peers[2], &copy.peers[2]));
    copy.peers[2].host_ip = 4;
    assert_false(overlay_peer_alike(&want.peers[2], &copy.peers[2]));
    overlay_want_deinit(&copy);
}

static void a_peer_is_found_by_its_vtep_address(void **state)
{
    struct overlay_want want = make(), none = {0};

    assert_int_equal(overlay_want_find(&want, 0x0a2a0500)->host_ip, 3);
    assert_null(overlay_want_find(&want, 0x0a2a0400));
    assert_null(overlay_want_find(&none, 0x0a2a0400));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_follows_from_the_subnet),
        cmocka_unit_test(a_copy_is_equal_and_its_own),
        cmocka_unit_test(what_follows_from_elsewhere_makes_no_difference),
        cmocka_unit_test(a_peer_is_found_by_its_vtep_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
