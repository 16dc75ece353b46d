/* Chains that others made: what can be pinned of them, and why clients would refuse them. */
#include "lib/tls/chain.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "lib/tls/internal.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/forge.h"

/* own <- inter <- root, and a root that has nothing to do with it. */
struct bed {
    struct tls_key *root_key, *inter_key, *key, *other_key;
    struct tls_cert *root, *inter, *own, *other;
};

static int make(void **ret)
{
    static const struct forge_order root = {.name = "root", .is_ca = true},
                                    inter = {.name = "inter", .is_ca = true},
                                    own = {.name = "own", .host = "control.example"},
                                    other = {.name = "other", .is_ca = true};
    struct bed *bed = NEW(struct bed);

    assert_int_equal(tls_key_new(&bed->root_key), 0);
    assert_int_equal(tls_key_new(&bed->inter_key), 0);
    assert_int_equal(tls_key_new(&bed->key), 0);
    assert_int_equal(tls_key_new(&bed->other_key), 0);
    bed->root = forge_cert(bed->root_key, NULL, &root);
    bed->inter = forge_signed(bed->inter_key, bed->root, bed->root_key, &inter);
    bed->own = forge_signed(bed->key, bed->inter, bed->inter_key, &own);
    bed->other = forge_cert(bed->other_key, NULL, &other);
    *ret = bed;
    return 0;
}

static int drop(void **state)
{
    struct bed *bed = *state;

    tls_key_free(bed->root_key);
    tls_key_free(bed->inter_key);
    tls_key_free(bed->key);
    tls_key_free(bed->other_key);
    tls_cert_free(bed->root);
    tls_cert_free(bed->inter);
    tls_cert_free(bed->own);
    tls_cert_free(bed->other);
    free(bed);
    return 0;
}

/* Of up to three certificates. */
static struct tls_chain *chain_of(const struct tls_cert *a, const struct tls_cert *b,
                                  const struct tls_cert *c)
{
    const struct tls_cert *const certs[] = {a, b, c};
    AUTO_STRBUF struct strbuf text = {0};
    struct tls_chain *chain = NULL;

    for (size_t i = 0; i < ARRAY_LEN(certs) && certs[i]; i++) {
        AUTO_FREE char *pem = tls_cert_to_pem(certs[i]);

        strbuf_addf(&text, "what else stands there\n%s", pem);
    }
    assert_int_equal(tls_chain_from_pem(text.data, text.len, &chain), 0);
    return chain;
}

static void assert_text(const char *words)
{
    if (!strstr(err_text(), words))
        fail_msg("\"%s\" does not say: %s", err_text(), words);
}

static void what_can_be_pinned_are_cas_that_signed_themselves(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_CHAIN struct tls_chain *all = chain_of(bed->own, bed->inter, bed->root);
    AUTO_TLS_CHAIN struct tls_chain *cut = chain_of(bed->own, bed->inter, NULL);
    AUTO_TLS_TRUST struct tls_trust *roots = NULL;

    assert_int_equal(tls_chain_roots(cut, cut, &roots), TLS_NOT_PINNED);
    assert_text("the last certificate is CN=inter, from CN=root");
    assert_int_equal(tls_chain_roots(cut, all, &roots), 0);
    assert_int_equal(tls_trust_count(roots), 1);
    assert_string_equal(tls_cert_facts(tls_trust_ca(roots, 0))->subject, "CN=root");
}

static void the_one_that_vouches_comes_first(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_CHAIN struct tls_chain *shown = chain_of(bed->own, bed->inter, NULL);
    AUTO_TLS_CHAIN struct tls_chain *cas = chain_of(bed->other, bed->inter, bed->root);
    AUTO_TLS_TRUST struct tls_trust *roots = NULL;

    assert_int_equal(tls_chain_roots(shown, cas, &roots), 0);
    assert_int_equal(tls_trust_count(roots), 2);
    assert_string_equal(tls_cert_facts(tls_trust_ca(roots, 0))->subject, "CN=root");
    assert_string_equal(tls_cert_facts(tls_trust_ca(roots, 1))->subject, "CN=other");
}

static void the_certificate_of_the_key_is_the_first(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_CHAIN struct tls_chain *good = chain_of(bed->own, bed->inter, NULL);
    AUTO_TLS_CHAIN struct tls_chain *reversed = chain_of(bed->root, bed->inter, bed->own);

    assert_int_equal(tls_chain_check_key(good, bed->key), 0);
    assert_int_equal(tls_chain_check_key(reversed, bed->key), -EINVAL);
    assert_text("the certificate of the key (CN=own) is number 3 in it, and has to be the first");
    assert_int_equal(tls_chain_check_key(good, bed->other_key), -EINVAL);
    assert_text("it is not for the key (CN=own)");
}

static int check(const struct tls_chain *chain, const struct tls_cert *root)
{
    AUTO_TLS_CHAIN struct tls_chain *cas = chain_of(root, NULL, NULL);
    AUTO_TLS_TRUST struct tls_trust *roots = NULL;

    assert_int_equal(tls_chain_roots(chain, cas, &roots), 0);
    return tls_chain_check(chain, roots);
}

