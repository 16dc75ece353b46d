/* Replacing the CA: who is believed at each step, and that a process may die anywhere. */
#include <string.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/pki_bed.h"

static struct sha256 pin_of(const struct tls_ca *ca)
{
    return tls_key_spki(tls_ca_key(ca));
}

static bool trusts(const struct pki_files *files, const struct sha256 *pin)
{
    return tls_trust_has_pin(files->trust, pin);
}

/* A node that the CA has let in. */
static struct tls_cert *admit(const struct tls_ca *ca)
{
    const struct tls_cert_order order = {TLS_KIND_NODE, NODE, {0}, NOW, 30 * DAY};
    struct tls_cert *cert = NULL;

    assert_int_equal(tls_ca_issue(ca, tls_key_public(tls_ca_key(ca)), &order, &cert), 0);
    return cert;
}

static int believe(const struct pki_files *files, const struct tls_cert *cert)
{
    size_t n;
    AUTO_FREE unsigned char *bytes = forge_der(cert, &n);
    const struct tls_der chain[] = {{bytes, n}};
    const struct tls_question question = {chain, 1, TLS_PURPOSE_CLIENT, CLUSTER, NOW};
    struct tls_peer peer;

    return tls_trust_verify(files->trust, &question, &peer);
}

static void assert_signed_by(const struct tls_cert *cert, const struct sha256 *pin)
{
    assert_memory_equal(&tls_cert_facts(cert)->issuer_spki, pin, SHA256_SIZE);
}

static void the_ca_is_replaced_while_everybody_stays_believed(void **state)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(*state, NOW);
    AUTO_TLS_CERT struct tls_cert *old_node = admit(files->ca), *new_node = NULL;
    struct sha256 a = pin_of(files->ca), b, active;

    assert_int_equal(pki_files_make_next(files, NOW), 0);
    b = pin_of(files->next);
    assert_false(sha256_equal(&a, &b));
    assert_false(trusts(files, &b));
    assert_int_equal(pki_files_publish_next(files), 0);
    assert_true(trusts(files, &a) && trusts(files, &b));
    active = pin_of(files->ca);
    assert_true(sha256_equal(&active, &a));
    assert_int_equal(pki_files_promote_next(files, NOW), 0);
    assert_null(files->next);
    active = pin_of(files->ca);
    assert_true(sha256_equal(&active, &b));
    assert_signed_by(files->server.cert, &b);
    assert_signed_by(files->admin.cert, &b);
    new_node = admit(files->ca);
    assert_int_equal(believe(files, old_node), 0);
    assert_int_equal(believe(files, new_node), 0);
    assert_int_equal(pki_files_drop_old(files), 0);
    assert_false(trusts(files, &a));
    assert_int_equal(believe(files, old_node), TLS_UNKNOWN_ISSUER);
    assert_int_equal(believe(files, new_node), 0);
}

static void each_step_survives_a_restart_and_can_be_repeated(void **state)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(*state, NOW);
    struct sha256 a = pin_of(files->ca), b, pin;

    assert_int_equal(pki_files_make_next(files, NOW), 0);
    b = pin_of(files->next);
    pki_files_free(TAKE_PTR(files));
    files = pki_bed_open(*state, NOW);
    assert_int_equal(pki_files_make_next(files, NOW), 0);
    pin = pin_of(files->next);
    assert_true(sha256_equal(&pin, &b));
    assert_int_equal(pki_files_publish_next(files), 0);
    assert_int_equal(pki_files_publish_next(files), 0);
    pki_files_free(TAKE_PTR(files));
    files = pki_bed_open(*state, NOW);
    assert_int_equal(tls_trust_count(files->trust), 2);
    assert_int_equal(pki_files_drop_old(files), 0); /* there is no old one yet */
    assert_int_equal(tls_trust_count(files->trust), 2);
    assert_int_equal(pki_files_promote_next(files, NOW), 0);
    pki_files_free(TAKE_PTR(files));
    files = pki_bed_open(*state, NOW);
    pin = pin_of(files->ca);
    assert_true(sha256_equal(&pin, &b));
    assert_true(trusts(files, &a));
    assert_int_equal(pki_files_drop_old(files), 0);
    assert_int_equal(pki_files_drop_old(files), 0);
    pki_files_free(TAKE_PTR(files));
    files = pki_bed_open(*state, NOW);
    assert_int_equal(tls_trust_count(files->trust), 1);
    assert_true(trusts(files, &b));
}

