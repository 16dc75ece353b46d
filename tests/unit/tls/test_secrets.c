/* What was secret is not left behind in memory that is given back: every block that our code frees
 * is looked through for it. (What GnuTLS frees it overwrites itself.) */
#include <errno.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/tls/pem_file.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/keyring_bed.h"
#include "tests/unit/tls/leak_watch.h"

#define SECRET "quilt-secret-quilt-secret-quilt!"

static void the_watch_finds_what_is_left_behind(void **state)
{
    char *text = mem_strdup("a block with " SECRET " in it");

    leak_watch_for(SECRET);
    free(text);
    assert_int_equal(leak_watch_found(), 1);
}

static void write_long_secret(const char *path)
{
    char text[20000];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = SECRET[i % 32];
    assert_int_equal(file_write_atomic(path, text, sizeof text, 0600), 0);
}

static void a_file_that_outgrows_its_buffers_leaves_nothing(void **state)
{
    const struct keyring_bed *bed = *state;
    char *text = NULL;
    size_t n;

    write_long_secret(bed->ca_file);
    leak_watch_for(SECRET);
    assert_int_equal(file_read(bed->ca_file, 100000, &text, &n), 0);
    assert_int_equal(n, 20000);
    secret_free(text);
    assert_int_equal(leak_watch_found(), 0);
}

static void neither_does_one_that_is_too_long(void **state)
{
    const struct keyring_bed *bed = *state;
    char *text = NULL;
    size_t n;

    write_long_secret(bed->ca_file);
    leak_watch_for(SECRET);
    assert_int_equal(file_read(bed->ca_file, 10000, &text, &n), -EFBIG);
    assert_int_equal(leak_watch_found(), 0);
}

/* The second line of a PEM text, which is the key itself. */
static void look_for_key(const char *pem)
{
    const char *line = strchr(pem, '\n');

    assert_non_null(line);
    leak_watch_for(line + 1);
}

static void a_key_is_read_and_written_without_leaving_its_text(void **state)
{
    const struct keyring_bed *bed = *state;
    AUTO_SECRET char *pem = tls_key_to_pem(bed->key);
    struct tls_key *key = NULL;

    look_for_key(pem);
    assert_int_equal(pem_file_read_key(bed->key_file, &key), 0);
    assert_int_equal(pem_file_write_key(bed->key_file, key), 0);
    secret_free(tls_key_to_pem(key));
    tls_key_free(key);
    assert_int_equal(leak_watch_found(), 0);
}

static void neither_does_a_keyring(void **state)
{
    const struct keyring_bed *bed = *state;
    AUTO_SECRET char *pem = tls_key_to_pem(bed->key);

    look_for_key(pem);
    tls_keyring_unref(keyring_bed_load(bed));
    assert_int_equal(leak_watch_found(), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, keyring_bed_make, keyring_bed_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_watch_finds_what_is_left_behind),
        TEST(a_file_that_outgrows_its_buffers_leaves_nothing),
        TEST(neither_does_one_that_is_too_long),
        TEST(a_key_is_read_and_written_without_leaving_its_text),
        TEST(neither_does_a_keyring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
