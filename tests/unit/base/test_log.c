/* Log lines: their shape, and that no value can break out of its line. */
#include "lib/base/log.h"

#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/parse.h"
#include "lib/base/random.h"
#include "tests/unit/cmocka.h"

static char line[4097];

static const char *format_value(enum log_format format, const char *value)
{
    const struct log_field fields[] = {LOG_S("v", value)};
    size_t n = log_format_line(format, LOG_LEVEL_INFO, "m", fields, 1, line, sizeof line - 1);

    line[n] = '\0';
    return line;
}

static void a_text_line_is_logfmt(void **state)
{
    const struct log_field fields[] = {LOG_S("peer", "node2"), LOG_I("lag_ms", -5),
                                       LOG_U("bytes", UINT64_MAX), LOG_B("is_up", true),
                                       LOG_S("none", NULL)};
    size_t n = log_format_line(LOG_FORMAT_TEXT, LOG_LEVEL_WARN, "peer added", fields, 5, line,
                               sizeof line - 1);

    line[n] = '\0';
    assert_string_equal(line, "level=warn msg=\"peer added\" peer=node2 lag_ms=-5 "
                              "bytes=18446744073709551615 is_up=true none=\"\"");
}

static void a_json_line_is_one_object_with_typed_values(void **state)
{
    const struct log_field fields[] = {LOG_S("peer", "node2"), LOG_I("lag_ms", -5),
                                       LOG_B("is_up", false)};
    size_t n = log_format_line(LOG_FORMAT_JSON, LOG_LEVEL_ERROR, "peer added", fields, 3, line,
                               sizeof line - 1);

    line[n] = '\0';
    assert_string_equal(line, "\"level\":\"error\",\"msg\":\"peer added\",\"peer\":\"node2\","
                              "\"lag_ms\":-5,\"is_up\":false");
}

