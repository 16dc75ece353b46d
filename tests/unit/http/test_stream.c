/* Event streams as clients see them, and what their owners are told. */
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/http/bed.h"

static int start(void **state)
{
    *state = bed_start(NULL);
    return 0;
}

static int stop(void **state)
{
    bed_stop(*state, NULL);
    return 0;
}

#define ASK_STREAM "GET /stream HTTP/1.1\r\nHost: t\r\n\r\n"

static int open_stream(const struct bed *bed)
{
    int fd = raw_open(bed);
    AUTO_FREE char *head = NULL;

    raw_send(fd, ASK_STREAM);
    head = raw_read_until(fd, "\r\n\r\n");
    assert_starts(head, "HTTP/1.1 200 OK\r\n");
    assert_contains(head, "Content-Type: text/event-stream\r\n");
    assert_contains(head, "Transfer-Encoding: chunked\r\n");
    assert_contains(head, "Cache-Control: no-store\r\n");
    assert_contains(head, "Date: ");
    return fd;
}

static void pieces_come_as_they_are_pushed(void **state)
{
    struct bed *bed = *state;
    int fd = open_stream(bed);

    raw_post(bed, "/push", "data: one\n\n");
    free(raw_read_until(fd, "\r\ndata: one\n\n\r\n"));
    raw_post(bed, "/push", "data: two\n\n");
    free(raw_read_until(fd, "b\r\ndata: two\n\n\r\n"));
    raw_close(fd);
    raw_wait_state(bed, "streams=0");
}

static void a_stream_ends_with_its_last_piece(void **state)
{
    struct bed *bed = *state;
    int fd = open_stream(bed);
    AUTO_FREE char *rest = NULL;

    raw_post(bed, "/end", "bye");
    rest = raw_read_to_end(fd);
    assert_string_equal(rest, "3\r\nbye\r\n0\r\n\r\n");
    raw_close(fd);
    raw_wait_state(bed, "streams=0");
}

static void a_stream_may_end_without_a_piece(void **state)
{
    struct bed *bed = *state;
    int fd = open_stream(bed);
    AUTO_FREE char *rest = NULL;

    raw_post(bed, "/end", "");
    rest = raw_read_to_end(fd);
    assert_string_equal(rest, "0\r\n\r\n");
    raw_close(fd);
}

static void an_old_client_gets_the_pieces_as_they_are(void **state)
{
    struct bed *bed = *state;
    int fd = raw_open(bed);
    AUTO_FREE char *head = NULL;
    AUTO_FREE char *rest = NULL;

    raw_send(fd, "GET /stream HTTP/1.0\r\n\r\n");
    head = raw_read_until(fd, "\r\n\r\n");
    assert_null(strstr(head, "chunked"));
    raw_post(bed, "/push", "a");
    raw_post(bed, "/end", "b");
    rest = raw_read_to_end(fd);
    assert_string_equal(rest, "ab");
    raw_close(fd);
}

static void a_stream_may_be_the_late_answer(void **state)
{
    struct bed *bed = *state;
    int fd = raw_open(bed);

    raw_send(fd, "GET /later HTTP/1.1\r\nHost: t\r\n\r\n");
    raw_wait_state(bed, "waiting=1");
    raw_post(bed, "/stream-late", "");
    free(raw_read_until(fd, "chunked\r\n"));
    raw_post(bed, "/end", "late");
    free(raw_read_until(fd, "4\r\nlate\r\n0\r\n\r\n"));
    raw_close(fd);
}

static void a_late_stream_to_a_client_that_has_gone_is_over_at_once(void **state)
{
    struct bed *bed = *state;
    int fd = raw_open(bed);

    raw_send(fd, "GET /later HTTP/1.1\r\nHost: t\r\n\r\n");
    raw_wait_state(bed, "waiting=1");
    raw_close(fd);
    raw_post(bed, "/stream-late", "");
    raw_wait_state(bed, "waiting=0 streams=0");
}

