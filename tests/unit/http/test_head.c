/* Which heads are read, and which are refused because another reader may have read them otherwise.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/http/bed.h"

struct row {
    const char *bytes;
    size_t n;
    const char *status; /* of the first answer; "": none */
};

#define ROW(bytes_, status_)               \
    {                                      \
        bytes_, sizeof bytes_ - 1, status_ \
    }
#define LINE "GET /echo/a HTTP/1.1\r\n"
#define HOST "Host: t\r\n"
#define POST_ "POST /echo HTTP/1.1\r\n" HOST
#define CLOSE "Connection: close\r\n\r\n"

static const struct row read_rows[] = {
    ROW(LINE HOST CLOSE, "200"),
    ROW("\r\n" LINE HOST CLOSE, "200"),
    ROW("GET /echo/%61?q=a%20b&c HTTP/1.1\r\n" HOST CLOSE, "200"),
    ROW("GET /echo/a? HTTP/1.1\r\n" HOST CLOSE, "200"),
    ROW("GET /echo/a HTTP/1.0\r\n\r\n", "200"),
    ROW(LINE "Host:t\r\nX:\r\nY: \r\nZ:\t a \t\r\n" CLOSE, "200"),
    ROW(LINE HOST "X: \xc3\xa4\xff b\r\nCookie: a=b; c=d\r\n" CLOSE, "200"),
    ROW(LINE HOST "!#$%&'*+-.^_`|~09azAZ: x\r\n" CLOSE, "200"),
    ROW(POST_ "Content-Length: 002\r\n" CLOSE "hi", "200"),
    ROW(POST_ "Transfer-Encoding: Chunked\r\n" CLOSE "2;a=b\r\nhi\r\n0\r\nX: y\r\n\r\n", "200"),
};