static void hostile_values_are_escaped(void **state)
{
    static const struct {
        const char *value;
        const char *text;
    } rows[] = {
        {"plain-1.2:3/4@x+y_z", "plain-1.2:3/4@x+y_z"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"x\nlevel=error msg=forged", "\"x\\nlevel=error msg=forged\""},
        {"say \"hi\" \\", "\"say \\\"hi\\\" \\\\\""},
        {"\x1b[2Jgone", "\"\\u001b[2Jgone\""},
        {"\r\t\x7f", "\"\\u000d\\u0009\\u007f\""},
        {"\xc2\x9b"
         "31m",
         "\"\\u009b31m\""}, /* C1: CSI in one character */
        {"\xe2\x80\xae"
         "evil",
         "\"\\u202eevil\""},               /* right-to-left override */
        {"\xe2\x80\xa8x", "\"\\u2028x\""}, /* line separator */
        {"\xe2\x81\xa6x\xe2\x81\xa9", "\"\\u2066x\\u2069\""},
        {"\xd8\x9cx", "\"\\u061cx\""},
        {"\xef\xbb\xbfx", "\"\\ufeffx\""},
        {"K\xc3\xb6ln", "\"K\xc3\xb6ln\""}, /* honest letters stay */
        {"\xf0\x9f\x90\x84", "\"\xf0\x9f\x90\x84\""},
        {"\xff\xfe", "\"\\u00ff\\u00fe\""},            /* no UTF-8 at all */
        {"\xc0\xaf", "\"\\u00c0\\u00af\""},            /* overlong */
        {"\xed\xa0\x80", "\"\\u00ed\\u00a0\\u0080\""}, /* surrogate */
        {"\xe2\x82", "\"\\u00e2\\u0082\""},            /* cut short */
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(strstr(format_value(LOG_FORMAT_TEXT, rows[i].value), " v=") + 3,
                            rows[i].text);
}

static void the_longest_error_text_is_shown_to_its_end(void **state)
{
    char words[2000];
    const char *shown;

    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    (void)err_fail(EIO, "%s", words);
    assert_int_equal(strlen(err_text()), ERR_TEXT_MAX - 1);
    (void)err_fail(EIO, "to be done: %.990s: at its end", words);
    shown = strstr(format_value(LOG_FORMAT_TEXT, err_text()), " v=\"") + 4;
    assert_memory_equal(shown, err_text(), strlen(err_text()));
    assert_string_equal(shown + strlen(err_text()), "\"");
    assert_non_null(strstr(shown, ": at its end\""));
}

static void a_longer_value_is_cut_and_the_line_says_so(void **state)
{
    char value[2000];

    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    format_value(LOG_FORMAT_TEXT, value);
    assert_int_equal(strlen(strstr(line, " v=") + 3), 1023 + 2 + strlen(" cut=true"));
    assert_string_equal(line + strlen(line) - strlen(" cut=true"), " cut=true");
}

static void a_value_that_is_all_escapes_leaves_room_for_others(void **state)
{
    char value[1024];
    const struct log_field fields[] = {LOG_S("v", value), LOG_S("last", "short")};
    size_t n;

    memset(value, 1, sizeof value - 1);
    value[sizeof value - 1] = '\0';
    n = log_format_line(LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "m", fields, 2, line, sizeof line - 1);
    line[n] = '\0';
    assert_in_range(n, 3072, 3200);
    assert_non_null(strstr(line, "\" last=short cut=true"));
}

static void fields_that_do_not_fit_are_left_out_and_the_line_says_so(void **state)
{
    char value[513];
    struct log_field fields[12];
    json_t *parsed;
    size_t n;

    memset(value, 1, sizeof value - 1); /* six characters each when escaped */
    value[sizeof value - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        fields[i] = LOG_S("v", value);
    fields[11] = LOG_S("last", "short");
    line[0] = '{';
    n = log_format_line(LOG_FORMAT_JSON, LOG_LEVEL_INFO, "m", fields, 12, line + 1, 4000);
    assert_in_range(n, 3072, 4000);
    line[n + 1] = '}';
    line[n + 2] = '\0';
    parsed = json_loads(line, 0, NULL);
    assert_non_null(parsed);
    assert_true(json_is_true(json_object_get(parsed, "cut")));
    assert_string_equal(json_string_value(json_object_get(parsed, "last")), "short");
    json_decref(parsed);
}

static void any_bytes_make_one_line_of_valid_json(void **state)
{
    for (int round = 0; round < 20000; round++) {
        unsigned char value[48];
        AUTO_FREE char *object = NULL;
        json_t *parsed;

        random_bytes(value, sizeof value);
        for (size_t i = 0; i < sizeof value; i++) /* more of what matters: leads and tails */
            if (value[i] % 3 == 0)
                value[i] = (unsigned char)(0xc0 + value[i] % 0x38);
        value[sizeof value - 1] = 0;
        format_value(LOG_FORMAT_JSON, (const char *)value);
        assert_null(strchr(line, '\n'));
        assert_true(parse_is_utf8(line, strlen(line)));
        object = mem_printf("{%s}", line);
        parsed = json_loads(object, 0, NULL);
        assert_non_null(parsed);
        json_decref(parsed);
    }
}

static void the_words_of_the_options_are_known_and_no_others(void **state)
{
    enum log_level level;
    enum log_format format;

    assert_true(log_level_parse("trace", &level));
    assert_int_equal(level, LOG_LEVEL_TRACE);
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_false(log_level_parse("ERROR", &level));
    assert_false(log_level_parse("", &level));
    assert_true(log_format_parse("json", &format));
    assert_int_equal(format, LOG_FORMAT_JSON);
    assert_false(log_format_parse("yaml", &format));
}

/* What reaches stderr while fn runs. */
static void capture_stderr(void (*fn)(void), char *ret_text, size_t size)
{
    int pipes[2], saved = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe(pipes), 0);
    assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
    fn();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(pipes[1]);
    n = read(pipes[0], ret_text, size - 1);
    close(pipes[0]);
    assert_true(n >= 0);
    ret_text[n] = '\0';
}

static void write_some(void)
{
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_debug("not shown");
    log_info("shown");
    log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
    log_debug("shown too", LOG_I("n", 1));
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
}

static void lines_below_the_level_are_not_written(void **state)
{
    char text[512], *second;

    capture_stderr(write_some, text, sizeof text);
    assert_null(strstr(text, "not shown"));
    assert_memory_equal(text, "time=2", 6);
    assert_non_null(strstr(text, "Z level=info msg=\"shown\"\n{\"time\":\"2"));
    second = strchr(text, '\n') + 1;
    assert_non_null(strstr(second, "Z\",\"level\":\"debug\",\"msg\":\"shown too\",\"n\":1}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_line_is_logfmt),
        cmocka_unit_test(a_json_line_is_one_object_with_typed_values),
        cmocka_unit_test(hostile_values_are_escaped),
        cmocka_unit_test(the_longest_error_text_is_shown_to_its_end),
        cmocka_unit_test(a_longer_value_is_cut_and_the_line_says_so),
        cmocka_unit_test(a_value_that_is_all_escapes_leaves_room_for_others),
        cmocka_unit_test(fields_that_do_not_fit_are_left_out_and_the_line_says_so),
        cmocka_unit_test(any_bytes_make_one_line_of_valid_json),
        cmocka_unit_test(the_words_of_the_options_are_known_and_no_others),
        cmocka_unit_test(lines_below_the_level_are_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
