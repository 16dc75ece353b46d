/* A network namespace of the test's own. Everything it makes there goes when it ends. */
#pragma once

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/net/fdb.h"
#include "lib/net/link.h"
#include "lib/net/neigh.h"
#include "lib/net/netlink.h"
#include "lib/net/route.h"
#include "tests/unit/cmocka.h"

/* Expectations that show the error text. */
#define assert_ok(call)                                        \
    do {                                                       \
        int lab_r_ = (call);                                   \
        if (lab_r_ < 0)                                        \
            fail_msg("%s: %s: %d", #call, err_text(), lab_r_); \
        assert_true(lab_r_ >= 0);                              \
    } while (0)
#define assert_error(call, errnum)                                \
    do {                                                          \
        int lab_r_ = (call);                                      \
        if (lab_r_ != -(errnum))                                  \
            fail_msg("%s: %d, not %d", #call, lab_r_, -(errnum)); \
    } while (0)

/* Runs a program (iproute2: a second pair of eyes) and returns what it printed; it must succeed.
 * Words after the program, NULL at the end. Caller frees. */
char *lab_run(const char *program, ...) __attribute__((sentinel));
#define lab_do(...) free(lab_run(__VA_ARGS__, NULL))

/* Ends the test program as skipped unless it can have namespaces. */
void lab_require(void);

/* A test's setup and teardown: a fresh namespace, and *state is a struct nl in it. */
int lab_setup(void **state);
int lab_teardown(void **state);

#define LAB_TEST(fn) cmocka_unit_test_setup_teardown(fn, lab_setup, lab_teardown)

/* The index of a device that must be there. */
int lab_ifindex(struct nl *nl, const char *name);
/* vxlan100 (VNI 100, port 4789, local 192.0.2.1), up. Returns its index. */
int lab_vxlan(struct nl *nl);

/* One object by itself, which the daemons write and remove in batches only. */
int lab_set_fdb(struct nl *nl, const struct fdb_entry *entry);
int lab_delete_fdb(struct nl *nl, const struct fdb_entry *entry);
int lab_delete_neigh(struct nl *nl, const struct neigh_entry *entry);
