/* The node's own key, certificate and CAs on disk: made, taken, lost, damaged. */
#include "tests/unit/agent/papers_bed.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/tls/pem_file.h"

#define FILE_MAX 65536

static struct papers *open_papers(const struct bed *bed)
{
    const struct papers_config config = {.state_dir = bed->dir};
    struct papers *papers = NULL;

    if (papers_open(&config, &papers) != 0)
        fail_msg("%s", err_text());
    return papers;
}

static unsigned int mode_of(const struct bed *bed, const char *name)
{
    AUTO_FREE char *path = path_of(bed, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

/* What the control plane answers a request with. */
static char *certify(const struct tls_ca *ca, const struct papers *papers)
{
    AUTO_FREE char *csr = NULL;
    AUTO_TLS_PUBLIC_KEY struct tls_public_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;

    assert_int_equal(papers_request(papers, &csr), 0);
    assert_int_equal(tls_csr_from_pem(csr, strlen(csr), &key), 0);
    cert = issue(ca, key);
    return tls_cert_to_pem(cert);
}

static struct sha256 pin_of(const struct tls_ca *ca)
{
    return tls_key_spki(tls_ca_key(ca));
}

/* ---- its own ------------------------------------------------------------------------------- */

static void a_new_node_makes_a_key_for_itself_alone(void **state)
{
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed), *again = NULL;
    struct sha256 first = tls_key_spki(papers->key), second;
    const struct http_client_config files = papers_files(papers);

    assert_int_equal(mode_of(bed, "tls"), 0700);
    assert_int_equal(mode_of(bed, "tls/node-key.pem"), 0600);
    assert_null(papers->cert);
    assert_null(papers->trust);
    assert_string_equal(papers->ca_sha256, "");
    assert_non_null(files.ca_file); /* not the system's */
    assert_null(files.cert_file);
    again = open_papers(bed);
    second = tls_key_spki(again->key);
    assert_memory_equal(&first, &second, sizeof first);
}

static void a_certificate_and_cas_that_were_taken_are_there_at_the_next_start(void **state)
{
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed), *again = NULL;
    AUTO_FREE char *cert = certify(bed->ca, papers);
    struct http_client_config files;
    char digest[SHA256_HEX_SIZE];
    bool is_new = false;

    assert_int_equal(papers_take_cert(papers, cert), 0);
    assert_int_equal(papers_take_cas(papers, bed->both_pem, &is_new), 0);
    assert_true(is_new);
    sha256_hex(bed->both_pem, strlen(bed->both_pem), digest);
    assert_string_equal(papers->ca_sha256, digest);
    again = open_papers(bed);
    files = papers_files(again);
    assert_non_null(again->cert);
    assert_int_equal(tls_trust_count(again->trust), 2);
    assert_string_equal(again->ca_sha256, digest);
    assert_int_equal(access(files.ca_file, R_OK), 0);
    assert_int_equal(access(files.cert_file, R_OK), 0);
    assert_int_equal(access(files.key_file, R_OK), 0);
    assert_int_equal(mode_of(bed, "tls/node.pem"), 0600);
    assert_int_equal(mode_of(bed, "tls/ca.pem"), 0600);
    assert_int_equal(papers_take_cas(again, bed->both_pem, &is_new), 0);
    assert_false(is_new);
}

static void what_cannot_be_used_is_not_taken(void **state)
{
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed);
    AUTO_FREE char *good = certify(bed->ca, papers), *others = NULL;
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    bool is_new;

    assert_int_equal(papers_take_cert(papers, good), 0);
    assert_int_equal(papers_take_cas(papers, bed->ca_pem, &is_new), 0);
    assert_int_equal(tls_key_new(&key), 0);
    cert = issue(bed->ca, tls_key_public(key));
    others = tls_cert_to_pem(cert);
    assert_int_equal(papers_take_cert(papers, others), -EINVAL);
    assert_string_equal(err_text(), "the certificate is for another key than this node's");
    assert_int_equal(papers_take_cert(papers, "no certificate"), -EINVAL);
    assert_int_equal(papers_take_cas(papers, good, &is_new), -EINVAL);
    assert_false(is_new);
    assert_non_null(papers->cert);
    assert_int_equal(tls_trust_count(papers->trust), 1);
}

static void of_cas_that_anybody_told_only_the_pinned_count(void **state)
{
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed), *again = NULL;
    const struct sha256 pin = pin_of(bed->ca), zeros = {0};

    assert_int_equal(papers_pin(papers, bed->both_pem, &zeros, 1), TLS_NOT_PINNED);
    assert_int_equal(papers_pin(papers, "<html>", &pin, 1), -EINVAL);
    assert_null(papers->trust);
    assert_false(exists(bed, "tls/ca.pem"));
    assert_int_equal(papers_pin(papers, bed->both_pem, &pin, 1), 0);
    assert_int_equal(tls_trust_count(papers->trust), 1);
    assert_true(tls_trust_has_pin(papers->trust, &pin));
    again = open_papers(bed);
    assert_int_equal(tls_trust_count(again->trust), 1);
}