static void head_of_a_stream_is_a_head_only(void **state)
{
    AUTO_FREE char *answer = raw_ask(*state, "HEAD /stream HTTP/1.1\r\nHost: t\r\n\r\n");

    assert_starts(answer, "HTTP/1.1 200 OK\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    raw_wait_state(*state, "streams=0");
}

static void a_client_that_closes_is_noticed_though_nothing_is_sent(void **state)
{
    struct bed *bed = *state;
    int fd = open_stream(bed);

    raw_wait_state(bed, "streams=1");
    raw_close(fd);
    raw_wait_state(bed, "streams=0");
}

static void what_a_client_says_on_a_stream_is_ignored(void **state)
{
    struct bed *bed = *state;
    int fd = open_stream(bed);

    raw_send(fd, "noise noise noise");
    raw_post(bed, "/push", "still here");
    free(raw_read_until(fd, "still here"));
    raw_close(fd);
    raw_wait_state(bed, "streams=0");
}

static void a_large_piece_comes_whole(void **state)
{
    struct bed *bed = *state;
    size_t n = 1000000;
    AUTO_FREE char *piece = mem_zalloc(n + 1);
    AUTO_FREE char *rest = NULL;
    int fd = open_stream(bed);

    memset(piece, 'z', n);
    raw_post(bed, "/push", piece);
    raw_post(bed, "/end", "");
    rest = raw_read_to_end(fd);
    assert_starts(rest, "f4240\r\nzzz");
    assert_int_equal(strlen(rest), 7 + n + 2 + 5);
    assert_string_equal(rest + 7 + n, "\r\n0\r\n\r\n");
    raw_close(fd);
}

static void a_client_that_takes_nothing_is_cut_off_while_others_are_served(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.idle_timeout_s = 1});
    int slow = raw_open(bed), other = open_stream(bed);

    raw_send(slow, "GET /flood HTTP/1.1\r\nHost: t\r\n\r\n");
    raw_wait_state(bed, "streams=2");
    raw_post(bed, "/push", "meanwhile");
    free(raw_read_until(other, "meanwhile"));
    raw_wait_state(bed, "streams=1 gone=1");
    raw_post(bed, "/push", "afterwards");
    free(raw_read_until(other, "afterwards"));
    raw_close(slow);
    raw_close(other);
    bed_stop(bed, NULL);
}

static void a_server_that_ends_tells_the_streams_owners(void **state)
{
    struct bed *bed = bed_start(NULL);
    int a = open_stream(bed), b = open_stream(bed);
    unsigned int gone = 0;
    AUTO_FREE char *rest = NULL;

    bed_stop(bed, &gone);
    assert_int_equal(gone, 2);
    rest = raw_read_to_end(a);
    assert_string_equal(rest, "");
    raw_close(a);
    raw_close(b);
}

static void many_streams_all_get_what_is_pushed(void **state)
{
    struct bed *bed = *state;
    int fds[300];

    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = open_stream(bed);
    raw_post(bed, "/push", "to all");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        free(raw_read_until(fds[i], "to all"));
        raw_close(fds[i]);
    }
    raw_wait_state(bed, "streams=0");
}

static void a_finished_stream_counts_as_a_finished_exchange(void **state)
{
    struct bed *bed = bed_start(NULL);
    int fd = open_stream(bed);

    raw_close(fd);
    raw_wait_state(bed, "streams=0 gone=1");
    raw_wait_state(bed, "status=200");
    bed_stop(bed, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_come_as_they_are_pushed),
        cmocka_unit_test(a_stream_ends_with_its_last_piece),
        cmocka_unit_test(a_stream_may_end_without_a_piece),
        cmocka_unit_test(an_old_client_gets_the_pieces_as_they_are),
        cmocka_unit_test(a_stream_may_be_the_late_answer),
        cmocka_unit_test(a_late_stream_to_a_client_that_has_gone_is_over_at_once),
        cmocka_unit_test(head_of_a_stream_is_a_head_only),
        cmocka_unit_test(a_client_that_closes_is_noticed_though_nothing_is_sent),
        cmocka_unit_test(what_a_client_says_on_a_stream_is_ignored),
        cmocka_unit_test(a_large_piece_comes_whole),
        cmocka_unit_test(a_client_that_takes_nothing_is_cut_off_while_others_are_served),
        cmocka_unit_test(a_server_that_ends_tells_the_streams_owners),
        cmocka_unit_test(many_streams_all_get_what_is_pushed),
        cmocka_unit_test(a_finished_stream_counts_as_a_finished_exchange),
    };

    bed_speaks_tls = argc > 1; /* the same over TLS */
    return cmocka_run_group_tests_name("http stream", tests, start, stop);
}
