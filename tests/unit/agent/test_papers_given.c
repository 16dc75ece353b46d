/* Keys, certificates and CAs that an operator gives: used, read again, and never written. */
#include "tests/unit/agent/papers_bed.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/tls/pem_file.h"

#define FILE_MAX 65536

static void give(const struct bed *bed, const struct tls_ca *ca)
{
    AUTO_FREE char *key_file = path_of(bed, "given-key.pem"), *file = path_of(bed, "given.pem");
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;

    assert_int_equal(tls_key_new(&key), 0);
    cert = issue(ca, tls_key_public(key));
    assert_int_equal(pem_file_write_key(key_file, key), 0);
    assert_int_equal(pem_file_write_cert(file, cert), 0);
}

struct given {
    char *ca, *cert, *key;
    struct papers_config config;
};

static struct given given_config(const struct bed *bed)
{
    struct given given = {path_of(bed, "given-ca.pem"), path_of(bed, "given.pem"),
                          path_of(bed, "given-key.pem")};

    given.config = (struct papers_config){bed->dir, given.ca, given.cert, given.key};
    return given;
}

static void given_drop(struct given *given)
{
    free(given->ca);
    free(given->cert);
    free(given->key);
}

/* All of the bed's CA. */
static struct papers *open_given(const struct bed *bed, const struct given *given)
{
    struct papers *papers = NULL;

    give(bed, bed->ca);
    write_text(bed, "given-ca.pem", bed->ca_pem);
    if (papers_open(&given->config, &papers) != 0)
        fail_msg("%s", err_text());
    return papers;
}

static void given_files_are_used_and_read_again_when_they_change(void **state)
{
    const struct bed *bed = *state;
    CLEANUP(given_drop) struct given given = given_config(bed);
    AUTO_PAPERS struct papers *papers = open_given(bed, &given);
    struct sha256 before, after;

    assert_false(papers_are_own(papers));
    assert_string_equal(papers_files(papers).cert_file, given.cert);
    assert_string_equal(papers_files(papers).ca_file, given.ca);
    assert_false(exists(bed, "tls/node-key.pem"));
    before = tls_key_spki(papers->key);
    assert_false(papers_refresh(papers));
    give(bed, bed->other);
    write_text(bed, "given-ca.pem", bed->both_pem);
    assert_true(papers_refresh(papers));
    after = tls_key_spki(papers->key);
    assert_memory_not_equal(&before, &after, sizeof before);
    assert_int_equal(tls_trust_count(papers->trust), 2);
}

static void set_mtime(const char *path, time_t seconds)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds}};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* As with files out of an archive, which keeps their times. */
static void given_files_that_grow_older_and_younger_by_as_much_are_read_again(void **state)
{
    const struct bed *bed = *state;
    CLEANUP(given_drop) struct given given = given_config(bed);
    AUTO_PAPERS struct papers *papers = NULL;

    give(bed, bed->ca);
    given.config.ca_file = NULL;
    set_mtime(given.cert, 1700000000);
    set_mtime(given.key, 1700000000);
    assert_int_equal(papers_open(&given.config, &papers), 0);
    give(bed, bed->ca);
    set_mtime(given.cert, 1700000060);
    set_mtime(given.key, 1699999940);
    assert_true(papers_refresh(papers));
}

