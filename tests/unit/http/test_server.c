/* The server as clients see it: what it answers, later answers, limits, and bad manners. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "tests/unit/http/bed.h"

/* Ten times a second: less than the 32 KiB that are to be taken in the time that is given. */
#define DRIP_BYTES 2048UL

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

static void a_handler_gets_parameters_and_arguments_decoded(void **state)
{
    AUTO_FREE char *answer = raw_ask(*state, GET("/echo/a%2Fb%20c?q=1%262"));

    assert_starts(answer, "HTTP/1.1 200 OK\r\n");
    assert_contains(answer, "Content-Type: text/plain\r\n");
    assert_contains(answer, "\r\n\r\nword=a/b c query=1&2");
}

static void a_body_comes_whole_also_in_pieces(void **state)
{
    int fd = raw_open(*state);
    AUTO_FREE char *answer = NULL;

    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\n");
    raw_send(fd, "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r");
    raw_send(fd, "\n2\r\nde\r\n0\r\n\r\n");
    answer = raw_read_to_end(fd);
    assert_contains(answer, "\r\n\r\nabcde");
    raw_close(fd);
}

static void a_connection_serves_many_requests_also_pipelined(void **state)
{
    int fd = raw_open(*state);
    AUTO_FREE char *answers = NULL;

    raw_send(fd, "GET /echo/1 HTTP/1.1\r\nHost: t\r\n\r\nGET /none HTTP/1.1\r\nHost: t\r\n\r\n"
                 "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi" GET("/echo/4"));
    answers = raw_read_to_end(fd);
    assert_contains(answers, "word=1 ");
    assert_contains(answers, "HTTP/1.1 404 Not Found\r\n");
    assert_contains(answers, "\r\n\r\nhiHTTP/1.1 200");
    assert_contains(answers, "word=4 ");
    raw_close(fd);
}

static void an_unknown_path_is_a_404_problem(void **state)
{
    AUTO_FREE char *answer = raw_ask(*state, GET("/none"));

    assert_starts(answer, "HTTP/1.1 404 Not Found\r\n");
    assert_contains(answer, "Content-Type: application/problem+json\r\n");
    assert_contains(answer, "\r\n\r\n{\"type\":\"about:blank\",\"title\":\"Not Found\","
                            "\"status\":404,\"detail\":\"there is nothing at this path\"}");
}

static void a_wrong_method_is_a_405_that_names_the_right_ones(void **state)
{
    AUTO_FREE char *get = raw_ask(*state, "DELETE /shared HTTP/1.1\r\nHost: t\r\n"
                                          "Connection: close\r\n\r\n");
    AUTO_FREE char *post = raw_ask(*state, GET("/push"));

    assert_starts(get, "HTTP/1.1 405 Method Not Allowed\r\n");
    assert_contains(get, "Allow: GET, HEAD, OPTIONS\r\n");
    assert_contains(get, "\"status\":405");
    assert_contains(post, "Allow: POST, OPTIONS\r\n");
}

static void options_are_answered_with_allow(void **state)
{
    AUTO_FREE char *answer = raw_ask(*state, "OPTIONS /shared HTTP/1.1\r\nHost: t\r\n"
                                             "Connection: close\r\n\r\n");

    assert_starts(answer, "HTTP/1.1 204 No Content\r\n");
    assert_contains(answer, "Allow: GET, HEAD, OPTIONS\r\n");
}

