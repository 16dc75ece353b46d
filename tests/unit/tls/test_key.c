/* Keys and requests: that they are those of the openssl command, and what is refused. */
#include "lib/tls/key.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/openssl_made.h"

static void assert_spki(struct sha256 spki, const char *hex)
{
    char text[SHA256_HEX_SIZE];

    sha256_format(&spki, text);
    assert_string_equal(text, hex);
}

static void a_key_of_openssl_is_taken_in_both_forms_with_its_spki_hash(void **state)
{
    const char *const forms[] = {everybodys_key_sec1, everybodys_key_pkcs8};

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        AUTO_TLS_KEY struct tls_key *key = NULL;

        assert_int_equal(tls_key_from_pem(forms[i], strlen(forms[i]), &key), 0);
        assert_spki(tls_key_spki(key), EVERYBODYS_SPKI);
        assert_spki(tls_public_key_spki(tls_key_public(key)), EVERYBODYS_SPKI);
    }
}

static void new_keys_differ_and_survive_their_text(void **state)
{
    AUTO_TLS_KEY struct tls_key *key = NULL, *other = NULL, *again = NULL;
    AUTO_SECRET char *pem = NULL;
    struct sha256 a, b;

    assert_int_equal(tls_key_new(&key), 0);
    assert_int_equal(tls_key_new(&other), 0);
    pem = tls_key_to_pem(key);
    assert_int_equal(tls_key_from_pem(pem, strlen(pem), &again), 0);
    a = tls_key_spki(key);
    b = tls_key_spki(other);
    assert_false(sha256_equal(&a, &b));
    b = tls_key_spki(again);
    assert_true(sha256_equal(&a, &b));
}

static void what_is_no_open_key_is_refused_without_quoting_it(void **state)
{
    static char long_text[TLS_PEM_MAX + 1];
    const struct {
        const char *pem;
        size_t n;
    } refused[] = {
        {"", 0},
        {"secret", 6},
        {everybodys_key_encrypted, sizeof everybodys_key_encrypted - 1},
        {everybodys_csr, sizeof everybodys_csr - 1},
        {everybodys_key_pkcs8, 120},
        {long_text, sizeof long_text},
    };

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct tls_key *key = NULL;

        assert_int_equal(tls_key_from_pem(refused[i].pem, refused[i].n, &key), -EINVAL);
        assert_null(key);
        assert_memory_equal(err_text(), "private key: ", 13);
        assert_null(strstr(err_text(), "secret"));
    }
}

static void assert_words(const char *pem, const char *words)
{
    struct tls_key *key = NULL;

    assert_int_equal(tls_key_from_pem(pem, strlen(pem), &key), -EINVAL);
    if (!strstr(err_text(), words))
        fail_msg("\"%s\" does not say: %s", err_text(), words);
}

static void what_stands_in_the_place_of_a_key_is_told(void **state)
{
    assert_words("", "private key: it is empty");
    assert_words("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n", "it is encrypted");
    assert_words("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
                 "'openssl pkey -in FILE -out NEWFILE' takes it off");
    assert_words("-----BEGIN CERTIFICATE-----\nMAA=\n",
                 "it is a certificate; are certificate and key swapped?");
    assert_words("-----BEGIN PUBLIC KEY-----\nMAA=\n", "it is a public key");
    assert_words("\x30\x82\x01", "it is in DER, and has to be in PEM");
}

static void a_request_carries_the_public_key_of_who_made_it(void **state)
{
    AUTO_TLS_PUBLIC_KEY struct tls_public_key *half = NULL;
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_FREE char *pem = NULL;
    struct sha256 a, b;

    assert_int_equal(tls_key_new(&key), 0);
    assert_int_equal(tls_csr_new(key, &pem), 0);
    assert_int_equal(tls_csr_from_pem(pem, strlen(pem), &half), 0);
    a = tls_key_spki(key);
    b = tls_public_key_spki(half);
    assert_true(sha256_equal(&a, &b));
}

static void a_request_of_openssl_is_taken_whatever_else_it_says(void **state)
{
    AUTO_TLS_PUBLIC_KEY struct tls_public_key *half = NULL;

    assert_int_equal(tls_csr_from_pem(everybodys_csr, strlen(everybodys_csr), &half), 0);
    assert_spki(tls_public_key_spki(half), EVERYBODYS_SPKI);
}

static void assert_csr_refused(const char *pem, size_t n, const char *why)
{
    struct tls_public_key *half = NULL;

    assert_int_equal(tls_csr_from_pem(pem, n, &half), -EINVAL);
    assert_null(half);
    if (!strstr(err_text(), why))
        fail_msg("\"%s\" does not say: %s", err_text(), why);
}

static void requests_for_other_kinds_of_keys_are_refused(void **state)
{
    static char long_text[TLS_PEM_MAX + 1];

    assert_csr_refused(p384_csr, strlen(p384_csr), "not of ECDSA on P-256");
    assert_csr_refused(rsa_csr, strlen(rsa_csr), "not of ECDSA on P-256");
    assert_csr_refused("", 0, "not one in PEM");
    assert_csr_refused(everybodys_key_pkcs8, strlen(everybodys_key_pkcs8), "not one in PEM");
    assert_csr_refused(long_text, sizeof long_text, "longer than 16384 bytes");
}

static void a_request_without_proof_of_possession_is_refused(void **state)
{
    char pem[sizeof everybodys_csr];
    char *at;

    memcpy(pem, everybodys_csr, sizeof pem);
    at = strstr(pem, "PBZEgQ==");
    assert_non_null(at);
    at[1] = 'C';
    assert_csr_refused(pem, strlen(pem), "not signed with its own key");
}

static void nothing_is_fine_to_free(void **state)
{
    tls_key_free(NULL);
    tls_public_key_free(NULL);
    secret_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_of_openssl_is_taken_in_both_forms_with_its_spki_hash),
        cmocka_unit_test(new_keys_differ_and_survive_their_text),
        cmocka_unit_test(what_is_no_open_key_is_refused_without_quoting_it),
        cmocka_unit_test(what_stands_in_the_place_of_a_key_is_told),
        cmocka_unit_test(a_request_carries_the_public_key_of_who_made_it),
        cmocka_unit_test(a_request_of_openssl_is_taken_whatever_else_it_says),
        cmocka_unit_test(requests_for_other_kinds_of_keys_are_refused),
        cmocka_unit_test(a_request_without_proof_of_possession_is_refused),
        cmocka_unit_test(nothing_is_fine_to_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
