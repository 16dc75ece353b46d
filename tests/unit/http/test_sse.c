/* The event stream parser: the same events however the bytes are cut. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/http/sse.h"
#include "tests/unit/cmocka.h"

#define DATA_MAX 64

/* Each event becomes "type(id)data;". */
static bool note(const struct sse_event *event, void *data)
{
    assert_int_equal(strlen(event->data), event->data_len);
    strbuf_addf(data, "%s(%s)%s;", event->type, event->id, event->data);
    return true;
}

static const struct {
    const char *stream, *events;
} cases[] = {
    {"data: a\n\n", "message()a;"},
    {"data: a\r\r", "message()a;"},
    {"data: a\r\n\r\n", "message()a;"},
    {"data: a\r\ndata: b\n\r", "message()a\nb;"},
    {"data:a\n\ndata:  b\n\n", "message()a;message() b;"},
    {"event: node\nid: 7\ndata: x\n\ndata: y\n\n", "node(7)x;message(7)y;"},
    {": comment\n\n:\n\ndata: z\n\n", "message()z;"},
    {"id: 1\n\nid\ndata: q\n\n", "message()q;"},
    {"id: 1\n\ndata: q\n\n", "message(1)q;"},
    {"data\n\n", "message();"},
    {"data\ndata\n\n", "message()\n;"},
    {"event: lost\n\ndata: kept\n\n", "message()kept;"},
    {"\xef\xbb\xbf"
     "data: a\n\n\xef\xbb\xbf"
     "data: b\n\n",
     "message()a;"},
    {"retry: 10\nunknown: 1\nDATA: 2\ndata : 3\n\n", ""},
    {"data: unfinished\n", ""},
    {"data: a: b:c\n\n", "message()a: b:c;"},
};

static void check(size_t i, size_t cut)
{
    AUTO_STRBUF struct strbuf seen = {0};
    struct sse_parser parser;
    const char *stream = cases[i].stream;

    strbuf_adds(&seen, "");
    sse_parser_init(&parser, DATA_MAX);
    assert_int_equal(sse_parser_feed(&parser, stream, cut, note, &seen), 0);
    assert_int_equal(sse_parser_feed(&parser, stream + cut, strlen(stream) - cut, note, &seen), 0);
    assert_string_equal(seen.data, cases[i].events);
    sse_parser_deinit(&parser);
}

static void events_are_the_same_wherever_the_stream_is_cut(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t cut = 0; cut <= strlen(cases[i].stream); cut++)
            check(i, cut);
}

static void events_are_the_same_byte_by_byte(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_STRBUF struct strbuf seen = {0};
        struct sse_parser parser;

        strbuf_adds(&seen, "");
        sse_parser_init(&parser, DATA_MAX);
        for (const char *p = cases[i].stream; *p; p++)
            assert_int_equal(sse_parser_feed(&parser, p, 1, note, &seen), 0);
        assert_string_equal(seen.data, cases[i].events);
        sse_parser_deinit(&parser);
    }
}

static void an_id_with_a_nul_is_ignored(void **state)
{
    static const char stream[] = "id: 1\nid: 2\0003\ndata: x\n\n";
    AUTO_STRBUF struct strbuf seen = {0};
    struct sse_parser parser;

    sse_parser_init(&parser, DATA_MAX);
    assert_int_equal(sse_parser_feed(&parser, stream, sizeof stream - 1, note, &seen), 0);
    assert_string_equal(seen.data, "message(1)x;");
    sse_parser_deinit(&parser);
}

static void a_line_that_never_ends_is_too_long(void **state)
{
    AUTO_STRBUF struct strbuf seen = {0};
    struct sse_parser parser;
    int r = 0;

    sse_parser_init(&parser, DATA_MAX);
    for (int i = 0; i < DATA_MAX && r == 0; i++)
        r = sse_parser_feed(&parser, "x", 1, note, &seen);
    assert_int_equal(r, 0);
    assert_int_equal(sse_parser_feed(&parser, "x", 1, note, &seen), -EMSGSIZE);
    assert_string_equal(err_text(), "event stream: a line is longer than 64 bytes");
    sse_parser_deinit(&parser);
}

static void an_event_of_many_lines_is_too_long(void **state)
{
    AUTO_STRBUF struct strbuf seen = {0};
    struct sse_parser parser;
    int r = 0, lines = 0;

    sse_parser_init(&parser, DATA_MAX);
    while (r == 0 && lines < 1000) {
        r = sse_parser_feed(&parser, "data:123\n", 9, note, &seen);
        lines++;
    }
    assert_int_equal(r, -EMSGSIZE);
    assert_int_equal(lines, 17); /* four bytes each, with its \n */
    sse_parser_deinit(&parser);
}

static bool refuse(const struct sse_event *event, void *data)
{
    ++*(int *)data;
    return false;
}

static void a_reader_may_end_it(void **state)
{
    static const char stream[] = "data: 1\n\ndata: 2\n\n";
    struct sse_parser parser;
    int calls = 0;

    sse_parser_init(&parser, DATA_MAX);
    assert_int_equal(sse_parser_feed(&parser, stream, sizeof stream - 1, refuse, &calls),
                     -ECANCELED);
    assert_int_equal(calls, 1);
    sse_parser_deinit(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_the_same_wherever_the_stream_is_cut),
        cmocka_unit_test(events_are_the_same_byte_by_byte),
        cmocka_unit_test(an_id_with_a_nul_is_ignored),
        cmocka_unit_test(a_line_that_never_ends_is_too_long),
        cmocka_unit_test(an_event_of_many_lines_is_too_long),
        cmocka_unit_test(a_reader_may_end_it),
    };

    return cmocka_run_group_tests_name("http sse", tests, NULL, NULL);
}