static void a_given_key_is_left_to_who_may_read_it(void **state)
{
    const struct bed *bed = *state;
    CLEANUP(given_drop) struct given given = given_config(bed);
    AUTO_PAPERS struct papers *papers = NULL;
    struct stat st;

    give(bed, bed->ca);
    given.config.ca_file = NULL;
    assert_int_equal(chmod(given.key, 0640), 0);
    assert_int_equal(papers_open(&given.config, &papers), 0);
    assert_int_equal(stat(given.key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

/* What it logs, in text, too. */
static bool refresh(struct papers *papers, char text[static LOG_MAX])
{
    struct capture capture = capture_begin();
    bool is_new = papers_refresh(papers);

    capture_end(&capture, text);
    return is_new;
}

static void half_a_change_of_given_files_is_waited_out(void **state)
{
    const struct bed *bed = *state;
    CLEANUP(given_drop) struct given given = given_config(bed);
    AUTO_PAPERS struct papers *papers = NULL;
    AUTO_FREE char *old_cert = NULL;
    char text[LOG_MAX];
    size_t n;

    give(bed, bed->ca);
    given.config.ca_file = NULL;
    assert_int_equal(papers_open(&given.config, &papers), 0);
    assert_int_equal(file_read(given.cert, FILE_MAX, &old_cert, &n), 0);
    give(bed, bed->ca);
    write_text(bed, "given.pem", old_cert); /* only the key is new */
    assert_false(refresh(papers, text));
    assert_non_null(strstr(text, "level=error msg=\"the given certificates cannot be used; the old "
                                 "ones are used on\""));
    assert_non_null(strstr(text, "is not for the key"));
    assert_false(refresh(papers, text));
    assert_string_equal(text, "");
    give(bed, bed->ca);
    assert_true(refresh(papers, text));
    assert_non_null(strstr(text, "level=info msg=\"the given certificates can be used again\"\n"));
    assert_false(refresh(papers, text));
    assert_string_equal(text, "");
}

static void of_given_files_all_come_into_force_or_none(void **state)
{
    const struct bed *bed = *state;
    CLEANUP(given_drop) struct given given = given_config(bed);
    AUTO_PAPERS struct papers *papers = open_given(bed, &given);
    struct sha256 before, after;

    before = tls_key_spki(papers->key);
    give(bed, bed->other);
    write_text(bed, "given-ca.pem", "nothing");
    assert_false(papers_refresh(papers));
    after = tls_key_spki(papers->key);
    assert_memory_equal(&before, &after, sizeof before);
    assert_true(tls_cert_is_for_key(papers->cert, papers->key));
    write_text(bed, "given-ca.pem", bed->both_pem);
    assert_true(papers_refresh(papers));
    assert_int_equal(tls_trust_count(papers->trust), 2);
}

static void given_files_that_cannot_be_used_stop_the_start(void **state)
{
    const struct bed *bed = *state;
    CLEANUP(given_drop) struct given given = given_config(bed);
    struct papers *papers = NULL;

    assert_int_equal(papers_open(&given.config, &papers), -ENOENT);
    assert_non_null(strstr(err_text(), "given-key.pem"));
    give(bed, bed->ca);
    assert_int_equal(papers_open(&given.config, &papers), -ENOENT);
    assert_non_null(strstr(err_text(), "given-ca.pem"));
    write_text(bed, "given-ca.pem", "nothing");
    assert_int_equal(papers_open(&given.config, &papers), -EINVAL);
    assert_true(exists(bed, "given-ca.pem"));
}

static void given_cas_are_never_written(void **state)
{
    const struct bed *bed = *state;
    CLEANUP(given_drop) struct given given = given_config(bed);
    AUTO_PAPERS struct papers *papers = NULL;
    bool is_new = true;

    given.config.cert_file = given.config.key_file = NULL;
    write_text(bed, "given-ca.pem", bed->ca_pem);
    assert_int_equal(papers_open(&given.config, &papers), 0);
    assert_int_equal(papers_take_cas(papers, bed->both_pem, &is_new), 0);
    assert_false(is_new);
    assert_int_equal(tls_trust_count(papers->trust), 1);
    assert_int_equal(papers_erase(papers), 0);
    assert_true(exists(bed, "given-ca.pem"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_make, bed_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_files_are_used_and_read_again_when_they_change),
        TEST(given_files_that_grow_older_and_younger_by_as_much_are_read_again),
        TEST(a_given_key_is_left_to_who_may_read_it),
        TEST(half_a_change_of_given_files_is_waited_out),
        TEST(of_given_files_all_come_into_force_or_none),
        TEST(given_files_that_cannot_be_used_stop_the_start),
        TEST(given_cas_are_never_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
