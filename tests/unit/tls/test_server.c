/* Which certificates a server may show, and the words about those that were refused. */
#include "lib/tls/server.h"

#include <string.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/forge.h"

struct bed {
    struct tls_ca *ca;
    struct tls_key *key;
};

static int make(void **ret)
{
    struct bed *bed = NEW(struct bed);

    assert_int_equal(tls_ca_new(CLUSTER, NOW, &bed->ca), 0);
    assert_int_equal(tls_key_new(&bed->key), 0);
    *ret = bed;
    return 0;
}

static int drop(void **state)
{
    struct bed *bed = *state;

    tls_ca_free(bed->ca);
    tls_key_free(bed->key);
    free(bed);
    return 0;
}

static struct tls_cert *issue(const struct bed *bed, enum tls_kind kind, const char *name)
{
    const struct tls_cert_order order = {kind, name, {0}, NOW, 30 * DAY};
    struct tls_cert *cert = NULL;

    assert_int_equal(tls_ca_issue(bed->ca, tls_key_public(bed->key), &order, &cert), 0);
    return cert;
}

/* ---- whose it is --------------------------------------------------------------------------- */

static void the_control_planes_own_is_a_servers_to_show(void **state)
{
    AUTO_TLS_CERT struct tls_cert *cert = issue(*state, TLS_KIND_CONTROL, "");

    assert_int_equal(tls_server_may_show(cert), 0);
}

static void one_that_others_made_is_too(void **state)
{
    static const struct forge_order orders[] = {
        {.host = "control.example"},
        {.host = "control.example", .uris = {"https://control.example/"}},
        {.host = "control.example", .uris = {"spiffe://example.org/ns/control"}},
        {.host = "control.example", .uris = {NODE_URI, NODE_URI}},
        {.host = "control.example", .purposes = FORGE_SERVER | FORGE_CLIENT},
        {.host = "control.example", .purposes = FORGE_OTHER},
    };
    const struct bed *bed = *state;

    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        AUTO_TLS_CERT struct tls_cert *cert = forge_cert(bed->key, NULL, &orders[i]);

        assert_int_equal(tls_server_may_show(cert), 0);
    }
}

static void a_nodes_or_a_users_is_not(void **state)
{
    AUTO_TLS_CERT struct tls_cert *node = issue(*state, TLS_KIND_NODE, NODE);
    AUTO_TLS_CERT struct tls_cert *user = issue(*state, TLS_KIND_USER, "admin");

    assert_int_equal(tls_server_may_show(node), TLS_WRONG_PURPOSE);
    assert_string_equal(err_text(), "the server shows the certificate of node " NODE
                                    " instead of the control plane's: it is not the control plane");
    assert_int_equal(tls_server_may_show(user), TLS_WRONG_PURPOSE);
    assert_non_null(strstr(err_text(), "of user admin"));
}

static void one_that_is_for_clients_only_is_not(void **state)
{
    static const struct forge_order order = {.name = "laptop", .purposes = FORGE_CLIENT};
    const struct bed *bed = *state;
    AUTO_TLS_CERT struct tls_cert *cert = forge_cert(bed->key, NULL, &order);

    assert_int_equal(tls_server_may_show(cert), TLS_WRONG_PURPOSE);
    assert_string_equal(err_text(), "the server's certificate (CN=laptop) is not for a TLS server "
                                    "(serverAuth is missing among its extended key usages)");
}

/* ---- why it was refused -------------------------------------------------------------------- */

static const struct {
    const char *host, *ca_file;
    bool is_ca_known, is_self_signed;
    int64_t now;
    int outcome;
    const char *text;
} refusals[] = {
    {"a.example", "/x/ca.pem", false, false, NOW, TLS_UNKNOWN_ISSUER,
     "the server's certificate (CN=forged) is from "},
    {"a.example", "/x/ca.pem", false, false, NOW, TLS_UNKNOWN_ISSUER,
     ", which is none of the CAs in /x/ca.pem"},
    {"a.example", "/x/ca.pem", false, true, NOW, TLS_UNKNOWN_ISSUER,
     "the server's certificate (CN=forged) is signed by itself, and not in /x/ca.pem"},
    {"a.example", NULL, false, true, NOW, TLS_UNKNOWN_ISSUER, "and not in the system's list"},
    /* an unknown CA's times mean nothing */
    {"b.example", "/x/ca.pem", false, true, NOW + 2 * DAY, TLS_UNKNOWN_ISSUER, "signed by itself"},
    {"a.example", "/x/ca.pem", true, false, NOW - 4 * HOUR, TLS_NOT_YET_VALID,
     "the server's certificate is not yet valid: this host's clock is 3 h behind, or that "
     "of who issued it was ahead (here it is 2025-12-31 20:00:00 UTC, the certificate begins "
     "2025-12-31 23:00:00 UTC); set the one that is wrong"},
    {"a.example", "/x/ca.pem", true, false, NOW + 3 * DAY, TLS_EXPIRED,
     "the server's certificate expired 2 d ago"},
    {"b.example", "/x/ca.pem", true, false, NOW, TLS_WRONG_NAME,
     "the server's certificate (CN=forged) is not for b.example; use a name that it is for, as "
     "a.example, or give it this one (--tls-name of quilt-mesh-control)"},
    {"a.example", "/x/ca.pem", true, false, NOW, TLS_MALFORMED,
     "the server's certificate (CN=forged): odd"},
};

static void each_refusal_says_what_to_do_about_it(void **state)
{
    const struct bed *bed = *state;

    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        const struct forge_order order = {.host = "a.example"};
        AUTO_TLS_CERT struct tls_cert *cert =
            forge_cert(bed->key, refusals[i].is_self_signed ? NULL : bed->ca, &order);
        const struct tls_server_question question = {.host = refusals[i].host,
                                                     .ca_file = refusals[i].ca_file,
                                                     .is_ca_known = refusals[i].is_ca_known,
                                                     .words = "odd",
                                                     .now = refusals[i].now};

        assert_int_equal(tls_server_explain(cert, &question), refusals[i].outcome);
        if (!strstr(err_text(), refusals[i].text))
            fail_msg("row %zu: '%s' is not in: %s", i, refusals[i].text, err_text());
    }
}

static void an_address_is_a_name_like_others(void **state)
{
    const struct bed *bed = *state;
    const uint32_t addr = 0xc0a8010a;
    const struct tls_cert_order order = {.kind = TLS_KIND_CONTROL,
                                         .name = "",
                                         .names = {.addrs = &addr, .addr_count = 1},
                                         .now = NOW,
                                         .life_s = DAY};
    struct tls_server_question question = {
        .host = "192.168.1.10", .is_ca_known = true, .words = "odd", .now = NOW};
    AUTO_TLS_CERT struct tls_cert *cert = NULL;

    assert_int_equal(tls_ca_issue(bed->ca, tls_key_public(bed->key), &order, &cert), 0);
    assert_int_equal(tls_server_explain(cert, &question), TLS_MALFORMED);
    question.host = "192.168.1.11";
    assert_int_equal(tls_server_explain(cert, &question), TLS_WRONG_NAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_control_planes_own_is_a_servers_to_show, make, drop),
        cmocka_unit_test_setup_teardown(one_that_others_made_is_too, make, drop),
        cmocka_unit_test_setup_teardown(a_nodes_or_a_users_is_not, make, drop),
        cmocka_unit_test_setup_teardown(one_that_is_for_clients_only_is_not, make, drop),
        cmocka_unit_test_setup_teardown(each_refusal_says_what_to_do_about_it, make, drop),
        cmocka_unit_test_setup_teardown(an_address_is_a_name_like_others, make, drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