static void head_is_get_without_the_body(void **state)
{
    AUTO_FREE char *answer = raw_ask(*state, "HEAD /shared HTTP/1.1\r\nHost: t\r\n"
                                             "Connection: close\r\n\r\n");

    assert_starts(answer, "HTTP/1.1 200 OK\r\n");
    assert_contains(answer, "Content-Length: 6\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void a_known_etag_is_a_304(void **state)
{
    AUTO_FREE char *fresh = raw_ask(*state, GET("/shared"));
    AUTO_FREE char *known =
        raw_ask(*state, "GET /shared HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
                        "If-None-Match: \"7\"\r\n\r\n");

    assert_contains(fresh, "ETag: \"7\"\r\n");
    assert_contains(fresh, "\r\n\r\nshared");
    assert_starts(known, "HTTP/1.1 304 Not Modified\r\n");
    assert_contains(known, "ETag: \"7\"\r\n");
}

static void answers_in_common_outlive_their_body(void **state)
{
    AUTO_FREE char *answers =
        raw_ask(*state, "GET /common?new=first HTTP/1.1\r\nHost: t\r\n\r\n"
                        "GET /common HTTP/1.1\r\nHost: t\r\n\r\n"
                        "GET /common?new=second HTTP/1.1\r\nHost: t\r\n\r\n" GET("/common"));
    const char *types = answers;
    size_t count = 0;

    while ((types = strstr(types, "Content-Type: text/plain\r\n"))) {
        types++;
        count++;
    }
    assert_int_equal(count, 4);
    assert_contains(answers, "\r\n\r\nfirstHTTP/1.1 200 OK\r\n");
    assert_contains(strstr(answers, "firstHTTP"), "\r\n\r\nfirstHTTP/1.1 200 OK\r\n");
    assert_contains(answers, "\r\n\r\nsecondHTTP/1.1 200 OK\r\n");
    assert_string_equal(strrchr(answers, '\n'), "\nsecond");
}

static void a_target_that_is_no_path_is_a_400(void **state)
{
    AUTO_FREE char *absolute = raw_ask(*state, GET("http://t/echo/a"));
    AUTO_FREE char *star = raw_ask(*state, "OPTIONS * HTTP/1.1\r\nHost: t\r\n"
                                           "Connection: close\r\n\r\n");
    AUTO_FREE char *nul = raw_ask(*state, GET("/echo/a%00b"));

    assert_starts(absolute, "HTTP/1.1 400 Bad Request\r\n");
    assert_contains(absolute, "application/problem+json");
    assert_starts(star, "HTTP/1.1 400 ");
    assert_starts(nul, "HTTP/1.1 400 ");
}

static void a_detail_that_is_no_utf8_becomes_valid_json(void **state)
{
    AUTO_FREE char *answer = raw_ask(*state, GET("/bad-detail"));

    assert_starts(answer, "HTTP/1.1 422 ");
    assert_contains(answer, "\"detail\":\"hostname: \\\"a\xef\xbf\xbd\\u0001z\\\"\"}");
}

static void a_body_over_the_limit_is_a_413_before_it_was_sent(void **state)
{
    AUTO_FREE char *answer = raw_ask(*state, "POST /echo HTTP/1.1\r\nHost: t\r\n"
                                             "Content-Length: 1048577\r\n\r\n");

    assert_starts(answer, "HTTP/1.1 413 Content Too Large\r\n");
    assert_contains(answer, "Connection: close\r\n");
    assert_contains(answer, "\"status\":413");
}

static void a_client_that_sends_a_huge_body_first_still_reads_its_413(void **state)
{
    size_t n = 8 * 1024 * 1024;
    AUTO_FREE char *body = mem_zalloc(n);
    AUTO_FREE char *answer = NULL;
    int fd = raw_open(*state);

    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 8388608\r\n\r\n");
    raw_send_what_fits(fd, body, n);
    answer = raw_read_to_end(fd);
    assert_starts(answer, "HTTP/1.1 413 ");
    raw_close(fd);
}

static void a_chunked_body_without_end_is_a_413(void **state)
{
    size_t n = 2 * 1024 * 1024;
    AUTO_FREE char *chunk = mem_alloc(n);
    AUTO_FREE char *answer = NULL;
    int fd = raw_open(*state);

    memset(chunk, 'x', n);
    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n");
    raw_send_what_fits(fd, chunk, n);
    answer = raw_read_to_end(fd);
    assert_starts(answer, "HTTP/1.1 413 ");
    raw_close(fd);
}

static void a_body_of_just_the_limit_is_taken(void **state)
{
    AUTO_FREE char *body = mem_alloc(HTTP_BODY_MAX);
    AUTO_FREE char *answer = NULL;
    int fd = raw_open(*state);

    memset(body, 'y', HTTP_BODY_MAX);
    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
                 "Content-Length: 1048576\r\n\r\n");
    raw_send_what_fits(fd, body, HTTP_BODY_MAX);
    answer = raw_read_to_end(fd);
    assert_starts(answer, "HTTP/1.1 200 ");
    assert_int_equal(strlen(strstr(answer, "\r\n\r\n") + 4), HTTP_BODY_MAX);
    raw_close(fd);
}

static void a_body_framed_twice_is_refused(void **state)
{
    AUTO_FREE char *answer =
        raw_ask(*state, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");

    assert_starts(answer, "HTTP/1.1 400 ");
}

/* A proxy before us may have taken the other of two, or ended the line at the CR. */
static void what_a_proxy_may_read_otherwise_is_refused(void **state)
{
    static const char *const heads[] = {
        "Host: t\r\nContent-Length: 2\r\nContent-Length: 30\r\n",
        "Host: t\r\nContent-Length: 2\r\nContent-Length: 2\r\n",
        "Host: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Host: t\r\nHost: u\r\nContent-Length: 2\r\n",
        "Host: t\r\nX: a\rContent-Length: 30\r\nContent-Length: 2\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        AUTO_FREE char *request = mem_printf("POST /echo HTTP/1.1\r\n%s\r\nhi", heads[i]);
        AUTO_FREE char *answer = raw_ask(*state, request);

        assert_starts(answer, "HTTP/1.1 400 ");
    }
}

/* libmicrohttpd neither answers these nor tells of their end; a sanitizer build finds what is left
 * of them. */
static void a_query_without_room_harms_nobody(void **state)
{
    struct strbuf request = {0};

    strbuf_adds(&request, "GET /echo/a?a");
    for (int i = 0; i < 3000; i++)
        strbuf_adds(&request, "&a");
    strbuf_adds(&request, " HTTP/1.1\r\nHost: t\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        int fd = raw_open(*state);

        raw_send_what_fits(fd, request.data, request.len);
        raw_close(fd);
    }
    strbuf_deinit(&request);
    raw_wait_state(*state, "waiting=0");
}

static void an_answer_may_come_later(void **state)
{
    AUTO_FREE char *answer = NULL;
    int fd = raw_open(*state);

    raw_send(fd, GET("/later"));
    raw_wait_state(*state, "waiting=1");
    raw_post(*state, "/answer", "");
    answer = raw_read_to_end(fd);
    assert_starts(answer, "HTTP/1.1 201 Created\r\n");
    assert_contains(answer, "\r\n\r\n{\"late\":true}");
    raw_close(fd);
}

static void a_late_answer_to_a_client_that_has_gone_harms_nobody(void **state)
{
    int fd = raw_open(*state);

    raw_send(fd, GET("/later"));
    raw_wait_state(*state, "waiting=1");
    raw_close(fd);
    raw_post(*state, "/answer", "");
    raw_wait_state(*state, "waiting=0");
}

static void a_server_that_ends_tells_those_who_wait(void **state)
{
    struct bed *bed = bed_start(NULL);
    unsigned int gone = 0;
    int fd = raw_open(bed);

    raw_send(fd, GET("/later"));
    raw_wait_state(bed, "waiting=1");
    bed_stop(bed, &gone);
    assert_int_equal(gone, 1);
    raw_close(fd);
}

static void garbage_is_answered_or_cut_off_and_the_server_lives_on(void **state)
{
    static const char *const garbage[] = {
        "\r\n\r\n\r\nxx\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /echo/a HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\xfc\x03\x03\r\n\r\n",
        "GET /echo/a b HTTP/1.1\r\nHost: t\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\nzz\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        int fd = raw_open(*state);
        AUTO_FREE char *answer = NULL;

        raw_send(fd, garbage[i]);
        (void)shutdown(fd, SHUT_WR);
        answer = raw_read_to_end(fd);
        if (*answer && !strstr(answer, "HTTP/1.1 4") && !strstr(answer, "HTTP/1.1 5"))
            fail_msg("garbage %zu got:\n%s", i, answer);
        raw_close(fd);
    }
    raw_wait_state(*state, "waiting=0");
}

static void a_client_that_ends_in_the_middle_is_cut_off_at_once(void **state)
{
    static const char *const halves[] = {
        "GE",
        "GET /echo/a HT",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\nx",
    };
    int64_t began_ms = clock_boot_ms();

    for (size_t i = 0; i < ARRAY_LEN(halves) * 20; i++) {
        int fd = raw_open(*state);
        AUTO_FREE char *answer = NULL;

        raw_send(fd, halves[i % ARRAY_LEN(halves)]);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        answer = raw_read_to_end(fd);
        assert_string_equal(answer, "");
        raw_close(fd);
    }
    /* One alone would have stood for 30 s. */
    assert_in_range(clock_boot_ms() - began_ms, 0, 9999);
}

static void a_whole_request_whose_sender_has_ended_is_answered(void **state)
{
    for (int i = 0; i < 20; i++) {
        int fd = raw_open(*state);
        AUTO_FREE char *answer = NULL;

        raw_send(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc");
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        answer = raw_read_to_end(fd);
        assert_non_null(strstr(answer, "HTTP/1.1 200"));
        raw_close(fd);
    }
}

static void a_sender_that_drips_is_cut_off(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.idle_timeout_s = 1});
    struct timeval pace = {.tv_usec = 100000};
    int fd = raw_open(bed), drops = 0;
    char byte;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pace, sizeof pace), 0);
    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n");
    /* A byte each time the read waited in vain: never idle for as long as the limit. */
    while (raw_receive(fd, &byte, 1) < 0 && errno == EAGAIN && drops < 100) {
        raw_send_what_fits(fd, "x", 1);
        drops++;
    }
    assert_in_range(drops, 5, 40);
    raw_close(fd);
    bed_stop(bed, NULL);
}

