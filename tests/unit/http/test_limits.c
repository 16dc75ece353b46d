/* What a server takes at most, and who goes when it has no more. */
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/mem.h"
#include "tests/unit/http/bed.h"

#define ATTACKER (INADDR_LOOPBACK + 1)
#define OTHER (INADDR_LOOPBACK + 2)

/* ---- connections ----------------------------------------------------------------------------- */

static void ask(int fd, const char *path)
{
    AUTO_FREE char *request = mem_printf("GET %s HTTP/1.1\r\nHost: t\r\n\r\n", path);

    raw_send(fd, request);
}

/* A client that keeps its connection. */
static int come(const struct bed *bed, uint32_t addr, const char *path, const char *answer)
{
    int fd = raw_open_from(bed, addr);

    ask(fd, path);
    free(raw_read_until(fd, answer));
    return fd;
}

static int echo(const struct bed *bed, uint32_t addr)
{
    return come(bed, addr, "/echo/a", "word=a");
}

static void assert_served(int fd)
{
    ask(fd, "/echo/again");
    free(raw_read_until(fd, "word=again"));
    raw_close(fd);
}

static void assert_gone(int fd)
{
    free(raw_read_to_end(fd));
    raw_close(fd);
}

/* It is closed before anything was asked. */
static void assert_refused(const struct bed *bed)
{
    int fd = raw_open(bed);
    AUTO_FREE char *answer = raw_read_to_end(fd);

    assert_string_equal(answer, "");
    raw_close(fd);
}

static void the_longest_idle_makes_room(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.max_connections = 2});
    int a = echo(bed, INADDR_LOOPBACK), b = echo(bed, INADDR_LOOPBACK), c;

    ask(a, "/echo/b");
    free(raw_read_until(a, "word=b"));
    c = echo(bed, INADDR_LOOPBACK);
    assert_gone(b);
    assert_served(a);
    assert_served(c);
    bed_stop(bed, NULL);
}

static void the_greediest_address_makes_room(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.max_connections = 5});
    int honest = echo(bed, INADDR_LOOPBACK), greedy[4], other;

    for (size_t i = 0; i < ARRAY_LEN(greedy); i++)
        greedy[i] = echo(bed, ATTACKER);
    other = echo(bed, OTHER);
    assert_gone(greedy[0]);
    assert_served(honest);
    assert_served(other);
    for (size_t i = 1; i < ARRAY_LEN(greedy); i++)
        assert_served(greedy[i]);
    bed_stop(bed, NULL);
}

static void one_address_has_no_more_than_its_share(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.max_per_address = 1});
    int a = echo(bed, INADDR_LOOPBACK), other = echo(bed, OTHER), b = echo(bed, INADDR_LOOPBACK);

    assert_gone(a);
    assert_served(b);
    assert_served(other);
    bed_stop(bed, NULL);
}

/* Asks for the state until it has the text. */
static void wait_for(int fd, const char *text)
{
    for (int i = 0; i < 10000; i++) {
        AUTO_FREE char *answer = NULL;

        ask(fd, "/state");
        answer = raw_read_until(fd, "last=");
        if (strstr(answer, text))
            return;
    }
    fail_msg("'%s' did not come", text);
}

static void who_waits_for_an_answer_stays(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.max_per_address = 1});
    int a = raw_open(bed), other;
    AUTO_FREE char *answer = NULL;

    raw_send(a, GET("/later"));
    other = echo(bed, OTHER);
    wait_for(other, "waiting=1");
    assert_refused(bed);
    ask(other, "/echo/still");
    free(raw_read_until(other, "word=still"));
    raw_send(other, "POST /answer HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nlate");
    answer = raw_read_to_end(a);
    assert_contains(answer, "late");
    raw_close(a);
    raw_close(other);
    bed_stop(bed, NULL);
}

static void who_is_vouched_for_stays(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.max_connections = 2});
    int a = come(bed, INADDR_LOOPBACK, "/vouch", "vouched for");
    int b = come(bed, INADDR_LOOPBACK, "/vouch", "vouched for");

    assert_refused(bed);
    assert_served(a);
    assert_served(b);
    bed_stop(bed, NULL);
}

static void a_stream_goes_when_nobody_is_idle(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.max_connections = 3});
    int a = come(bed, ATTACKER, "/stream", "chunked"),
        b = come(bed, ATTACKER, "/stream", "chunked");
    int c = come(bed, OTHER, "/stream", "chunked"), idle = -1;

    idle = echo(bed, INADDR_LOOPBACK);
    assert_gone(a);
    raw_wait_state(bed, "streams=2"); /* takes the place of the idle one */
    assert_gone(idle);
    raw_close(b);
    raw_close(c);
    bed_stop(bed, NULL);
}

static void a_vouched_stream_stays(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.max_connections = 1});
    int a = come(bed, INADDR_LOOPBACK, "/vouch", "vouched for");

    ask(a, "/stream");
    free(raw_read_until(a, "chunked"));
    assert_refused(bed);
    raw_close(a);
    bed_stop(bed, NULL);
}

