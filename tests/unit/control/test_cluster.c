/* The cluster's facts: which are sound, and that they are not contradicted. */
#include <string.h>

#include "control/services/cluster.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define SOME_ID "11111111-2222-4333-8444-555555555555"

static struct cluster_options options(const char *cidr, uint8_t len)
{
    struct cluster_options o = {.node_prefix_len = len};

    if (cidr)
        assert_int_equal(ip4_prefix_parse(cidr, &o.cidr), 0);
    return o;
}

static void founds_only_what_can_work(void **state)
{
    static const struct {
        const char *cidr;
        uint8_t len;
        const char *words; /* NULL: sound */
    } rows[] = {
        {NULL, 0, NULL},
        {"10.42.0.0/16", 24, NULL},
        {"10.0.0.0/8", 24, NULL},
        {"192.168.0.0/22", 24, NULL},
        {"100.64.0.0/10", 26, NULL},
        {"172.16.0.0/28", 30, NULL},
        {"10.42.0.0/23", 24, "no room for 4 subnets"},
        {"10.42.0.0/16", 16, "no room for 4 subnets"},
        {"10.42.0.0/16", 8, "no room for 4 subnets"},
        {"10.0.0.0/8", 25, "more than 65536 subnets"},
        {"10.42.0.0/16", 31, "no addresses for containers"},
        {"224.0.0.0/8", 16, "no addresses that hosts can have"},
        {"127.0.0.0/8", 16, "no addresses that hosts can have"},
        {"0.0.0.0/8", 16, "no addresses that hosts can have"},
        {"169.254.0.0/16", 24, "link-local"},
        {"10.0.0.0/7", 16, "larger than a /8"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cluster_options o = options(rows[i].cidr, rows[i].len);
        struct cluster c;
        int r = cluster_found(&o, SOME_ID, &c);

        assert_int_equal(r, rows[i].words ? -EINVAL : 0);
        if (rows[i].words && !strstr(err_text(), rows[i].words))
            fail_msg("%s: '%s'", rows[i].cidr, err_text());
    }
}

static void survives_being_stored(void **state)
{
    struct cluster_options o = options("10.8.0.0/14", 22);
    struct cluster c, again;
    AUTO_FREE char *text = NULL;

    assert_int_equal(cluster_found(&o, SOME_ID, &c), 0);
    text = cluster_to_json(&c);
    assert_string_equal(text, "{\"cluster_id\":\"" SOME_ID "\",\"cluster_cidr\":\"10.8.0.0/14\","
                              "\"node_prefix\":22,\"vni\":100,\"vxlan_port\":4789}");
    assert_int_equal(cluster_from_json(text, &again), 0);
    assert_true(ip4_prefix_equal(c.cidr, again.cidr));
    assert_string_equal(again.cluster_id, SOME_ID);
    assert_int_equal(again.node_prefix_len, 22);
    assert_false(again.speaks_tls);
}

static void that_it_speaks_tls_survives_too(void **state)
{
    struct cluster_options o = options("10.8.0.0/14", 22);
    struct cluster c, again;
    AUTO_FREE char *text = NULL;

    assert_int_equal(cluster_found(&o, SOME_ID, &c), 0);
    c.speaks_tls = true;
    text = cluster_to_json(&c);
    assert_non_null(strstr(text, ",\"vxlan_port\":4789,\"speaks_tls\":true}"));
    assert_int_equal(cluster_from_json(text, &again), 0);
    assert_true(again.speaks_tls);
}

static void so_do_the_certificates_that_it_shows(void **state)
{
    static const char *const texts[] = {
        [CLUSTER_CERTS_UNNOTED] = "4789}",
        [CLUSTER_CERTS_WANTED] = "4789,\"certs\":\"wanted\"}",
        [CLUSTER_CERTS_OWN] = "4789,\"certs\":\"own\"}",
        [CLUSTER_CERTS_GIVEN] = "4789,\"certs\":\"given\"}",
    };
    struct cluster_options o = options("10.8.0.0/14", 22);
    struct cluster c, again;

    assert_int_equal(cluster_found(&o, SOME_ID, &c), 0);
    for (int i = 0; i < CLUSTER_CERTS_COUNT; i++) {
        AUTO_FREE char *text = NULL;

        c.certs = (enum cluster_certs)i;
        text = cluster_to_json(&c);
        assert_non_null(strstr(text, texts[i]));
        assert_int_equal(cluster_from_json(text, &again), 0);
        assert_int_equal(again.certs, i);
    }
}

static void unsound_stored_facts_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "[]",
        "{}",
        "{\"cluster_id\":\"x\"}",
        "{\"cluster_id\":\"" SOME_ID "\",\"cluster_cidr\":\"10.42.0.0/16\",\"node_prefix\":16,"
        "\"vni\":100,\"vxlan_port\":4789}",
        "{\"cluster_id\":\"" SOME_ID "\",\"cluster_cidr\":\"10.42.0.0/16\",\"node_prefix\":24,"
        "\"vni\":0,\"vxlan_port\":4789}",
        "{\"cluster_id\":\"" SOME_ID "\",\"cluster_cidr\":\"10.42.0.0/16\",\"node_prefix\":24,"
        "\"vni\":100,\"vxlan_port\":4789,\"speaks_tls\":\"yes\"}",
        "{\"cluster_id\":\"" SOME_ID "\",\"cluster_cidr\":\"10.42.0.0/16\",\"node_prefix\":24,"
        "\"vni\":100,\"vxlan_port\":4789,\"certs\":1}",
    };
    struct cluster c;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(cluster_from_json(rows[i], &c) < 0);
}

