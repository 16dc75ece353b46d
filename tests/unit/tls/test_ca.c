/* What the CA makes, read back. That others read the same is in test_openssl.py. */
#include "lib/tls/ca.h"

#include <string.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/openssl_made.h"

#define CLUSTER "0192f3a4-5b6c-7d8e-9f01-23456789abcd"
#define NODE "7f1c2c5e-0c55-4ab6-8b5c-1d2e3f405162"
#define NOW 1767225600 /* 2026-01-01 */
#define DAY 86400LL

static int make(void **ret)
{
    struct tls_ca *ca;

    assert_int_equal(tls_ca_new(CLUSTER, NOW, &ca), 0);
    *ret = ca;
    return 0;
}

static int drop(void **state)
{
    tls_ca_free(*state);
    return 0;
}

static struct tls_cert *issue(const struct tls_ca *ca, const struct tls_cert_order *order)
{
    AUTO_TLS_PUBLIC_KEY struct tls_public_key *key = NULL;
    struct tls_cert *cert = NULL;

    assert_int_equal(tls_csr_from_pem(everybodys_csr, strlen(everybodys_csr), &key), 0);
    if (tls_ca_issue(ca, key, order, &cert) < 0)
        fail_msg("%s", err_text());
    return cert;
}

static void assert_not_issued(const struct tls_ca *ca, const struct tls_cert_order *order, int want,
                              const char *why)
{
    struct tls_cert *cert = NULL;

    assert_int_equal(tls_ca_issue(ca, tls_key_public(tls_ca_key(ca)), order, &cert), want);
    assert_null(cert);
    if (!strstr(err_text(), why))
        fail_msg("\"%s\" does not say: %s", err_text(), why);
}

static void a_ca_names_its_cluster_and_its_pin_for_ten_years(void **state)
{
    const struct tls_cert_facts *facts = tls_cert_facts(tls_ca_cert(*state));
    struct sha256 pin = tls_key_spki(tls_ca_key(*state));

    assert_true(facts->is_ca);
    assert_true(sha256_equal(&facts->spki, &pin));
    assert_true(sha256_equal(&facts->issuer_spki, &pin));
    assert_int_equal(facts->not_before, NOW - 3600);
    assert_int_equal(facts->not_after, NOW + 3650 * DAY);
    assert_string_equal(facts->subject, facts->issuer);
    assert_non_null(strstr(facts->subject, "CN=Quilt Mesh CA "));
    assert_non_null(strstr(facts->subject, "O=" CLUSTER));
    assert_string_equal(tls_ca_cluster_id(*state), CLUSTER);
}

static void a_ca_of_no_cluster_is_not_made(void **state)
{
    struct tls_ca *ca = NULL;

    assert_int_equal(tls_ca_new("somewhere", NOW, &ca), -EINVAL);
    assert_null(ca);
}

static void a_node_gets_what_the_order_says_and_nothing_of_its_request(void **state)
{
    const uint32_t addrs[] = {0xc0a8010b};
    const struct tls_names others = {.addrs = (const uint32_t[]){0xc0a8010c}, .addr_count = 1};
    const struct tls_cert_order order = {
        TLS_KIND_NODE, NODE, {.addrs = addrs, .addr_count = 1}, NOW, 30 * DAY};
    AUTO_TLS_CERT struct tls_cert *cert = issue(*state, &order);
    const struct tls_cert_facts *facts = tls_cert_facts(cert);
    struct sha256 pin = tls_key_spki(tls_ca_key(*state));
    struct tls_identity identity;
    char hex[SHA256_HEX_SIZE];

    sha256_format(&facts->spki, hex);
    assert_string_equal(hex, EVERYBODYS_SPKI);
    assert_true(sha256_equal(&facts->issuer_spki, &pin));
    assert_false(facts->is_ca);
    assert_int_equal(facts->not_before, NOW - 3600);
    assert_int_equal(facts->not_after, NOW + 30 * DAY);
    assert_string_equal(facts->subject, "CN=" NODE ",O=" CLUSTER);
    assert_string_equal(facts->issuer, tls_cert_facts(tls_ca_cert(*state))->subject);
    assert_int_equal(strlen(facts->serial), 32);
    assert_int_equal(tls_cert_identity(cert, &identity), 0);
    assert_string_equal(identity.cluster_id, CLUSTER);
    assert_int_equal(identity.kind, TLS_KIND_NODE);
    assert_string_equal(identity.name, NODE);
    assert_true(tls_cert_covers(cert, &order.names));
    assert_false(tls_cert_covers(cert, &others));
}

