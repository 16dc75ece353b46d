/* The access token that the node is given: read each time, from wherever it is. */
#include "agent/join_token.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "tests/unit/cmocka.h"

#define TOKEN                                                               \
    "quilt1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-abcd0123-" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaa"

struct bed {
    char file[32];
};

static int make(void **state)
{
    struct bed *bed = NEW(struct bed);
    int fd;

    (void)snprintf(bed->file, sizeof bed->file, "/tmp/quilt-test-XXXXXX");
    fd = mkstemp(bed->file);
    assert_true(fd >= 0);
    close(fd);
    *state = bed;
    return 0;
}

static int drop(void **state)
{
    struct bed *bed = *state;

    (void)unlink(bed->file);
    free(bed);
    return 0;
}

static void write_text(const struct bed *bed, const char *text)
{
    assert_int_equal(file_write_atomic(bed->file, text, strlen(text), 0600), 0);
}

static void it_is_given_as_text_or_in_a_file(void **state)
{
    struct bed *bed = *state;
    const struct join_token none = {NULL, NULL}, text = {.text = TOKEN}, file = {.file = bed->file};
    AUTO_SECRET char *a = NULL, *b = NULL;
    AUTO_ACCESS_TOKEN struct access_token token = {.pin_count = 0};

    assert_false(join_token_is_given(&none));
    assert_true(join_token_is_given(&text));
    assert_true(join_token_is_given(&file));
    write_text(bed, TOKEN);
    assert_int_equal(join_token_read(&text, &a, NULL), 0);
    assert_int_equal(join_token_read(&file, &b, &token), 0);
    assert_string_equal(a, TOKEN);
    assert_string_equal(b, TOKEN);
    assert_string_equal(token.id, "abcd0123");
}

static void blanks_around_it_do_not_matter_and_others_do(void **state)
{
    static const struct {
        const char *text;
        int r;
    } rows[] = {
        {TOKEN "\n", 0},
        {"  " TOKEN " \r\n\n", 0},
        {"\t" TOKEN, 0},
        {"", -EINVAL},
        {"\n", -EINVAL},
        {TOKEN " x", -EINVAL},
        {TOKEN "\n" TOKEN "\n", -EINVAL},
        {"TOKEN=" TOKEN, -EINVAL},
    };
    struct bed *bed = *state;
    const struct join_token source = {.file = bed->file};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SECRET char *text = NULL;

        write_text(bed, rows[i].text);
        assert_int_equal(join_token_read(&source, &text, NULL), rows[i].r);
        if (rows[i].r == 0)
            assert_string_equal(text, TOKEN);
    }
}

static void a_new_one_in_the_same_file_is_found(void **state)
{
    struct bed *bed = *state;
    const struct join_token source = {.file = bed->file};

    write_text(bed, "quilt1-");
    assert_int_equal(join_token_read(&source, NULL, NULL), -EINVAL);
    write_text(bed, TOKEN);
    assert_int_equal(join_token_read(&source, NULL, NULL), 0);
}

static void what_is_wrong_is_said_with_the_file_and_never_quoted(void **state)
{
    struct bed *bed = *state;
    const struct join_token source = {.file = bed->file}, nowhere = {.file = "/nowhere/token"};
    AUTO_FREE char *long_text = mem_zalloc(10000);

    write_text(bed, "sesame-open");
    assert_int_equal(join_token_read(&source, NULL, NULL), -EINVAL);
    assert_non_null(strstr(err_text(), bed->file));
    assert_non_null(strstr(err_text(), "does not begin with quilt1-"));
    assert_null(strstr(err_text(), "sesame"));
    assert_int_equal(join_token_read(&nowhere, NULL, NULL), -ENOENT);
    assert_string_equal(
        err_text(), "access token (--token-file): open /nowhere/token: No such file or directory");
    memset(long_text, 'x', 9999);
    write_text(bed, long_text);
    assert_int_equal(join_token_read(&source, NULL, NULL), -EFBIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_given_as_text_or_in_a_file),
        TEST(blanks_around_it_do_not_matter_and_others_do),
        TEST(a_new_one_in_the_same_file_is_found),
        TEST(what_is_wrong_is_said_with_the_file_and_never_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