/* So many bytes each tenth of a second, or up to the end. */
static size_t take_slowly(int fd, size_t n, int turns)
{
    AUTO_FREE char *bytes = mem_alloc(n);
    size_t taken = 0;
    ssize_t got = 1;

    for (int i = 0; i < turns && got > 0; i++) {
        size_t had = 0;

        while (had < n && (got = raw_receive(fd, bytes, n - had)) > 0)
            had += (size_t)got;
        taken += had;
        assert_int_equal(poll(NULL, 0, 100), 0);
    }
    return taken;
}

static void a_reader_that_drips_gets_no_more_than_what_was_under_way(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.idle_timeout_s = 1});
    int fd = raw_open_narrow(bed);
    size_t taken;

    raw_send(fd, GET("/large"));
    taken = take_slowly(fd, DRIP_BYTES, 50); /* the server sends something every half second */
    taken += take_slowly(fd, 1024UL * 1024, 1);
    assert_in_range(taken, 10 * DRIP_BYTES, 256UL * 1024);
    raw_close(fd);
    bed_stop(bed, NULL);
}

static void a_reader_that_takes_its_time_gets_all(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.idle_timeout_s = 1});
    int fd = raw_open(bed);

    raw_send(fd, GET("/large"));
    assert_true(take_slowly(fd, BED_LARGE_BYTES / 30, 40) > BED_LARGE_BYTES);
    raw_close(fd);
    bed_stop(bed, NULL);
}