static void the_own_certificate_tells_the_pin_of_its_ca(void **state)
{
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed);
    const struct sha256 right = pin_of(bed->ca);
    AUTO_FREE char *cert = NULL;
    struct sha256 pins[PAPERS_PINS_MAX];

    assert_int_equal(papers_pins(papers, pins), 0);
    cert = certify(bed->ca, papers);
    assert_int_equal(papers_take_cert(papers, cert), 0);
    assert_int_equal(papers_pins(papers, pins), 1);
    assert_memory_equal(pins, &right, sizeof right);
}

static void cas_whose_file_is_lost_are_known_by_what_is_remembered(void **state)
{
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed), *again = NULL;
    AUTO_FREE char *cert = certify(bed->ca, papers);
    struct tls_pins remembered;
    const struct papers_config config = {.state_dir = bed->dir, .remembered = &remembered};
    struct sha256 pins[PAPERS_PINS_MAX];
    bool is_new;

    assert_int_equal(papers_take_cas(papers, bed->both_pem, &is_new), 0);
    assert_int_equal(papers_take_cert(papers, cert), 0);
    remembered = tls_trust_pins(papers->trust);
    assert_int_equal(unlink(papers->ca_file), 0);
    assert_int_equal(papers_open(&config, &again), 0);
    assert_null(again->trust);
    assert_int_equal(papers_pins(again, pins), 3);
    assert_int_equal(papers_pin(again, bed->both_pem, pins, 3), 0);
    assert_string_equal(again->ca_sha256, papers->ca_sha256);
}

static void files_that_somebody_deletes_are_written_again(void **state)
{
    static const char *const names[] = {"tls/node-key.pem", "tls/node.pem", "tls/ca.pem"};
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed), *again = NULL;
    AUTO_FREE char *cert = certify(bed->ca, papers), *dir = path_of(bed, "tls");
    struct sha256 key = tls_key_spki(papers->key), same;
    bool is_new;

    papers_restore(papers);
    assert_false(exists(bed, "tls/node.pem")); /* there was none */
    assert_false(exists(bed, "tls/ca.pem"));
    assert_int_equal(papers_take_cert(papers, cert), 0);
    assert_int_equal(papers_take_cas(papers, bed->ca_pem, &is_new), 0);
    for (size_t i = 0; i <= ARRAY_LEN(names); i++) {
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            AUTO_FREE char *path = path_of(bed, names[k]);

            if (i == k || i == ARRAY_LEN(names)) /* in the end all of them */
                assert_int_equal(unlink(path), 0);
        }
        assert_true(i < ARRAY_LEN(names) || rmdir(dir) == 0);
        papers_restore(papers);
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            assert_int_equal(mode_of(bed, names[k]), 0600);
    }
    again = open_papers(bed);
    same = tls_key_spki(again->key);
    assert_memory_equal(&same, &key, sizeof key);
    assert_non_null(again->cert);
    assert_string_equal(again->ca_sha256, papers->ca_sha256);
}

/* Where files may not be larger, nothing can be written. */
static void restore_on_disk_of(struct papers *papers, rlim_t max_bytes, char text[static LOG_MAX])
{
    struct capture capture = capture_begin();
    struct rlimit before, limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = max_bytes, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    papers_restore(papers);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    capture_end(&capture, text);
}

static void what_cannot_be_written_again_is_not_said_to_be(void **state)
{
    static const char said[] = "level=warn msg=\"somebody deleted a file of this node, it is "
                               "written again\"";
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed);
    char text[LOG_MAX];

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(unlink(papers->key_file), 0);
    restore_on_disk_of(papers, 0, text);
    assert_null(strstr(text, said));
    assert_non_null(strstr(text, "level=error msg=\"deleted files of this node cannot be written "
                                 "again; see to its disk\""));
    restore_on_disk_of(papers, 0, text);
    assert_string_equal(text, "");
    restore_on_disk_of(papers, FILE_MAX, text);
    assert_non_null(strstr(text, said));
    assert_true(exists(bed, "tls/node-key.pem"));
}

static void a_new_key_leaves_no_certificate(void **state)
{
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed);
    struct sha256 first = tls_key_spki(papers->key), second;
    AUTO_FREE char *cert = certify(bed->ca, papers);

    assert_int_equal(papers_take_cert(papers, cert), 0);
    assert_int_equal(papers_make_key(papers), 0);
    second = tls_key_spki(papers->key);
    assert_memory_not_equal(&first, &second, sizeof first);
    assert_null(papers->cert);
    assert_false(exists(bed, "tls/node.pem"));
    assert_null(papers_files(papers).cert_file);
}