static void a_thousand_that_say_nothing_keep_nobody_out(void **state)
{
    struct bed *bed = bed_start(&(struct bed_limits){.max_connections = 50});
    int silent[500];

    for (size_t i = 0; i < ARRAY_LEN(silent); i++)
        silent[i] = raw_open_plain(bed);
    for (int i = 0; i < 20; i++)
        assert_served(echo(bed, OTHER));
    for (size_t i = 0; i < ARRAY_LEN(silent); i++)
        raw_close(silent[i]);
    bed_stop(bed, NULL);
}

/* ---- requests -------------------------------------------------------------------------------- */

static char *ask_with_headers(const struct bed *bed, unsigned int count, size_t bytes)
{
    AUTO_STRBUF struct strbuf request = {0};

    strbuf_adds(&request, "GET /echo/a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n");
    for (unsigned int i = 2; i < count; i++)
        strbuf_addf(&request, "X-%u: x\r\n", i);
    if (bytes > 0) {
        strbuf_adds(&request, "X-Long: ");
        for (size_t i = 0; i < bytes; i++)
            strbuf_add(&request, "y", 1);
        strbuf_adds(&request, "\r\n");
    }
    strbuf_adds(&request, "\r\n");
    return raw_ask(bed, request.data);
}

static void headers_have_a_limit(void **state)
{
    static const struct {
        unsigned int count;
        size_t bytes;
        const char *begin;
    } rows[] = {
        {64, 0, "HTTP/1.1 200"},
        {65, 0, "HTTP/1.1 431"},
        {2, 8000, "HTTP/1.1 200"},
        {2, 8200, "HTTP/1.1 431"},
    };
    struct bed *bed = bed_start(NULL);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE char *answer = ask_with_headers(bed, rows[i].count, rows[i].bytes);

        assert_starts(answer, rows[i].begin);
    }
    bed_stop(bed, NULL);
}

/* All but the last byte of the longest. */
static int send_long_body(const struct bed *bed)
{
    static char body[HTTP_BODY_MAX - 1];
    int fd = raw_open(bed);

    memset(body, 'x', sizeof body);
    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1048576\r\n\r\n");
    raw_send_what_fits(fd, body, sizeof body);
    return fd;
}

#define LONG_BODIES (HTTP_LARGE_BODIES_MAX / HTTP_BODY_MAX + 1) /* one more than finds room */

/* The one that was answered. */
static size_t find_answered(const int *fds)
{
    struct pollfd polls[LONG_BODIES];
    size_t i = 0;

    for (size_t k = 0; k < LONG_BODIES; k++)
        polls[k] = (struct pollfd){.fd = fds[k], .events = POLLIN};
    assert_int_equal(poll(polls, LONG_BODIES, 10000), 1);
    while (polls[i].revents == 0)
        i++;
    return i;
}

static void assert_short_body_is_taken(const struct bed *bed)
{
    AUTO_FREE char *served = raw_ask(bed, "POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
                                          "Content-Length: 5\r\n\r\nshort");

    assert_contains(served, "short");
}

/* Until the server has let go of it, too. */
static void end_and_wait(int fd)
{
    char byte;

    (void)shutdown(fd, SHUT_WR);
    while (recv(fd, &byte, 1, 0) > 0)
        continue;
    raw_close(fd);
}

static void long_bodies_share_their_room_and_short_ones_find_theirs(void **state)
{
    struct bed *bed;
    int fds[LONG_BODIES], again;
    size_t answered;
    AUTO_FREE char *refused = NULL;

    if (bed_speaks_tls)
        skip(); /* what comes unasked for there is the session's ticket */
    bed = bed_start(NULL);
    for (size_t i = 0; i < LONG_BODIES; i++)
        fds[i] = send_long_body(bed);
    answered = find_answered(fds);
    refused = raw_read_to_end(fds[answered]);
    assert_starts(refused, "HTTP/1.1 503");
    assert_contains(refused, "Retry-After: 10");
    assert_short_body_is_taken(bed);
    for (size_t i = 0; i < LONG_BODIES; i++)
        end_and_wait(fds[i]);
    again = send_long_body(bed); /* their room is there again */
    raw_send(again, "x");
    free(raw_read_until(again, "200 OK"));
    raw_close(again);
    bed_stop(bed, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_idle_makes_room),
        cmocka_unit_test(the_greediest_address_makes_room),
        cmocka_unit_test(one_address_has_no_more_than_its_share),
        cmocka_unit_test(who_waits_for_an_answer_stays),
        cmocka_unit_test(who_is_vouched_for_stays),
        cmocka_unit_test(a_stream_goes_when_nobody_is_idle),
        cmocka_unit_test(a_vouched_stream_stays),
        cmocka_unit_test(a_thousand_that_say_nothing_keep_nobody_out),
        cmocka_unit_test(headers_have_a_limit),
        cmocka_unit_test(long_bodies_share_their_room_and_short_ones_find_theirs),
    };

    bed_speaks_tls = argc > 1 && strcmp(argv[1], "tls") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