static void steps_in_the_wrong_order_are_refused(void **state)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(*state, NOW);
    struct sha256 a = pin_of(files->ca), pin;

    assert_int_equal(pki_files_publish_next(files), PKI_NO_NEXT);
    assert_non_null(strstr(err_text(), "there is no next CA"));
    assert_int_equal(pki_files_promote_next(files, NOW), PKI_NO_NEXT);
    assert_int_equal(pki_files_make_next(files, NOW), 0);
    assert_int_equal(pki_files_promote_next(files, NOW), PKI_UNPUBLISHED);
    assert_non_null(strstr(err_text(), "not published yet"));
    pin = pin_of(files->ca);
    assert_true(sha256_equal(&pin, &a));
}

static void a_next_ca_that_was_given_up_is_dropped_from_the_bundle(void **state)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(*state, NOW);

    assert_int_equal(pki_files_make_next(files, NOW), 0);
    assert_int_equal(pki_files_publish_next(files), 0);
    pki_files_free(TAKE_PTR(files));
    pki_bed_remove(*state, "ca-next.pem");
    pki_bed_remove(*state, "ca-next-key.pem");
    files = pki_bed_open(*state, NOW);
    assert_null(files->next);
    assert_int_equal(tls_trust_count(files->trust), 2);
    assert_int_equal(pki_files_drop_old(files), 0);
    assert_int_equal(tls_trust_count(files->trust), 1);
}

/* The disk may have taken the two removals at the end of a promotion in either order. */
static void the_key_of_a_finished_promotion_never_becomes_the_next_ca(void **state)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(*state, NOW);
    AUTO_FREE char *key = NULL;
    struct sha256 a, b;

    key = pki_bed_read(*state, "ca-key.pem");
    pki_files_free(TAKE_PTR(files));
    pki_bed_write(*state, "ca-next-key.pem", key);
    files = pki_bed_open(*state, NOW);
    assert_null(pki_bed_read(*state, "ca-next-key.pem"));
    assert_int_equal(pki_files_make_next(files, NOW), 0);
    a = pin_of(files->ca);
    b = pin_of(files->next);
    assert_false(sha256_equal(&a, &b));
}

/* ---- dying --------------------------------------------------------------------------------- */

/* What a child does; it opens the directory as any control plane does. */
static void open_only(const struct pki_bed *bed)
{
    pki_files_free(pki_bed_open(bed, NOW));
}

static void renew(const struct pki_bed *bed)
{
    pki_files_free(pki_bed_open(bed, NOW + 80 * DAY));
}

static void make_next(const struct pki_bed *bed)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(bed, NOW);

    assert_int_equal(pki_files_make_next(files, NOW), 0);
}

static void publish_next(const struct pki_bed *bed)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(bed, NOW);

    assert_int_equal(pki_files_publish_next(files), 0);
}

static void promote_next(const struct pki_bed *bed)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(bed, NOW);

    /* Opening has done it, when an earlier child died late enough. */
    if (files->next)
        assert_int_equal(pki_files_promote_next(files, NOW), 0);
}

static void drop_old(const struct pki_bed *bed)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(bed, NOW);

    assert_int_equal(pki_files_drop_old(files), 0);
}

static void lose_server_key(const struct pki_bed *bed)
{
    pki_bed_remove(bed, "server-key.pem");
    open_only(bed);
}

/* What holds after any death: all that belongs together does, and who was let in is believed. */
static void assert_whole(const struct pki_bed *bed, const struct tls_cert *node)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(bed, NOW);
    struct sha256 pin = pin_of(files->ca);

    assert_true(trusts(files, &pin));
    assert_signed_by(files->server.cert, &pin);
    assert_signed_by(files->admin.cert, &pin);
    if (node)
        assert_int_equal(believe(files, node), 0);
}