static void a_server_is_called_by_all_its_names_and_no_others(void **state)
{
    const char *const hosts[] = {"control.example", "localhost"}, *const more[] = {"example"};
    const uint32_t addrs[] = {0x7f000001, 0xc0a8010a};
    const struct tls_cert_order order = {
        TLS_KIND_CONTROL, NULL, {hosts, 2, addrs, 2}, NOW, 90 * DAY};
    AUTO_TLS_CERT struct tls_cert *cert = issue(*state, &order);
    const struct tls_names some = {.hosts = hosts + 1, .host_count = 1}, none = {0},
                           other = {.hosts = more, .host_count = 1};
    struct tls_identity identity;
    uint32_t read[3] = {0};

    assert_int_equal(tls_cert_addrs(cert, read, 3), 2);
    assert_memory_equal(read, addrs, sizeof addrs);
    assert_int_equal(tls_cert_addrs(cert, read, 1), 1);
    assert_true(tls_cert_covers(cert, &order.names));
    assert_true(tls_cert_covers(cert, &some));
    assert_true(tls_cert_covers(cert, &none));
    assert_false(tls_cert_covers(cert, &other));
    assert_int_equal(tls_cert_identity(cert, &identity), 0);
    assert_int_equal(identity.kind, TLS_KIND_CONTROL);
    assert_string_equal(identity.name, "");
}

static void certificates_differ_in_their_serials(void **state)
{
    const struct tls_cert_order order = {TLS_KIND_USER, "ada", {0}, NOW, DAY};
    AUTO_TLS_CERT struct tls_cert *a = issue(*state, &order);
    AUTO_TLS_CERT struct tls_cert *b = issue(*state, &order);

    assert_string_not_equal(tls_cert_facts(a)->serial, tls_cert_facts(b)->serial);
}

static void a_certificate_lives_neither_before_nor_after_its_ca(void **state)
{
    const struct tls_cert_facts *own = tls_cert_facts(tls_ca_cert(*state));
    struct tls_cert_order order = {TLS_KIND_USER, "ada", {0}, NOW - 60, INT64_MAX};
    AUTO_TLS_CERT struct tls_cert *cert = issue(*state, &order);

    assert_int_equal(tls_cert_facts(cert)->not_before, own->not_before);
    assert_int_equal(tls_cert_facts(cert)->not_after, own->not_after);
    order.now = own->not_before - 1;
    assert_not_issued(*state, &order, -ESTALE, "not yet valid");
    order.now = own->not_after;
    assert_not_issued(*state, &order, -ESTALE, "expired");
}