static void a_contradiction_names_both_values(void **state)
{
    struct cluster_options none = options(NULL, 0), same = options("10.42.0.0/16", 24);
    struct cluster_options other_cidr = options("10.43.0.0/16", 24);
    struct cluster_options other_len = options("10.42.0.0/16", 25);
    struct cluster c;

    assert_int_equal(cluster_found(&none, SOME_ID, &c), 0);
    assert_int_equal(cluster_check_options(&c, &none), 0);
    assert_int_equal(cluster_check_options(&c, &same), 0);
    assert_int_equal(cluster_check_options(&c, &other_cidr), -EINVAL);
    assert_non_null(strstr(err_text(), "10.43.0.0/16"));
    assert_non_null(strstr(err_text(), "10.42.0.0/16"));
    assert_int_equal(cluster_check_options(&c, &other_len), -EINVAL);
    assert_non_null(strstr(err_text(), "25"));
    assert_non_null(strstr(err_text(), "24"));
}

static void agents_are_told_intervals_that_follow_from_the_timeout(void **state)
{
    static const struct {
        int64_t timeout_ms, heartbeat_ms, sync_ms;
    } rows[] = {{30000, 10000, 5000}, {3000, 1000, 500}, {600000, 200000, 5000}};
    struct cluster_options none = options(NULL, 0);
    struct cluster c;

    assert_int_equal(cluster_found(&none, SOME_ID, &c), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct api_cluster api = cluster_to_api(&c, rows[i].timeout_ms);

        assert_int_equal(api.heartbeat_ms, rows[i].heartbeat_ms);
        assert_int_equal(api.peer_sync_ms, rows[i].sync_ms);
        assert_int_equal(api.node_timeout_ms, rows[i].timeout_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(founds_only_what_can_work),
        cmocka_unit_test(survives_being_stored),
        cmocka_unit_test(that_it_speaks_tls_survives_too),
        cmocka_unit_test(so_do_the_certificates_that_it_shows),
        cmocka_unit_test(unsound_stored_facts_are_refused),
        cmocka_unit_test(a_contradiction_names_both_values),
        cmocka_unit_test(agents_are_told_intervals_that_follow_from_the_timeout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
