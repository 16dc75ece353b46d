/* What quiltctl prints. */
#include "cli/output.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "lib/base/error.h"
#include "lib/base/options.h"

static const char *const format_names[] = {"table", "json", "wide"};
static_assert(ARRAY_LEN(format_names) == OUTPUT_WIDE + 1, "a name a format");

int option_output(const char *text, void *out)
{
    size_t i;
    int r = option_choose(text, format_names, ARRAY_LEN(format_names), &i);

    if (r == 0)
        *(enum output_format *)out = (enum output_format)i;
    return r;
}

char *span_format(int64_t span_s, char ret_text[static AGE_TEXT_SIZE])
{
    static const struct {
        int64_t below_s; /* the unit is used for spans below this */
        int64_t unit_s;
        char unit;
    } units[] = {
        {120, 1, 's'}, {120 * 60, 60, 'm'}, {48 * 3600, 3600, 'h'}, {INT64_MAX, 86400, 'd'}};
    size_t i = 0;

    while (i + 1 < ARRAY_LEN(units) && span_s >= units[i].below_s)
        i++;
    (void)snprintf(ret_text, AGE_TEXT_SIZE, "%lld%c", (long long)(span_s / units[i].unit_s),
                   units[i].unit);
    return ret_text;
}

char *age_format(int64_t then_s, int64_t now_s, char ret_text[static AGE_TEXT_SIZE])
{
    char span[AGE_TEXT_SIZE];

    /* Clocks of two machines: a little in the future is now. */
    if (then_s == 0 || now_s <= then_s)
        (void)snprintf(ret_text, AGE_TEXT_SIZE, "%s", then_s == 0 ? "never" : "now");
    else
        (void)snprintf(ret_text, AGE_TEXT_SIZE, "%.20s ago", span_format(now_s - then_s, span));
    return ret_text;
}

char *time_format(int64_t unix_s, char ret_text[static TIME_TEXT_SIZE])
{
    time_t seconds = unix_s;
    struct tm parts;

    if (!gmtime_r(&seconds, &parts) ||
        strftime(ret_text, TIME_TEXT_SIZE, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
        (void)snprintf(ret_text, TIME_TEXT_SIZE, "%lld", (long long)unix_s);
    return ret_text;
}

int output_text(const char *text)
{
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
        return err_sys(errno, "write to standard output");
    return 0;
}

int output_table(const struct table *table)
{
    AUTO_STRBUF struct strbuf out = {0};

    table_print(table, &out);
    return output_text(out.data);
}

int output_misuse(const char *what)
{
    AUTO_STRBUF struct strbuf text = {0};

    strbuf_add_printable(&text, err_text());
    (void)fprintf(stderr, "quiltctl: %s: %s\n", what, text.data);
    return EXIT_USAGE;
}

int output_json(const json_t *value)
{
    AUTO_FREE char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    int r;

    if (!text)
        mem_exhausted(0);
    r = output_text(text);
    return r < 0 ? r : output_text("\n");
}
