/* Certificate, key and CAs from files. */
#include "lib/tls/keyring.h"

#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/tls/pem_file.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/keyring_bed.h"

static void what_belongs_together_is_loaded(void **state)
{
    struct keyring_bed *bed = *state;
    AUTO_TLS_KEYRING struct tls_keyring *keyring = keyring_bed_load(bed);

    assert_int_equal(keyring->identity.kind, TLS_KIND_NODE);
    assert_string_equal(keyring->identity.name, NODE);
    assert_string_equal(keyring->identity.cluster_id, CLUSTER);
    assert_int_equal(tls_trust_count(keyring->trust), 1);
    assert_true(keyring->stamp == tls_keyring_stamp(&bed->files));
}

static void who_began_with_one_keeps_it(void **state)
{
    struct tls_keyring *keyring = keyring_bed_load(*state);
    struct tls_keyring *mine = tls_keyring_ref(keyring);

    tls_keyring_unref(keyring);
    assert_string_equal(mine->identity.name, NODE);
    tls_keyring_unref(mine);
    tls_keyring_unref(NULL);
}

static void expect_refused(const struct keyring_bed *bed, int r, const char *text)
{
    struct tls_keyring *keyring = NULL;

    assert_int_equal(tls_keyring_load(&bed->files, &keyring), r);
    assert_null(keyring);
    if (!strstr(err_text(), text))
        fail_msg("\"%s\" is not in \"%s\"", text, err_text());
}

static void a_certificate_for_another_key_is_refused(void **state)
{
    struct keyring_bed *bed = *state;
    AUTO_TLS_KEY struct tls_key *other = NULL;

    assert_int_equal(tls_key_new(&other), 0);
    keyring_bed_write_cert(bed, NODE, other);
    expect_refused(bed, -EINVAL, "is not for the key");
}

static void a_certificate_that_tells_no_identity_is_refused(void **state)
{
    struct keyring_bed *bed = *state;
    AUTO_TLS_CERT struct tls_cert *cert =
        forge_cert(bed->key, bed->ca, &(struct forge_order){.host = "node1"});

    assert_int_equal(pem_file_write_cert(bed->cert_file, cert), 0);
    expect_refused(bed, -EINVAL, bed->cert_file);
}

static void a_file_that_is_missing_is_named_and_the_stamp_is_0(void **state)
{
    struct keyring_bed *bed = *state;

    assert_int_equal(unlink(bed->ca_file), 0);
    assert_true(tls_keyring_stamp(&bed->files) == 0);
    expect_refused(bed, -ENOENT, bed->ca_file);
}

static void nonsense_is_refused(void **state)
{
    struct keyring_bed *bed = *state;

    assert_int_equal(file_write_atomic(bed->ca_file, "x", 1, 0600), 0);
    expect_refused(bed, -EINVAL, bed->ca_file);
}

static void the_stamp_tells_a_replaced_file_of_the_same_size(void **state)
{
    struct keyring_bed *bed = *state;
    AUTO_FREE char *pem = NULL;
    size_t n;
    uint64_t before = tls_keyring_stamp(&bed->files);

    assert_int_equal(file_read(bed->cert_file, TLS_PEM_MAX, &pem, &n), 0);
    assert_true(tls_keyring_stamp(&bed->files) == before);
    assert_int_equal(file_write_atomic(bed->cert_file, pem, n, 0600), 0);
    assert_true(tls_keyring_stamp(&bed->files) != before);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, keyring_bed_make, keyring_bed_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_belongs_together_is_loaded),
        TEST(who_began_with_one_keeps_it),
        TEST(a_certificate_for_another_key_is_refused),
        TEST(a_certificate_that_tells_no_identity_is_refused),
        TEST(a_file_that_is_missing_is_named_and_the_stamp_is_0),
        TEST(nonsense_is_refused),
        TEST(the_stamp_tells_a_replaced_file_of_the_same_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
