/* Tables for people: alignment, empty cells, hostile cells, ages. */
#include "cli/table.h"

#include "cli/output.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

static const char *const headers[] = {"HOSTNAME", "STATUS", "SUBNET", NULL};

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    CLEANUP(table_deinit) struct table table;
    AUTO_STRBUF struct strbuf out = {0};

    table_init(&table, headers);
    table_add(&table, "n1");
    table_add(&table, "down");
    table_add(&table, "10.42.1.0/24");
    table_add(&table, "a-long-host-name");
    table_add(&table, "up");
    table_addf(&table, "10.42.%d.0/24", 2);
    table_print(&table, &out);
    assert_string_equal(out.data, "HOSTNAME          STATUS  SUBNET\n"
                                  "n1                down    10.42.1.0/24\n"
                                  "a-long-host-name  up      10.42.2.0/24\n");
}

static void an_empty_table_is_its_header(void **state)
{
    CLEANUP(table_deinit) struct table table;
    AUTO_STRBUF struct strbuf out = {0};

    table_init(&table, headers);
    table_print(&table, &out);
    assert_string_equal(out.data, "HOSTNAME  STATUS  SUBNET\n");
}

static void empty_cells_are_dashes_and_letters_count_once(void **state)
{
    CLEANUP(table_deinit) struct table table;
    AUTO_STRBUF struct strbuf out = {0};

    table_init(&table, headers);
    table_add(&table, "K\xc3\xb6ln-12345");
    table_add(&table, NULL);
    table_add(&table, "");
    table_print(&table, &out);
    assert_string_equal(out.data, "HOSTNAME    STATUS  SUBNET\n"
                                  "K\xc3\xb6ln-12345  -       -\n");
}

static void a_hostile_cell_cannot_paint_the_terminal(void **state)
{
    CLEANUP(table_deinit) struct table table;
    AUTO_STRBUF struct strbuf out = {0};

    table_init(&table, headers);
    table_add(&table, "\x1b[2J\n");
    table_add(&table, "up");
    table_add(&table, "x");
    table_print(&table, &out);
    assert_string_equal(out.data, "HOSTNAME         STATUS  SUBNET\n"
                                  "\\u001b[2J\\u000a  up      x\n");
}

static void many_rows_are_kept(void **state)
{
    CLEANUP(table_deinit) struct table table;
    AUTO_STRBUF struct strbuf out = {0};
    size_t lines = 0;

    table_init(&table, headers);
    for (int i = 0; i < 3 * 1000; i++)
        table_add(&table, "x");
    table_print(&table, &out);
    for (size_t i = 0; i < out.len; i++)
        lines += out.data[i] == '\n';
    assert_int_equal(lines, 1001);
}

static void ages(void **state)
{
    static const struct {
        int64_t then_s;
        const char *text;
    } rows[] = {
        {0, "never"},
        {1000000, "now"},
        {1000005, "now"},
        {999988, "12s ago"},
        {999881, "119s ago"},
        {999880, "2m ago"},
        {1000000 - 7199, "119m ago"},
        {1000000 - 7200, "2h ago"},
        {1000000 - 48 * 3600 + 1, "47h ago"},
        {1000000 - 48 * 3600, "2d ago"},
    };
    char text[AGE_TEXT_SIZE];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(age_format(rows[i].then_s, 1000000, text), rows[i].text);
}

static void times_are_of_the_calendar_or_numbers(void **state)
{
    char text[TIME_TEXT_SIZE];

    assert_string_equal(time_format(1795000000, text), "2026-11-18 11:06:40 UTC");
    assert_string_equal(time_format(0, text), "1970-01-01 00:00:00 UTC");
    assert_string_equal(time_format(INT64_MAX, text), "9223372036854775807");
}

static void formats_have_three_words(void **state)
{
    enum output_format format = OUTPUT_TABLE;

    assert_int_equal(option_output("json", &format), 0);
    assert_int_equal(format, OUTPUT_JSON);
    assert_int_equal(option_output("wide", &format), 0);
    assert_int_equal(format, OUTPUT_WIDE);
    assert_int_equal(option_output("yaml", &format), -EINVAL);
    assert_string_equal(err_text(), "'yaml' is not one of table, json, wide");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(an_empty_table_is_its_header),
        cmocka_unit_test(empty_cells_are_dashes_and_letters_count_once),
        cmocka_unit_test(a_hostile_cell_cannot_paint_the_terminal),
        cmocka_unit_test(many_rows_are_kept),
        cmocka_unit_test(ages),
        cmocka_unit_test(times_are_of_the_calendar_or_numbers),
        cmocka_unit_test(formats_have_three_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
