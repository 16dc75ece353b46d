/* Who is believed, at what time, for what end of a connection, and with which words who is not. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/tls/trust.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/forge.h"

enum signer { OURS, NEXT, STRANGERS, ITSELF, SIGNERS };

struct bed {
    struct tls_ca *cas[3]; /* ours, ours to come, another's */
    struct tls_trust *trust;
    struct tls_key *key;
};

static int make(void **ret)
{
    struct bed *bed = NEW(struct bed);
    AUTO_FREE char *pem = NULL, *a = NULL, *b = NULL;

    assert_int_equal(tls_ca_new(CLUSTER, NOW, &bed->cas[OURS]), 0);
    assert_int_equal(tls_ca_new(CLUSTER, NOW, &bed->cas[NEXT]), 0);
    assert_int_equal(tls_ca_new(OTHER_CLUSTER, NOW, &bed->cas[STRANGERS]), 0);
    a = tls_cert_to_pem(tls_ca_cert(bed->cas[OURS]));
    b = tls_cert_to_pem(tls_ca_cert(bed->cas[NEXT]));
    pem = mem_printf("%s%s", a, b);
    assert_int_equal(tls_trust_from_pem(pem, strlen(pem), &bed->trust), 0);
    assert_int_equal(tls_key_new(&bed->key), 0);
    *ret = bed;
    return 0;
}

static int drop(void **state)
{
    struct bed *bed = *state;

    for (size_t i = 0; i < ARRAY_LEN(bed->cas); i++)
        tls_ca_free(bed->cas[i]);
    tls_trust_free(bed->trust);
    tls_key_free(bed->key);
    free(bed);
    return 0;
}

static struct tls_question ask(enum tls_purpose purpose, int64_t now)
{
    return (struct tls_question){.purpose = purpose, .cluster_id = CLUSTER, .now = now};
}

/* Asks about a chain of these certificates. */
static int verify(const struct bed *bed, const struct tls_cert *const *certs, size_t count,
                  struct tls_question question, struct tls_peer *ret_peer)
{
    struct tls_der chain[8];
    unsigned char *ders[8];
    int r;

    for (size_t i = 0; i < count; i++) {
        ders[i] = forge_der(certs[i], &chain[i].n);
        chain[i].bytes = ders[i];
    }
    question.chain = chain;
    question.chain_len = count;
    r = tls_trust_verify(bed->trust, &question, ret_peer);
    for (size_t i = 0; i < count; i++)
        free(ders[i]);
    return r;
}

static void assert_said(int got, int want, const char *why)
{
    if (got != want || !strstr(err_text(), why))
        fail_msg("outcome %d instead of %d, \"%s\" instead of \"%s\"", got, want, err_text(), why);
}

/* ---- what our own CA makes ----------------------------------------------------------------- */

static struct tls_cert *issue(const struct bed *bed, enum signer signer, enum tls_kind kind,
                              const char *name)
{
    const struct tls_cert_order order = {kind, name, {0}, NOW, 30 * DAY};
    struct tls_cert *cert = NULL;

    assert_int_equal(tls_ca_issue(bed->cas[signer], tls_key_public(bed->key), &order, &cert), 0);
    return cert;
}

static void a_node_is_trusted_with_all_that_is_known_of_it(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_CERT struct tls_cert *cert = issue(bed, OURS, TLS_KIND_NODE, NODE);
    const struct tls_cert *const chain[] = {cert};
    struct sha256 spki = tls_key_spki(bed->key), ca = tls_key_spki(tls_ca_key(bed->cas[OURS]));
    struct tls_peer peer;

    assert_int_equal(verify(bed, chain, 1, ask(TLS_PURPOSE_CLIENT, NOW), &peer), 0);
    assert_string_equal(peer.identity.cluster_id, CLUSTER);
    assert_int_equal(peer.identity.kind, TLS_KIND_NODE);
    assert_string_equal(peer.identity.name, NODE);
    assert_memory_equal(&peer.spki, &spki, SHA256_SIZE);
    assert_memory_equal(&peer.ca_spki, &ca, SHA256_SIZE);
    assert_string_equal(peer.serial, tls_cert_facts(cert)->serial);
    assert_int_equal(peer.not_before, NOW - HOUR);
    assert_int_equal(peer.not_after, NOW + 30 * DAY);
}

static const struct {
    enum tls_kind kind;
    const char *name;
    enum tls_purpose purpose;
    int outcome;
} ends[] = {
    {TLS_KIND_NODE, NODE, TLS_PURPOSE_CLIENT, 0},
    {TLS_KIND_NODE, NODE, TLS_PURPOSE_SERVER, 0},
    {TLS_KIND_USER, "ada", TLS_PURPOSE_CLIENT, 0},
    {TLS_KIND_USER, "ada", TLS_PURPOSE_SERVER, TLS_WRONG_PURPOSE},
    {TLS_KIND_CONTROL, NULL, TLS_PURPOSE_CLIENT, TLS_WRONG_PURPOSE},
    {TLS_KIND_CONTROL, NULL, TLS_PURPOSE_SERVER, 0},
};