static void a_draining_server_answers_what_is_open_and_takes_nothing_new(void **state)
{
    struct bed *bed = bed_start(NULL);
    int open = raw_open(bed), late = raw_open(bed), other;
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons(bed_port(bed)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    AUTO_FREE char *drained = NULL;
    AUTO_FREE char *answer = NULL;

    raw_send(open, "GET /state HTTP/1.1\r\nHost: t\r\n\r\n");
    free(raw_read_until(open, "last="));
    raw_send(late, "GET /later HTTP/1.1\r\nHost: t\r\n\r\n");
    raw_wait_state(bed, "waiting=1");
    raw_post(bed, "/drain", "");
    other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(other, (const struct sockaddr *)&name, sizeof name), -1);
    assert_int_equal(errno, ECONNREFUSED);
    raw_send(open, "POST /answer HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
    drained = raw_read_to_end(open);
    assert_contains(drained, "Connection: close\r\n");
    answer = raw_read_to_end(late);
    assert_starts(answer, "HTTP/1.1 201 ");
    assert_contains(answer, "Connection: close\r\n");
    raw_close(other);
    raw_close(late);
    raw_close(open);
    bed_stop(bed, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_gets_parameters_and_arguments_decoded),
        cmocka_unit_test(a_body_comes_whole_also_in_pieces),
        cmocka_unit_test(a_connection_serves_many_requests_also_pipelined),
        cmocka_unit_test(an_unknown_path_is_a_404_problem),
        cmocka_unit_test(a_wrong_method_is_a_405_that_names_the_right_ones),
        cmocka_unit_test(options_are_answered_with_allow),
        cmocka_unit_test(head_is_get_without_the_body),
        cmocka_unit_test(a_known_etag_is_a_304),
        cmocka_unit_test(answers_in_common_outlive_their_body),
        cmocka_unit_test(a_target_that_is_no_path_is_a_400),
        cmocka_unit_test(a_detail_that_is_no_utf8_becomes_valid_json),
        cmocka_unit_test(a_body_over_the_limit_is_a_413_before_it_was_sent),
        cmocka_unit_test(a_client_that_sends_a_huge_body_first_still_reads_its_413),
        cmocka_unit_test(a_chunked_body_without_end_is_a_413),
        cmocka_unit_test(a_body_of_just_the_limit_is_taken),
        cmocka_unit_test(a_body_framed_twice_is_refused),
        cmocka_unit_test(what_a_proxy_may_read_otherwise_is_refused),
        cmocka_unit_test(a_query_without_room_harms_nobody),
        cmocka_unit_test(an_answer_may_come_later),
        cmocka_unit_test(a_late_answer_to_a_client_that_has_gone_harms_nobody),
        cmocka_unit_test(a_server_that_ends_tells_those_who_wait),
        cmocka_unit_test(garbage_is_answered_or_cut_off_and_the_server_lives_on),
        cmocka_unit_test(a_client_that_ends_in_the_middle_is_cut_off_at_once),
        cmocka_unit_test(a_whole_request_whose_sender_has_ended_is_answered),
        cmocka_unit_test(a_sender_that_drips_is_cut_off),
        cmocka_unit_test(a_reader_that_drips_gets_no_more_than_what_was_under_way),
        cmocka_unit_test(a_reader_that_takes_its_time_gets_all),
        cmocka_unit_test(a_draining_server_answers_what_is_open_and_takes_nothing_new),
    };

    bed_speaks_tls = argc > 1; /* the same over TLS */
    return cmocka_run_group_tests_name("http server", tests, start, stop);
}
