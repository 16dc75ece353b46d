/* Bundles of CAs: what is taken for one, and what a pin leaves of it. */
#include "lib/tls/trust.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/forge.h"
#include "tests/unit/tls/openssl_made.h"

struct bed {
    struct tls_ca *cas[2];
    char *pems[2];
    struct sha256 pins[2];
};

static int make(void **ret)
{
    struct bed *bed = NEW(struct bed);

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(tls_ca_new(CLUSTER, NOW, &bed->cas[i]), 0);
        bed->pems[i] = tls_cert_to_pem(tls_ca_cert(bed->cas[i]));
        bed->pins[i] = tls_key_spki(tls_ca_key(bed->cas[i]));
    }
    *ret = bed;
    return 0;
}

static int drop(void **state)
{
    struct bed *bed = *state;

    for (size_t i = 0; i < 2; i++) {
        tls_ca_free(bed->cas[i]);
        free(bed->pems[i]);
    }
    free(bed);
    return 0;
}

static struct tls_trust *trust_from(const char *pem)
{
    struct tls_trust *trust = NULL;

    if (tls_trust_from_pem(pem, strlen(pem), &trust) < 0)
        fail_msg("%s", err_text());
    return trust;
}

static struct tls_trust *trust_both(const struct bed *bed)
{
    AUTO_FREE char *pem =
        mem_printf("the old one\n%s and the new:\n%s", bed->pems[0], bed->pems[1]);

    return trust_from(pem);
}

static void a_bundle_of_two_is_read_and_written(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_TRUST struct tls_trust *trust = trust_both(bed);
    AUTO_FREE char *want = mem_printf("%s%s", bed->pems[0], bed->pems[1]);
    AUTO_FREE char *pem = tls_trust_to_pem(trust);

    assert_int_equal(tls_trust_count(trust), 2);
    assert_string_equal(pem, want);
    for (size_t i = 0; i < 2; i++) {
        assert_true(tls_trust_has_pin(trust, &bed->pins[i]));
        assert_memory_equal(&tls_cert_facts(tls_trust_ca(trust, i))->spki, &bed->pins[i],
                            SHA256_SIZE);
    }
}

static void a_ca_that_comes_twice_counts_once(void **state)
{
    const struct bed *bed = *state;
    AUTO_FREE char *pem = mem_printf("%s%s%s", bed->pems[0], bed->pems[1], bed->pems[0]);
    AUTO_TLS_TRUST struct tls_trust *trust = trust_from(pem);

    assert_int_equal(tls_trust_count(trust), 2);
}

static void assert_no_bundle(const char *pem, size_t n, const char *why)
{
    struct tls_trust *trust = NULL;

    assert_int_equal(tls_trust_from_pem(pem, n, &trust), -EINVAL);
    assert_null(trust);
    if (!strstr(err_text(), why))
        fail_msg("\"%s\" does not say: %s", err_text(), why);
}

static void what_is_no_bundle_of_cas_is_refused(void **state)
{
    const struct bed *bed = *state;
    static char long_text[TLS_BUNDLE_MAX + 1];
    const struct forge_order leaf = {.uris = {NODE_URI}, .purposes = FORGE_CLIENT};
    AUTO_TLS_CERT struct tls_cert *cert = forge_cert(tls_ca_key(bed->cas[0]), bed->cas[0], &leaf);
    AUTO_FREE char *leaf_pem = tls_cert_to_pem(cert);
    AUTO_FREE char *mixed = mem_printf("%s%s", bed->pems[0], leaf_pem);
    AUTO_FREE char *cut = mem_printf("%s%.300s", bed->pems[0], bed->pems[1]);
    AUTO_FREE char *spoilt = mem_strdup(bed->pems[0]);

    memset(spoilt + 100, '#', 20);
    assert_no_bundle("", 0, "no certificate in PEM: it is empty");
    assert_no_bundle(everybodys_csr, strlen(everybodys_csr),
                     "no certificate in PEM: it is a request for a certificate");
    assert_no_bundle(mixed, strlen(mixed), "CA:true is missing");
    assert_no_bundle(everybodys_key_pkcs8, strlen(everybodys_key_pkcs8),
                     "no certificate in PEM: it is a private key");
    assert_no_bundle(cut, strlen(cut), "cut off");
    assert_no_bundle(spoilt, strlen(spoilt), "not a certificate in PEM");
    assert_no_bundle(long_text, sizeof long_text, "longer than 65536 bytes");
}

