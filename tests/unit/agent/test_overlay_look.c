/* What a look tells of its failures. The kernel is played (--wrap). */
#include <string.h>

#include "agent/overlay/internal.h"
#include "lib/base/error.h"
#include "tests/unit/agent/overlay_sim.h"
#include "tests/unit/cmocka.h"

#define REFUSED "write 0 to rp_filter: Read-only file system"

static int sysctl_result, apply_result;

int __wrap_underlay_look(struct nl *nl, uint32_t host_ip, struct underlay *ret);
int __wrap_overlay_paths_look(struct overlay_paths *paths, struct nl *nl);
int __wrap_link_get(struct nl *nl, const char *name, struct link_info *ret);
int __wrap_overlay_have_dump(struct nl *nl, struct overlay_have *have);
int __wrap_overlay_ensure_sysctls(struct overlay_counts *counts);
int __wrap_overlay_apply(struct nl *nl, const struct overlay_want *want,
                         const struct overlay_changes *changes, int *ifindex,
                         struct overlay_counts *counts);

int __wrap_underlay_look(struct nl *nl, uint32_t host_ip, struct underlay *ret)
{
    *ret = (struct underlay){.ifindex = 2, .mtu_bytes = 1500};
    return 0;
}

int __wrap_overlay_paths_look(struct overlay_paths *paths, struct nl *nl)
{
    return 0;
}

/* A device with nothing on it. */
int __wrap_link_get(struct nl *nl, const char *name, struct link_info *ret)
{
    struct overlay_want want = make_want(1);
    struct overlay_have have = overlay_have_from_want(&want);

    *ret = have.device;
    ret->ifindex = 7;
    overlay_have_deinit(&have);
    overlay_want_deinit(&want);
    return 0;
}

int __wrap_overlay_have_dump(struct nl *nl, struct overlay_have *have)
{
    return 0;
}

int __wrap_overlay_ensure_sysctls(struct overlay_counts *counts)
{
    return sysctl_result == 0 ? 0 : err_fail(-sysctl_result, REFUSED);
}

/* What goes wrong on the way, and is no failure of the whole, has its text, too. */
int __wrap_overlay_apply(struct nl *nl, const struct overlay_want *want,
                         const struct overlay_changes *changes, int *ifindex,
                         struct overlay_counts *counts)
{
    (void)err_fail(ENOBUFS, "add FDB entry: No buffer space available");
    return apply_result;
}

static bool can_route(void *data)
{
    return true;
}

static void take_routes(void *data, const struct overlay_change *changes, size_t count)
{
}

static int look(void)
{
    struct overlay o = {.config = {.can_route = can_route, .routes = take_routes}};
    struct focus all = {.is_all = true};
    int64_t next_ms;
    int r;

    o.want = make_want(1);
    o.has_want = true;
    o.fresh.is_all = true;
    r = overlay_take_look(&o, &all, &next_ms);
    overlay_want_deinit(&o.want);
    repairs_deinit(&o.repairs);
    free(o.lacking);
    return r;
}

static void a_setting_that_cannot_be_made_is_told_whatever_else_is_written(void **state)
{
    sysctl_result = -EROFS;
    for (int i = 0; i < 2; i++) {
        apply_result = i == 0 ? 0 : -ENOBUFS;
        assert_int_equal(look(), -EROFS);
        assert_string_equal(err_text(), REFUSED);
    }
}

static void what_cannot_be_written_is_told_where_the_settings_are_right(void **state)
{
    sysctl_result = 0;
    apply_result = -ENOBUFS;
    assert_int_equal(look(), -ENOBUFS);
    assert_string_equal(err_text(), "add FDB entry: No buffer space available");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setting_that_cannot_be_made_is_told_whatever_else_is_written),
        cmocka_unit_test(what_cannot_be_written_is_told_where_the_settings_are_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