static void nothing_is_left_of_who_leaves(void **state)
{
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed);
    AUTO_FREE char *cert = certify(bed->ca, papers);
    bool is_new;

    assert_int_equal(papers_take_cert(papers, cert), 0);
    assert_int_equal(papers_take_cas(papers, bed->ca_pem, &is_new), 0);
    write_text(bed, "tls/node-key.pem.damaged", "x");
    write_text(bed, "tls/node.pem.damaged", "x");
    write_text(bed, "tls/ca.pem.damaged", "x");
    assert_int_equal(papers_erase(papers), 0);
    assert_false(exists(bed, "tls/node-key.pem"));
    assert_false(exists(bed, "tls/node.pem"));
    assert_false(exists(bed, "tls/ca.pem"));
    assert_false(exists(bed, "tls/node-key.pem.damaged"));
    assert_false(exists(bed, "tls/node.pem.damaged"));
    assert_false(exists(bed, "tls/ca.pem.damaged"));
    assert_int_equal(papers_erase(papers), 0);
}

static void what_cannot_be_removed_keeps_no_key_of_who_leaves(void **state)
{
    const struct bed *bed = *state;
    AUTO_PAPERS struct papers *papers = open_papers(bed);
    AUTO_FREE char *in_the_way = path_of(bed, "tls/node.pem");
    AUTO_FREE char *aside = path_of(bed, "tls/node-key.pem.damaged");
    bool is_new;

    assert_int_equal(papers_take_cas(papers, bed->ca_pem, &is_new), 0);
    assert_int_equal(mkdir(in_the_way, 0700), 0);
    assert_int_equal(mkdir(aside, 0700), 0);
    assert_int_equal(papers_erase(papers), -EISDIR);
    assert_false(exists(bed, "tls/node-key.pem"));
    assert_false(exists(bed, "tls/ca.pem"));
    assert_int_equal(rmdir(in_the_way), 0);
    assert_int_equal(rmdir(aside), 0);
}

/* ---- damage -------------------------------------------------------------------------------- */

static void fill(const struct bed *bed)
{
    AUTO_PAPERS struct papers *papers = open_papers(bed);
    AUTO_FREE char *cert = certify(bed->ca, papers);
    bool is_new;

    assert_int_equal(papers_take_cert(papers, cert), 0);
    assert_int_equal(papers_take_cas(papers, bed->ca_pem, &is_new), 0);
}

static const struct {
    const char *name, *aside;
    const char *text; /* NULL: the file is lost */
    bool has_cert, has_trust;
} damages[] = {
    {"tls/node-key.pem", "tls/node.pem.damaged", NULL, false, true},
    {"tls/node-key.pem", "tls/node-key.pem.damaged", "", false, true},
    {"tls/node-key.pem", "tls/node-key.pem.damaged", "-----BEGIN PRIVATE KEY-----\n", false, true},
    {"tls/node.pem", NULL, NULL, false, true},
    {"tls/node.pem", "tls/node.pem.damaged", "-----BEGIN CERTIFICATE-----\nAAAA\n", false, true},
    {"tls/ca.pem", NULL, NULL, true, false},
    {"tls/ca.pem", "tls/ca.pem.damaged", "half", true, false},
};

static void what_is_damaged_is_put_aside_and_does_without(void **state)
{
    const struct bed *bed = *state;

    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        AUTO_PAPERS struct papers *papers = NULL;
        AUTO_FREE char *path = path_of(bed, damages[i].name);

        fill(bed);
        if (damages[i].text)
            write_text(bed, damages[i].name, damages[i].text);
        else
            assert_int_equal(unlink(path), 0);
        papers = open_papers(bed);
        assert_non_null(papers->key);
        assert_int_equal(papers->cert != NULL, damages[i].has_cert);
        assert_int_equal(papers->trust != NULL, damages[i].has_trust);
        if (damages[i].aside)
            assert_true(exists(bed, damages[i].aside));
    }
}

static void a_disk_that_fails_is_no_damage(void **state)
{
    const struct bed *bed = *state;
    const struct papers_config config = {.state_dir = bed->dir};
    AUTO_FREE char *path = path_of(bed, "tls/ca.pem");
    struct papers *papers = NULL;

    fill(bed);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* cannot be read */
    assert_int_equal(papers_open(&config, &papers), -EISDIR);
    assert_int_equal(rmdir(path), 0);
    assert_null(papers);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_make, bed_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_node_makes_a_key_for_itself_alone),
        TEST(a_certificate_and_cas_that_were_taken_are_there_at_the_next_start),
        TEST(what_cannot_be_used_is_not_taken),
        TEST(of_cas_that_anybody_told_only_the_pinned_count),
        TEST(the_own_certificate_tells_the_pin_of_its_ca),
        TEST(cas_whose_file_is_lost_are_known_by_what_is_remembered),
        TEST(files_that_somebody_deletes_are_written_again),
        TEST(what_cannot_be_written_again_is_not_said_to_be),
        TEST(a_new_key_leaves_no_certificate),
        TEST(nothing_is_left_of_who_leaves),
        TEST(what_cannot_be_removed_keeps_no_key_of_who_leaves),
        TEST(what_is_damaged_is_put_aside_and_does_without),
        TEST(a_disk_that_fails_is_no_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