/* Dies before each of its steps in turn, opening the directory in between. Returns how often. */
static int die_everywhere(const struct pki_bed *bed, pki_bed_act_fn act,
                          const struct tls_cert *node)
{
    int n = 0;

    for (; pki_bed_dies(bed, act, n); n++)
        assert_whole(bed, node);
    assert_whole(bed, node);
    return n;
}

static void a_first_start_may_die_anywhere(void **state)
{
    const struct pki_bed *bed = *state;
    int n = 0;

    /* Each time from the beginning. */
    for (; pki_bed_dies(bed, open_only, n); n++) {
        assert_whole(bed, NULL);
        pki_bed_clear(bed);
    }
    assert_true(n >= 7 * 3); /* seven files, each synced, renamed, and its directory synced */
}

static void each_step_of_a_rotation_may_die_anywhere(void **state)
{
    const struct pki_bed *bed = *state;
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(bed, NOW);
    AUTO_TLS_CERT struct tls_cert *old_node = admit(files->ca), *new_node = NULL;
    struct sha256 a = pin_of(files->ca), b;

    pki_files_free(TAKE_PTR(files));
    assert_true(die_everywhere(bed, make_next, old_node) >= 3);
    assert_true(die_everywhere(bed, publish_next, old_node) >= 3);
    assert_true(die_everywhere(bed, promote_next, old_node) >= 3);
    files = pki_bed_open(bed, NOW);
    assert_null(files->next);
    b = pin_of(files->ca);
    assert_false(sha256_equal(&a, &b));
    assert_true(trusts(files, &a));
    new_node = admit(files->ca);
    pki_files_free(TAKE_PTR(files));
    assert_true(die_everywhere(bed, drop_old, new_node) >= 3);
    files = pki_bed_open(bed, NOW);
    assert_false(trusts(files, &a));
    assert_true(trusts(files, &b));
}

/* From the same state each time: the whole of a promotion, cut at each of its steps. */
static void a_promotion_cut_anywhere_is_done_or_not_begun(void **state)
{
    const struct pki_bed *bed = *state;
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(bed, NOW);
    AUTO_TLS_CERT struct tls_cert *node = admit(files->ca);
    struct pki_bed_copy *copy;
    bool was_done = false, was_not_begun = false;
    int n = 0;

    assert_int_equal(pki_files_make_next(files, NOW), 0);
    assert_int_equal(pki_files_publish_next(files), 0);
    pki_files_free(TAKE_PTR(files));
    copy = pki_bed_save(bed);
    for (; pki_bed_dies(bed, promote_next, n); n++) {
        assert_whole(bed, node);
        files = pki_bed_open(bed, NOW);
        was_done |= !files->next;
        was_not_begun |= files->next != NULL;
        pki_files_free(TAKE_PTR(files));
        pki_bed_restore(bed, copy);
    }
    pki_bed_copy_free(copy);
    assert_true(n >= 14 && was_done && was_not_begun);
}

static void a_renewal_and_a_new_key_may_die_anywhere(void **state)
{
    const struct pki_bed *bed = *state;

    open_only(bed);
    assert_true(die_everywhere(bed, renew, NULL) >= 6);
    assert_true(die_everywhere(bed, lose_server_key, NULL) >= 6);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pki_bed_make, pki_bed_drop)
    const struct CMUnitTest tests[] = {
        TEST(the_ca_is_replaced_while_everybody_stays_believed),
        TEST(each_step_survives_a_restart_and_can_be_repeated),
        TEST(steps_in_the_wrong_order_are_refused),
        TEST(a_next_ca_that_was_given_up_is_dropped_from_the_bundle),
        TEST(the_key_of_a_finished_promotion_never_becomes_the_next_ca),
        TEST(a_first_start_may_die_anywhere),
        TEST(each_step_of_a_rotation_may_die_anywhere),
        TEST(a_promotion_cut_anywhere_is_done_or_not_begun),
        TEST(a_renewal_and_a_new_key_may_die_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