static void each_kind_is_good_for_its_ends_of_a_connection(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        AUTO_TLS_CERT struct tls_cert *cert = issue(*state, OURS, ends[i].kind, ends[i].name);
        const struct tls_cert *const chain[] = {cert};
        struct tls_peer peer;

        assert_int_equal(verify(*state, chain, 1, ask(ends[i].purpose, NOW), &peer),
                         ends[i].outcome);
    }
}

static void both_cas_of_a_rotation_are_believed_and_told_apart(void **state)
{
    const struct bed *bed = *state;

    for (enum signer i = OURS; i <= NEXT; i++) {
        AUTO_TLS_CERT struct tls_cert *cert = issue(bed, i, TLS_KIND_USER, "ada");
        const struct tls_cert *const chain[] = {cert, tls_ca_cert(bed->cas[NEXT]),
                                                tls_ca_cert(bed->cas[OURS])};
        struct sha256 ca = tls_key_spki(tls_ca_key(bed->cas[i]));
        struct tls_peer peer;

        assert_int_equal(verify(bed, chain, 3, ask(TLS_PURPOSE_CLIENT, NOW), &peer), 0);
        assert_memory_equal(&peer.ca_spki, &ca, SHA256_SIZE);
    }
}

/* The certificate is of NOW - 1 h to NOW + 30 d, the CA's of NOW - 1 h to NOW + 3650 d. */
static const struct {
    int64_t now;
    int outcome;
    const char *words;
} times[] = {
    {NOW - HOUR, 0, ""},
    {NOW + 30 * DAY, 0, ""},
    {NOW + 30 * DAY + 1, TLS_EXPIRED,
     "the certificate of node " NODE " expired 1 s ago (2026-01-31 00:00:00 UTC, and it is "
     "2026-01-31 00:00:01 UTC by this host's clock): have it renewed"},
    {NOW + 37 * DAY + HOUR, TLS_EXPIRED, "expired 7 d ago"},
    {NOW + 3651 * DAY, TLS_CA_EXPIRED,
     "the CA that signed the certificate of node " NODE
     " has expired itself (2035-12-30 00:00:00 UTC)"},
    {INT64_MAX, TLS_CA_EXPIRED, "has expired itself"},
};

static void time_is_what_the_caller_says_and_the_words_say_what_to_do(void **state)
{
    AUTO_TLS_CERT struct tls_cert *cert = issue(*state, OURS, TLS_KIND_NODE, NODE);
    const struct tls_cert *const chain[] = {cert};

    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct tls_peer peer = {.not_after = -1};
        int r = verify(*state, chain, 1, ask(TLS_PURPOSE_CLIENT, times[i].now), &peer);

        assert_said(r, times[i].outcome, times[i].words);
        assert_int_equal(peer.not_after, times[i].outcome == TLS_CA_EXPIRED ? -1 : NOW + 30 * DAY);
    }
}

static void a_clock_that_is_behind_is_told_by_how_much(void **state)
{
    const struct bed *bed = *state;
    const struct forge_order order = {
        .uris = {NODE_URI}, .purposes = FORGE_CLIENT, .not_before = NOW + 3 * HOUR + 59 * 60};
    AUTO_TLS_CERT struct tls_cert *cert = forge_cert(bed->key, bed->cas[OURS], &order);
    const struct tls_cert *const chain[] = {cert};
    struct tls_peer peer = {.not_after = -1};

    assert_said(verify(bed, chain, 1, ask(TLS_PURPOSE_CLIENT, NOW), &peer), TLS_NOT_YET_VALID,
                "the certificate of node " NODE
                " is not yet valid: this host's clock is 3 h behind, "
                "or that of who issued it was ahead (here it is 2026-01-01 00:00:00 UTC, the "
                "certificate begins 2026-01-01 03:59:00 UTC); set the one that is wrong");
    assert_string_equal(peer.identity.name, NODE);
    assert_said(verify(bed, chain, 1, ask(TLS_PURPOSE_CLIENT, NOW - 10 * 365 * DAY), &peer),
                TLS_NOT_YET_VALID, "this host's clock is 3649 d behind");
    assert_said(verify(bed, chain, 1, ask(TLS_PURPOSE_CLIENT, INT64_MIN / 2), &peer),
                TLS_NOT_YET_VALID, "behind");
}

/* ---- what others make ---------------------------------------------------------------------- */