static const struct row refused_rows[] = {
    /* two ways to end a body */
    ROW(POST_ "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    ROW(POST_ "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", "400"),
    ROW(POST_ "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", "400"),
    ROW(POST_ "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "400"),
    ROW(POST_ "Content-Length: 2, 2\r\n\r\nhi", "400"),
    ROW(POST_ "Content-Length: +2\r\n\r\nhi", "400"),
    ROW(POST_ "Content-Length: 0x2\r\n\r\nhi", "400"),
    ROW(POST_ "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"),
    ROW(POST_ "Transfer-Encoding: identity\r\n\r\n", "400"),
    ROW(POST_ "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400"),
    ROW(POST_ "Transfer-Encoding:\x0b chunked\r\n\r\n0\r\n\r\n", "400"),
    /* blanks before the colon, and before the name */
    ROW(POST_ "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"),
    ROW(POST_ "Content-Length : 2\r\n\r\nhi", "400"),
    ROW(POST_ "Content-Length\t: 2\r\n\r\nhi", "400"),
    ROW(LINE " X: y\r\n" HOST "\r\n", "400"),
    /* whom it is for */
    ROW(LINE "\r\n", "400"),
    ROW(LINE "Hos: t\r\n\r\n", "400"),
    ROW(LINE HOST HOST "\r\n", "400"),
    ROW("GET /echo/a HTTP/1.0\r\n" HOST HOST "\r\n", "400"),
    ROW("GET /echo/a b HTTP/1.1\r\n" HOST "\r\n", "400"),
    ROW("GET /echo/a?q=a b HTTP/1.1\r\n" HOST "\r\n", "400"),
    /* no name: the library takes it for the end of the head */
    ROW(LINE HOST ": x\r\n" CLOSE, "400"),
    ROW(LINE HOST ":\r\n" CLOSE, "400"),
    ROW(LINE ":\r\n" HOST CLOSE, "400"),
    ROW(POST_ ":\r\nContent-Length: 2\r\n\r\nhi", "400"),
    /* lines that go on */
    ROW(LINE HOST "X: a\r\n b\r\nY: z\r\n\r\n", "400"),
    ROW(LINE HOST "X: a\r\n\tb\r\n\r\n", "400"),
    ROW(POST_ "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400"),
    /* other ends of lines */
    ROW("GET /echo/a HTTP/1.1\nHost: t\n\n", "400"),
    ROW("GET /echo/a HTTP/1.1\nHost: t\r\n\r\n", "400"),
    ROW(LINE "Host: t\nX: y\r\n\r\n", "400"),
    ROW(LINE HOST "X: a\rContent-Length: 3\r\n\r\n", "400"),
    ROW(LINE HOST "X: a\rb\r\nY: z\r\n\r\n", "400"),
    /* NUL and other control bytes */
    ROW(LINE HOST "X: a\0b\r\nY: z\r\n\r\n", "400"),
    ROW(LINE HOST "X: a\0b\r\n\r\n", "400"),
    ROW(LINE HOST "X\0: a\r\nY: z\r\n\r\n", "400"),
    ROW(POST_ "Content-Length: 2\0000\r\nY: z\r\n\r\nhi", "400"),
    ROW(LINE HOST "X: a\x01\r\nY: z\r\n\r\n", "400"),
    ROW(LINE HOST "X: a\x7f\r\n\r\n", "400"),
    ROW("GET /echo/a\0b HTTP/1.1\r\n" HOST "\r\n", "400"),
    ROW("GE\0T /echo/a HTTP/1.1\r\n" HOST "\r\n", "400"),
    ROW("GET /echo/a HTTP/1.1\0\r\n" HOST "\r\n", "400"),
    /* names and words that are none */
    ROW(LINE HOST "X(Y): v\r\n\r\n", "400"),
    ROW(LINE HOST "X\xff: v\r\n\r\n", "400"),
    ROW(LINE HOST "no colon\r\n\r\n", "400"),
    ROW(LINE HOST HOST "\r\n", "400"),
    ROW(LINE "\r\n", "400"),
    ROW("GET  /echo/a HTTP/1.1\r\n" HOST "\r\n", "400"),
    ROW("GET /echo/a\r\n\r\n", "400"),
    ROW("GET /echo/a HTTP/1.10\r\n" HOST "\r\n", "400"),
    ROW("GET /echo/a http/1.1\r\n" HOST "\r\n", "400"),
    ROW("G(T /echo/a HTTP/1.1\r\n" HOST "\r\n", "400"),
    ROW("GET http://t/echo/a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "400"),
    /* another protocol */
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", "505"),
    /* sizes of chunks */
    ROW(POST_ "Transfer-Encoding: chunked\r\n\r\n-1\r\nhi", "400"),
    ROW(POST_ "Transfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n", "400"),
    ROW(POST_ "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\nhi", "413"),
    ROW(POST_ "Transfer-Encoding: chunked\r\n\r\n2\r\nhi0\r\n\r\n", "400"),
};

static void judge(const struct bed *bed, const struct row *row)
{
    char expected[32];
    int fd = raw_open(bed);
    AUTO_FREE char *answer = NULL;

    raw_send_what_fits(fd, row->bytes, row->n);
    (void)snprintf(expected, sizeof expected, "HTTP/1.1 %s ", row->status);
    answer = raw_read_until(fd, "\r\n\r\n");
    if (strncmp(answer, expected, strlen(expected)) != 0)
        fail_msg("not %s:\n%s\nto:\n%s", row->status, answer, row->bytes);
    raw_close(fd);
}

static void what_is_well_formed_is_read(void **state)
{
    struct bed *bed = bed_start(NULL);

    for (size_t i = 0; i < ARRAY_LEN(read_rows); i++)
        judge(bed, &read_rows[i]);
    bed_stop(bed, NULL);
}

static void what_may_be_read_in_two_ways_is_refused(void **state)
{
    struct bed *bed = bed_start(NULL);

    for (size_t i = 0; i < ARRAY_LEN(refused_rows); i++)
        judge(bed, &refused_rows[i]);
    bed_stop(bed, NULL);
}

/* Heads that lie elsewhere in the library's memory: each behind another, all in one piece or not.
 */
static void a_head_is_judged_alike_wherever_it_begins(void **state)
{
    AUTO_STRBUF struct strbuf text = {0};
    struct bed *bed = bed_start(NULL);

    for (int i = 0; i < 300; i++)
        strbuf_addf(&text, "GET /echo/w%d?q=%.*s HTTP/1.1\r\nHost: t\r\nX-%d: %.*s\r\n\r\n", i, i,
                    "0123456789012345678901234567890123456789012345678901234567890123456789", i,
                    i % 50, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    for (size_t piece = 61; piece < 100000; piece *= 7) {
        int fd = raw_open(bed);

        for (size_t at = 0; at < text.len; at += piece)
            raw_send_what_fits(fd, text.data + at, text.len - at < piece ? text.len - at : piece);
        free(raw_read_until(fd, "word=w299 "));
        raw_send(fd, LINE "Host: t\nX: y\r\n\r\n");
        free(raw_read_until(fd, "HTTP/1.1 400 "));
        raw_close(fd);
    }
    bed_stop(bed, NULL);
}

/* The same of these, whichever piece they end in. */
static void a_length_that_is_none_is_answered_once_and_in_our_words(void **state)
{
    static const struct {
        const char *length, *status, *words;
    } rows[] = {
        {"x", "HTTP/1.1 400 ", "a body is framed by one Content-Length"},
        {"", "HTTP/1.1 400 ", "a body is framed by one Content-Length"},
        {"-1", "HTTP/1.1 400 ", "a body is framed by one Content-Length"},
        {"2, 2", "HTTP/1.1 400 ", "a body is framed by one Content-Length"},
        {"99999999999999999999", "HTTP/1.1 413 ", "the body is longer than 1 MiB"},
    };
    struct bed *bed = bed_start(NULL);
    int idle = raw_open(bed); /* in the midst of its head, which has such a line, too */

    raw_send(idle, POST_ "Content-Length: x\r\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE char *text = mem_printf(POST_ "Content-Length: %s\r\n\r\nhi", rows[i].length);
        AUTO_FREE char *answer = raw_ask(bed, text);

        if (strncmp(answer, rows[i].status, strlen(rows[i].status)) != 0 ||
            !strstr(answer, rows[i].words) || strstr(answer + 1, "HTTP/1.1"))
            fail_msg("%s: %s", rows[i].length, answer);
    }
    raw_send(idle, "\r\n");
    free(
        raw_read_until(idle, "\"detail\":\"a body is framed by one Content-Length, or chunked\"}"));
    raw_close(idle);
    bed_stop(bed, NULL);
}

/* The library's own refusal would be two heads and a cut body. */
static void a_request_for_nobody_is_answered_in_our_words(void **state)
{
    struct bed *bed = bed_start(NULL);
    AUTO_FREE char *answer = raw_ask(bed, LINE "\r\n");

    assert_non_null(strstr(answer, "\"detail\":\"a request has one Host\"}"));
    assert_null(strstr(answer + 1, "HTTP/1.1"));
    bed_stop(bed, NULL);
}

/* The library has a record for each argument, and no room for so many. */
static void a_query_of_many_arguments_is_read_to_its_end(void **state)
{
    AUTO_STRBUF struct strbuf text = {0};
    struct bed *bed = bed_start(NULL);
    AUTO_FREE char *answer = NULL;

    strbuf_add(&text, "GET /echo/a?", 12);
    for (int i = 0; i < 2000; i++)
        strbuf_add(&text, "a&", 2);
    strbuf_addf(&text, "q=last HTTP/1.1\r\n" HOST CLOSE);
    answer = raw_ask(bed, text.data);
    assert_non_null(strstr(answer, "word=a query=last"));
    bed_stop(bed, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_well_formed_is_read),
        cmocka_unit_test(what_may_be_read_in_two_ways_is_refused),
        cmocka_unit_test(a_head_is_judged_alike_wherever_it_begins),
        cmocka_unit_test(a_length_that_is_none_is_answered_once_and_in_our_words),
        cmocka_unit_test(a_request_for_nobody_is_answered_in_our_words),
        cmocka_unit_test(a_query_of_many_arguments_is_read_to_its_end),
    };

    bed_speaks_tls = argc > 1; /* the same over TLS */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