static void senseless_orders_are_refused(void **state)
{
    const char *const bad[] = {"a b"}, *const good[] = {"a"};
    const struct tls_cert_order orders[] = {
        {TLS_KIND_NODE, "", {0}, NOW, DAY},
        {TLS_KIND_NODE, "../x", {0}, NOW, DAY},
        {TLS_KIND_USER, "a/b", {0}, NOW, DAY},
        {TLS_KIND_USER, "ada", {.hosts = good, .host_count = 1}, NOW, DAY},
        {TLS_KIND_CONTROL, NULL, {.hosts = bad, .host_count = 1}, NOW, DAY},
        {TLS_KIND_USER, "ada", {0}, NOW, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        assert_not_issued(*state, &orders[i], -EINVAL, "issue a certificate: ");
}

static void a_ca_and_a_certificate_survive_their_text(void **state)
{
    AUTO_FREE char *cert_pem = tls_cert_to_pem(tls_ca_cert(*state));
    AUTO_SECRET char *key_pem = tls_key_to_pem(tls_ca_key(*state));
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CA struct tls_ca *again = NULL;

    assert_int_equal(tls_cert_from_pem(cert_pem, strlen(cert_pem), &cert), 0);
    assert_memory_equal(tls_cert_facts(cert), tls_cert_facts(tls_ca_cert(*state)),
                        sizeof(struct tls_cert_facts));
    assert_int_equal(tls_key_from_pem(key_pem, strlen(key_pem), &key), 0);
    assert_int_equal(tls_ca_from_parts(cert, key, &again), 0);
    (void)TAKE_PTR(cert);
    (void)TAKE_PTR(key);
    assert_string_equal(tls_ca_cluster_id(again), CLUSTER);
}

static void a_new_certificate_of_the_same_ca_key_has_the_same_pin(void **state)
{
    AUTO_SECRET char *key_pem = tls_key_to_pem(tls_ca_key(*state));
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CA struct tls_ca *renewed = NULL;

    assert_int_equal(tls_key_from_pem(key_pem, strlen(key_pem), &key), 0);
    assert_int_equal(tls_ca_from_key(key, CLUSTER, NOW + 3000 * DAY, &renewed), 0);
    (void)TAKE_PTR(key);
    assert_memory_equal(&tls_cert_facts(tls_ca_cert(renewed))->spki,
                        &tls_cert_facts(tls_ca_cert(*state))->spki, SHA256_SIZE);
    assert_string_equal(tls_cert_facts(tls_ca_cert(renewed))->subject,
                        tls_cert_facts(tls_ca_cert(*state))->subject);
}

static void parts_that_make_no_ca_are_refused(void **state)
{
    const struct tls_cert_order order = {TLS_KIND_USER, "ada", {0}, NOW, DAY};
    AUTO_TLS_CERT struct tls_cert *leaf = issue(*state, &order), *cert = NULL;
    AUTO_FREE char *cert_pem = tls_cert_to_pem(tls_ca_cert(*state));
    AUTO_TLS_KEY struct tls_key *key = NULL;
    struct tls_ca *ca = NULL;

    assert_int_equal(tls_key_from_pem(everybodys_key_sec1, strlen(everybodys_key_sec1), &key), 0);
    assert_int_equal(tls_ca_from_parts(leaf, key, &ca), -EINVAL);
    assert_non_null(strstr(err_text(), "CA:true is missing"));
    assert_int_equal(tls_cert_from_pem(cert_pem, strlen(cert_pem), &cert), 0);
    assert_int_equal(tls_ca_from_parts(cert, key, &ca), -EINVAL);
    assert_non_null(strstr(err_text(), "do not belong together"));
    assert_null(ca);
}

static void what_is_no_certificate_is_refused(void **state)
{
    static char long_text[TLS_PEM_MAX + 1];
    AUTO_FREE char *pem = tls_cert_to_pem(tls_ca_cert(*state));
    struct tls_cert *cert = NULL;

    assert_int_equal(tls_cert_from_pem("", 0, &cert), -EINVAL);
    assert_int_equal(tls_cert_from_pem(pem, 200, &cert), -EINVAL);
    assert_int_equal(tls_cert_from_pem(everybodys_csr, strlen(everybodys_csr), &cert), -EINVAL);
    assert_int_equal(tls_cert_from_pem(long_text, sizeof long_text, &cert), -EINVAL);
    assert_non_null(strstr(err_text(), "longer than 16384 bytes"));
    assert_int_equal(tls_cert_from_der("\x30\x03\x02\x01\x00", 5, &cert), -EINVAL);
    assert_non_null(strstr(err_text(), "not a certificate in DER"));
    assert_null(cert);
}

/* A CA has no URI; that two are too many is among the certificates of test_trust.c. */
static void a_certificate_without_a_uri_speaks_for_nobody(void **state)
{
    struct tls_identity identity;

    assert_int_equal(tls_cert_identity(tls_ca_cert(*state), &identity), -EINVAL);
    assert_non_null(strstr(err_text(), "0 URIs"));
}

static const struct {
    int64_t not_before, not_after;
    uint64_t random;
    int64_t renew_at;
} renewals[] = {
    {0, 13600, 0, 8600}, /* made at 3600 */
    {0, 13600, 1999, 10599}, {0, 13600, 2000, 8600},
    {0, 3610, 0, 3605},                               /* valid for ten seconds */
    {0, 3610, 3, 3606},      {1000, 3000, 399, 2399}, /* by somebody who does not backdate */
    {11000, 1000, 5, 1000},
};

static void renewal_comes_between_half_and_seven_tenths_of_a_life(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(renewals); i++) {
        const struct tls_cert_facts facts = {.not_before = renewals[i].not_before,
                                             .not_after = renewals[i].not_after};

        assert_int_equal(tls_cert_renew_at(&facts, renewals[i].random), renewals[i].renew_at);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(a_ca_names_its_cluster_and_its_pin_for_ten_years),
        cmocka_unit_test(a_ca_of_no_cluster_is_not_made),
        TEST(a_node_gets_what_the_order_says_and_nothing_of_its_request),
        TEST(a_server_is_called_by_all_its_names_and_no_others),
        TEST(certificates_differ_in_their_serials),
        TEST(a_certificate_lives_neither_before_nor_after_its_ca),
        TEST(senseless_orders_are_refused),
        TEST(a_ca_and_a_certificate_survive_their_text),
        TEST(a_new_certificate_of_the_same_ca_key_has_the_same_pin),
        TEST(parts_that_make_no_ca_are_refused),
        TEST(what_is_no_certificate_is_refused),
        TEST(a_certificate_without_a_uri_speaks_for_nobody),
        cmocka_unit_test(renewal_comes_between_half_and_seven_tenths_of_a_life),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