static void a_whole_chain_is_good_in_any_order_behind_the_first(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_CHAIN struct tls_chain *usual = chain_of(bed->own, bed->inter, NULL);
    AUTO_TLS_CHAIN struct tls_chain *shuffled = chain_of(bed->own, bed->root, bed->inter);

    assert_int_equal(check(usual, bed->root), 0);
    assert_int_equal(check(shuffled, bed->root), 0);
}

/* As 'openssl req -x509' makes it. */
static void one_that_signed_itself_is_good_when_it_is_pinned_itself(void **state)
{
    static const struct forge_order self = {.name = "self", .is_ca = true, .has_no_usage = true};
    const struct bed *bed = *state;
    AUTO_TLS_CERT struct tls_cert *cert = forge_cert(bed->key, NULL, &self);
    AUTO_TLS_CHAIN struct tls_chain *chain = chain_of(cert, NULL, NULL);

    assert_int_equal(check(chain, cert), 0);
    assert_int_equal(check(chain, bed->root), TLS_UNKNOWN_ISSUER);
}

static void what_is_missing_between_is_named(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_CHAIN struct tls_chain *own = chain_of(bed->own, NULL, NULL);
    AUTO_TLS_CHAIN struct tls_chain *usual = chain_of(bed->own, bed->inter, NULL);

    assert_int_equal(check(own, bed->root), TLS_UNKNOWN_ISSUER);
    assert_text("CN=own is from CN=inter, which is neither in it nor one of the CAs");
    assert_int_equal(check(usual, bed->other), TLS_UNKNOWN_ISSUER);
    assert_text("CN=inter is from CN=root, which is neither in it nor one of the CAs");
}

static void a_signature_that_is_broken_is_nobodys(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_CERT struct tls_cert *broken = forge_broken(bed->own);
    AUTO_TLS_CHAIN struct tls_chain *chain = chain_of(broken, bed->inter, NULL);

    assert_int_not_equal(check(chain, bed->root), 0);
}

static void what_is_for_clients_or_may_not_sign_is_no_servers(void **state)
{
    static const struct forge_order client = {.name = "own", .purposes = FORGE_CLIENT};
    const struct bed *bed = *state;
    AUTO_TLS_CERT struct tls_cert *own =
        forge_signed(bed->key, bed->inter, bed->inter_key, &client);
    AUTO_TLS_CHAIN struct tls_chain *chain = chain_of(own, bed->inter, NULL);
    AUTO_TLS_CHAIN struct tls_chain *ca = chain_of(bed->inter, NULL, NULL);

    assert_int_equal(check(chain, bed->root), -EINVAL);
    assert_text("serverAuth is missing");
    assert_int_equal(check(ca, bed->root), -EINVAL);
    assert_text("digitalSignature is missing");
}

static int check_time(const struct bed *bed, const struct tls_cert *inter, int64_t now)
{
    AUTO_TLS_CHAIN struct tls_chain *chain = chain_of(bed->own, inter, NULL);
    AUTO_TLS_CHAIN struct tls_chain *cas = chain_of(bed->root, NULL, NULL);
    AUTO_TLS_TRUST struct tls_trust *roots = NULL;

    assert_int_equal(tls_chain_roots(chain, cas, &roots), 0);
    assert_int_equal(tls_chain_check(chain, roots), 0);
    return tls_chain_check_time(chain, roots, now);
}

static void all_on_the_way_have_to_be_in_time(void **state)
{
    static const struct forge_order old = {
        .name = "inter", .is_ca = true, .not_before = NOW - 3 * DAY, .not_after = NOW - DAY};
    const struct bed *bed = *state;
    AUTO_TLS_CERT struct tls_cert *inter =
        forge_signed(bed->inter_key, bed->root, bed->root_key, &old);

    assert_int_equal(check_time(bed, bed->inter, NOW), 0);
    assert_int_equal(check_time(bed, bed->inter, NOW - DAY), TLS_NOT_YET_VALID);
    assert_int_equal(check_time(bed, bed->inter, NOW + 2 * DAY), TLS_EXPIRED);
    assert_text("the certificate of CN=own expired 1 d ago");
    assert_int_equal(check_time(bed, inter, NOW), TLS_EXPIRED);
    assert_text("the certificate of CN=inter expired 1 d ago");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(what_can_be_pinned_are_cas_that_signed_themselves),
        TEST(the_one_that_vouches_comes_first),
        TEST(the_certificate_of_the_key_is_the_first),
        TEST(a_whole_chain_is_good_in_any_order_behind_the_first),
        TEST(one_that_signed_itself_is_good_when_it_is_pinned_itself),
        TEST(what_is_missing_between_is_named),
        TEST(a_signature_that_is_broken_is_nobodys),
        TEST(what_is_for_clients_or_may_not_sign_is_no_servers),
        TEST(all_on_the_way_have_to_be_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