static const struct {
    const char *what;
    enum signer signer;
    struct forge_order order;
    int outcome;
    const char *words;
} forged[] = {
    {"no fault, so that the others are each the only one",
     OURS,
     {.uris = {NODE_URI}, .host = "node3", .purposes = FORGE_CLIENT},
     0,
     ""},
    {"signed by itself",
     ITSELF,
     {.uris = {NODE_URI}, .purposes = FORGE_CLIENT},
     TLS_UNKNOWN_ISSUER,
     "CN=forged is signed by itself"},
    {"signed by a stranger",
     STRANGERS,
     {.uris = {NODE_URI}, .purposes = FORGE_CLIENT},
     TLS_UNKNOWN_ISSUER,
     "which is no CA of ours"},
    {"of another cluster, by its CA",
     STRANGERS,
     {.uris = {"spiffe://" OTHER_CLUSTER "/node/x"}, .purposes = FORGE_CLIENT},
     TLS_OTHER_CLUSTER,
     "is of cluster " OTHER_CLUSTER ", this is cluster " CLUSTER},
    {"of another cluster, by our CA",
     OURS,
     {.uris = {"spiffe://" OTHER_CLUSTER "/node/x"}, .purposes = FORGE_CLIENT},
     TLS_OTHER_CLUSTER,
     "is of cluster " OTHER_CLUSTER ", this is cluster " CLUSTER},
    {"no URI", OURS, {.host = "node3", .purposes = FORGE_CLIENT}, TLS_MALFORMED, "0 URIs"},
    {"two URIs",
     OURS,
     {.uris = {NODE_URI, "spiffe://" CLUSTER "/user/admin"}, .purposes = FORGE_CLIENT},
     TLS_MALFORMED,
     "2 URIs"},
    {"the same URI twice",
     OURS,
     {.uris = {NODE_URI, NODE_URI}, .purposes = FORGE_CLIENT},
     TLS_MALFORMED,
     "2 URIs"},
    {"a URI of something else beside it",
     OURS,
     {.uris = {NODE_URI, "https://example.org"}, .purposes = FORGE_CLIENT},
     TLS_MALFORMED,
     "2 URIs"},
    {"a URI that names nobody",
     OURS,
     {.uris = {"spiffe://" CLUSTER "/root"}, .purposes = FORGE_CLIENT},
     TLS_MALFORMED,
     "neither a node's"},
    {"for no purpose", OURS, {.uris = {NODE_URI}}, TLS_WRONG_PURPOSE, "is not for a TLS client"},
    {"for servers",
     OURS,
     {.uris = {NODE_URI}, .purposes = FORGE_SERVER},
     TLS_WRONG_PURPOSE,
     "is not for a TLS client"},
    {"for anything",
     OURS,
     {.uris = {NODE_URI}, .purposes = FORGE_OTHER},
     TLS_WRONG_PURPOSE,
     "is not for a TLS client"},
    {"whose key may not sign",
     OURS,
     {.uris = {NODE_URI}, .purposes = FORGE_CLIENT, .has_no_usage = true},
     TLS_WRONG_PURPOSE,
     "is not for a TLS client"},
    {"a CA's",
     OURS,
     {.uris = {NODE_URI}, .purposes = FORGE_CLIENT, .is_ca = true},
     TLS_WRONG_PURPOSE,
     "CN=forged is a CA's own certificate"},
    {"with a critical extension that nobody knows",
     OURS,
     {.uris = {NODE_URI}, .purposes = FORGE_CLIENT, .has_odd_extension = true},
     TLS_MALFORMED,
     "has a critical extension that this version does not know"},
};

static void what_no_ca_of_ours_makes_is_refused(void **state)
{
    const struct bed *bed = *state;

    for (size_t i = 0; i < ARRAY_LEN(forged); i++) {
        const struct tls_ca *issuer =
            forged[i].signer == ITSELF ? NULL : bed->cas[forged[i].signer];
        AUTO_TLS_CERT struct tls_cert *cert = forge_cert(bed->key, issuer, &forged[i].order);
        const struct tls_cert *const chain[] = {cert};
        struct tls_peer peer = {.not_after = -1};
        int r = verify(bed, chain, 1, ask(TLS_PURPOSE_CLIENT, NOW), &peer);

        if (r != forged[i].outcome || !strstr(err_text(), forged[i].words))
            fail_msg("%s: outcome %d, \"%s\"", forged[i].what, r, err_text());
        assert_int_equal(peer.not_after, r == 0 ? NOW + DAY : -1);
    }
}

static void a_ca_of_ours_is_no_peer(void **state)
{
    const struct bed *bed = *state;
    const struct tls_cert *const chain[] = {tls_ca_cert(bed->cas[OURS])};
    struct tls_peer peer;

    assert_said(verify(bed, chain, 1, ask(TLS_PURPOSE_SERVER, NOW), &peer), TLS_WRONG_PURPOSE,
                "a CA's own certificate");
}

