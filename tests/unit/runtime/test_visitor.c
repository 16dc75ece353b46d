/* Who may do what over TLS. */
#include "runtime/visitor.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

#define CLUSTER "0192f3a4-5b6c-7d8e-9f01-23456789abcd"
#define OTHER_CLUSTER "0192f3a4-5b6c-7d8e-9f01-000000000000"
#define NODE "7f1c2c5e-0c55-4ab6-8b5c-1d2e3f405162"
#define OTHER_NODE "7f1c2c5e-0c55-4ab6-8b5c-000000000000"

static const struct tls_identity own = {.cluster_id = CLUSTER, .kind = TLS_KIND_NODE, .name = NODE};
static const struct sha256 own_key = {.bytes = {1}};

static enum rpc_role role_of(const char *cluster, enum tls_kind kind, const char *name,
                             unsigned char key)
{
    struct tls_peer peer = {.identity.kind = kind, .spki.bytes = {key}};

    (void)snprintf(peer.identity.cluster_id, sizeof peer.identity.cluster_id, "%s", cluster);
    (void)snprintf(peer.identity.name, sizeof peer.identity.name, "%s", name);
    return visitor_role(&peer, &own, &own_key);
}

static void this_node_may_all(void **state)
{
    assert_int_equal(role_of(CLUSTER, TLS_KIND_NODE, NODE, 1), RPC_MASTER);
}

static void this_nodes_name_with_another_key_is_a_strangers(void **state)
{
    assert_int_equal(role_of(CLUSTER, TLS_KIND_NODE, NODE, 2), RPC_STRANGER);
}

static void another_node_is_a_stranger_with_whatever_key(void **state)
{
    assert_int_equal(role_of(CLUSTER, TLS_KIND_NODE, OTHER_NODE, 1), RPC_STRANGER);
    assert_int_equal(role_of(CLUSTER, TLS_KIND_NODE, OTHER_NODE, 2), RPC_STRANGER);
}

static void the_admin_may_all_and_the_viewer_look(void **state)
{
    assert_int_equal(role_of(CLUSTER, TLS_KIND_USER, "admin", 3), RPC_MASTER);
    assert_int_equal(role_of(CLUSTER, TLS_KIND_USER, "viewer", 3), RPC_READER);
}

static void other_users_and_the_control_plane_are_strangers(void **state)
{
    static const char *const names[] = {"ada", "Admin", "admin2", "viewers", "adminx", NODE};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(role_of(CLUSTER, TLS_KIND_USER, names[i], 1), RPC_STRANGER);
    assert_int_equal(role_of(CLUSTER, TLS_KIND_CONTROL, "", 1), RPC_STRANGER);
    assert_int_equal(role_of(CLUSTER, TLS_KIND_CONTROL, "admin", 1), RPC_STRANGER);
}

static void another_clusters_names_mean_nothing(void **state)
{
    assert_int_equal(role_of(OTHER_CLUSTER, TLS_KIND_NODE, NODE, 1), RPC_STRANGER);
    assert_int_equal(role_of(OTHER_CLUSTER, TLS_KIND_USER, "admin", 1), RPC_STRANGER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_node_may_all),
        cmocka_unit_test(this_nodes_name_with_another_key_is_a_strangers),
        cmocka_unit_test(another_node_is_a_stranger_with_whatever_key),
        cmocka_unit_test(the_admin_may_all_and_the_viewer_look),
        cmocka_unit_test(other_users_and_the_control_plane_are_strangers),
        cmocka_unit_test(another_clusters_names_mean_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
