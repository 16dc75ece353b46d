/* What a process may do is asked of the kernel, and a refusal says what is lacking. */
#include "lib/base/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

static void drop_all(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    assert_int_equal(syscall(SYS_capset, &header, none), 0);
}

/* As root or not: nobody needs a privilege to give all up. */
static void a_process_without_capabilities_is_told_which_it_lacks_and_what_to_do(void **state)
{
    drop_all();
    assert_int_equal(privilege_require(CAP_NET_ADMIN, "CAP_NET_ADMIN", "run it as root"), -EPERM);
    assert_string_equal(err_text(), "CAP_NET_ADMIN is needed; run it as root");
    /* In the second word. */
    assert_int_equal(privilege_require(CAP_BPF, "CAP_BPF", "run it as root"), -EPERM);
}

/* Only where the test may: capabilities cannot be had by asking. */
static void a_capability_in_effect_is_found(void **state)
{
    if (geteuid() != 0 || prctl(PR_CAPBSET_READ, CAP_NET_ADMIN, 0, 0, 0) != 1)
        skip();
    assert_int_equal(privilege_require(CAP_NET_ADMIN, "CAP_NET_ADMIN", "run it as root"), 0);
}

static void set_open_files(rlim_t soft, rlim_t hard)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = soft, .rlim_max = hard}),
                     0);
}

static rlim_t open_files(void)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur;
}

/* The hard limit of this process goes down step by step: not everybody may raise it again. */
static void the_limit_of_open_files_is_raised_as_far_as_it_may_be_and_never_lowered(void **state)
{
    set_open_files(40, 200);
    assert_int_equal(privilege_open_files(30), 30);
    assert_int_equal(open_files(), 40);
    assert_int_equal(privilege_open_files(150), 150);
    assert_int_equal(open_files(), 150);
    assert_int_equal(privilege_open_files(1000), 200);
    assert_int_equal(open_files(), 200);
    set_open_files(64, 64);
    assert_int_equal(privilege_open_files(1000), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_capability_in_effect_is_found),
        cmocka_unit_test(a_process_without_capabilities_is_told_which_it_lacks_and_what_to_do),
        cmocka_unit_test(the_limit_of_open_files_is_raised_as_far_as_it_may_be_and_never_lowered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