static void a_bundle_has_a_bound(void **state)
{
    const struct forge_order order = {.is_ca = true};
    AUTO_STRBUF struct strbuf pems = {0};

    for (int i = 0; i < 17; i++) {
        AUTO_TLS_KEY struct tls_key *key = NULL;
        AUTO_TLS_CERT struct tls_cert *ca = NULL;
        AUTO_FREE char *pem = NULL;

        if (i == 16)
            tls_trust_free(trust_from(pems.data));
        assert_int_equal(tls_key_new(&key), 0);
        ca = forge_cert(key, NULL, &order);
        pem = tls_cert_to_pem(ca);
        strbuf_adds(&pems, pem);
    }
    assert_no_bundle(pems.data, pems.len, "more than 16 CAs");
}

static void a_pin_keeps_its_own_ca_and_drops_the_one_smuggled_in(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_TRUST struct tls_trust *trust = trust_both(bed);

    assert_false(tls_trust_is_pinned(trust, &bed->pins[1], 1));
    assert_int_equal(tls_trust_keep_pinned(trust, &bed->pins[1], 1), 0);
    assert_true(tls_trust_is_pinned(trust, &bed->pins[1], 1));
    assert_int_equal(tls_trust_count(trust), 1);
    assert_true(tls_trust_has_pin(trust, &bed->pins[1]));
    assert_false(tls_trust_has_pin(trust, &bed->pins[0]));
}

static void two_pins_keep_two_cas(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_TRUST struct tls_trust *trust = trust_both(bed);

    assert_true(tls_trust_is_pinned(trust, bed->pins, 2));
    assert_int_equal(tls_trust_keep_pinned(trust, bed->pins, 2), 0);
    assert_int_equal(tls_trust_count(trust), 2);
}

static void without_a_pinned_ca_the_bundle_is_refused_and_unchanged(void **state)
{
    const struct bed *bed = *state;
    const struct sha256 other = sha256_of("other", 5);
    AUTO_TLS_TRUST struct tls_trust *trust = trust_both(bed);

    assert_int_equal(tls_trust_keep_pinned(trust, &other, 1), TLS_NOT_PINNED);
    assert_non_null(strstr(err_text(), "another cluster's control plane, or somebody between"));
    assert_int_equal(tls_trust_keep_pinned(trust, NULL, 0), TLS_NOT_PINNED);
    assert_int_equal(tls_trust_count(trust), 2);
}

/* Everybody knows the CA's public key and can write a certificate around it, but not sign that. */
static void a_certificate_around_a_pinned_key_is_not_enough(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_CERT struct tls_cert *broken = forge_broken(tls_ca_cert(bed->cas[0]));
    const struct forge_order order = {.is_ca = true};
    AUTO_TLS_CERT struct tls_cert *foreign =
        forge_cert(tls_ca_key(bed->cas[0]), bed->cas[1], &order);
    const struct tls_cert *const certs[] = {broken, foreign};

    for (size_t i = 0; i < ARRAY_LEN(certs); i++) {
        AUTO_FREE char *pem = tls_cert_to_pem(certs[i]);
        AUTO_TLS_TRUST struct tls_trust *trust = trust_from(pem);

        assert_true(tls_trust_has_pin(trust, &bed->pins[0]));
        assert_int_equal(tls_trust_keep_pinned(trust, &bed->pins[0], 1), TLS_NOT_PINNED);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(a_bundle_of_two_is_read_and_written),
        TEST(a_ca_that_comes_twice_counts_once),
        TEST(what_is_no_bundle_of_cas_is_refused),
        TEST(a_bundle_has_a_bound),
        TEST(a_pin_keeps_its_own_ca_and_drops_the_one_smuggled_in),
        TEST(two_pins_keep_two_cas),
        TEST(without_a_pinned_ca_the_bundle_is_refused_and_unchanged),
        TEST(a_certificate_around_a_pinned_key_is_not_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