static void a_signature_with_one_wrong_bit_is_refused(void **state)
{
    AUTO_TLS_CERT struct tls_cert *cert = issue(*state, OURS, TLS_KIND_NODE, NODE);
    AUTO_TLS_CERT struct tls_cert *broken = forge_broken(cert);
    const struct tls_cert *const chain[] = {broken};
    struct tls_peer peer;

    assert_said(verify(*state, chain, 1, ask(TLS_PURPOSE_CLIENT, NOW), &peer), TLS_UNKNOWN_ISSUER,
                "which is no CA of ours");
}

/* Our CA has path length 0; even so, nothing between it and a peer is looked at. */
static void nobody_comes_between_a_peer_and_its_ca(void **state)
{
    const struct bed *bed = *state;
    const struct forge_order middle = {.name = "between", .is_ca = true};
    const struct forge_order end = {.uris = {NODE_URI}, .purposes = FORGE_CLIENT};
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *between = forge_cert(bed->key, bed->cas[OURS], &middle);
    AUTO_TLS_CERT struct tls_cert *leaf = NULL, *good = issue(bed, OURS, TLS_KIND_NODE, NODE);
    const struct tls_cert *chain[] = {NULL, between, tls_ca_cert(bed->cas[OURS])};
    struct tls_peer peer;

    assert_int_equal(tls_key_new(&key), 0);
    leaf = forge_signed(key, between, bed->key, &end);
    chain[0] = leaf;
    assert_said(verify(bed, chain, 3, ask(TLS_PURPOSE_CLIENT, NOW), &peer), TLS_UNKNOWN_ISSUER,
                "which is no CA of ours");
    chain[0] = good;
    assert_said(verify(bed, chain, 3, ask(TLS_PURPOSE_CLIENT, NOW), &peer), TLS_UNKNOWN_ISSUER,
                "has a certificate that is no CA of ours");
}

/* A company's own, say. */
static void a_ca_that_another_one_has_signed_can_be_trusted_itself(void **state)
{
    const struct bed *bed = *state;
    const struct forge_order middle = {.name = "between", .is_ca = true};
    const struct forge_order end = {.uris = {NODE_URI}, .purposes = FORGE_CLIENT};
    AUTO_TLS_CERT struct tls_cert *between = forge_cert(bed->key, bed->cas[STRANGERS], &middle);
    AUTO_TLS_CERT struct tls_cert *leaf = forge_signed(bed->key, between, bed->key, &end);
    AUTO_FREE char *pem = tls_cert_to_pem(between);
    struct bed theirs = {.key = bed->key};
    const struct tls_cert *const chain[] = {leaf, between};
    struct tls_peer peer;

    assert_int_equal(tls_trust_from_pem(pem, strlen(pem), &theirs.trust), 0);
    assert_int_equal(verify(&theirs, chain, 2, ask(TLS_PURPOSE_CLIENT, NOW), &peer), 0);
    tls_trust_free(theirs.trust);
}

static void chains_that_are_none_are_refused(void **state)
{
    const struct bed *bed = *state;
    AUTO_TLS_CERT struct tls_cert *cert = issue(bed, OURS, TLS_KIND_NODE, NODE);
    const struct tls_cert *const chain[] = {cert, cert, cert, cert, cert};
    const struct tls_der rubbish = {(const unsigned char *)"rubbish", 7};
    struct tls_question question = ask(TLS_PURPOSE_CLIENT, NOW);
    struct tls_peer peer;

    assert_said(verify(bed, chain, 0, question, &peer), TLS_MALFORMED, "no certificate was shown");
    assert_said(verify(bed, chain, 5, question, &peer), TLS_MALFORMED, "more than 4 certificates");
    question.chain = &rubbish;
    question.chain_len = 1;
    assert_said(tls_trust_verify(bed->trust, &question, &peer), TLS_MALFORMED,
                "not a certificate in DER");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(a_node_is_trusted_with_all_that_is_known_of_it),
        TEST(each_kind_is_good_for_its_ends_of_a_connection),
        TEST(both_cas_of_a_rotation_are_believed_and_told_apart),
        TEST(time_is_what_the_caller_says_and_the_words_say_what_to_do),
        TEST(a_clock_that_is_behind_is_told_by_how_much),
        TEST(what_no_ca_of_ours_makes_is_refused),
        TEST(a_ca_of_ours_is_no_peer),
        TEST(a_signature_with_one_wrong_bit_is_refused),
        TEST(nobody_comes_between_a_peer_and_its_ca),
        TEST(a_ca_that_another_one_has_signed_can_be_trusted_itself),
        TEST(chains_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
