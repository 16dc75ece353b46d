/* The server over TLS: certificates of both sides. That requests and streams are as they are in
 * plain is shown by test_server.c and test_stream.c, which run over TLS, too. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/error.h"
#include "lib/base/loop.h"
#include "lib/base/mem.h"
#include "tests/unit/http/bed.h"

static int setup(void **state)
{
    *state = bed_start(NULL);
    return 0;
}

static int teardown(void **state)
{
    bed_stop(*state, NULL);
    return 0;
}

#define WHO "GET /who HTTP/1.1\r\nHost: t\r\n\r\n"

static void a_client_may_show_a_certificate_and_need_not(void **state)
{
    struct bed_identity me;
    AUTO_FREE char *with = NULL, *without = NULL;
    int fd;

    bed_identity_init(&me, "me");
    fd = raw_open_as(*state, &me);
    raw_send(fd, WHO);
    with = raw_read_until(fd, "looks=");
    raw_close(fd);
    bed_identity_deinit(&me);
    without = raw_ask(*state, GET("/who"));

    assert_contains(with, "certificates=1 bytes=");
    assert_contains(without, "certificates=0 bytes=0 looks=1");
}

static void a_note_lasts_as_long_as_its_connection(void **state)
{
    AUTO_FREE char *first = NULL, *second = NULL, *other = NULL;
    int fd = raw_open(*state);

    raw_send(fd, WHO);
    first = raw_read_until(fd, "looks=1");
    raw_send(fd, WHO);
    second = raw_read_until(fd, "looks=2");
    raw_close(fd);
    other = raw_ask(*state, GET("/who"));
    assert_contains(other, "looks=1");
}

static void new_connections_get_the_new_certificate_and_old_ones_go_on(void **state)
{
    int old = raw_open(*state), fresh;
    AUTO_FREE char *before = raw_server_name(old), *after = NULL, *answer = NULL;

    raw_post(*state, "/renew", "");
    fresh = raw_open(*state);
    after = raw_server_name(fresh);
    raw_send(old, WHO);
    answer = raw_read_until(old, "looks=1");
    raw_close(old);
    raw_close(fresh);
    assert_string_equal(before, "bed");
    assert_string_equal(after, "bed-2");
}

static void who_speaks_plain_http_is_told_to_use_https(void **state)
{
    int fd = raw_open_plain(*state);
    AUTO_FREE char *answer = NULL;

    assert_true(send(fd, WHO, strlen(WHO), MSG_NOSIGNAL) > 0);
    answer = raw_read_to_end(fd);
    raw_close(fd);
    assert_starts(answer, "HTTP/1.1 426 Upgrade Required\r\n");
    assert_contains(answer, "Upgrade: TLS/1.2\r\n");
    assert_contains(answer, "\"status\":426,\"detail\":\"this port speaks HTTPS only");
}

static void who_says_nothing_or_breaks_off_the_handshake_disturbs_nobody(void **state)
{
    static const char hello[] = {22, 3, 1, 0, 100, 1};
    int silent = raw_open_plain(*state), broken = raw_open_plain(*state);
    AUTO_FREE char *answer = NULL;

    assert_int_equal(send(broken, hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
    raw_close(broken);
    answer = raw_ask(*state, GET("/echo/a"));
    raw_close(silent);
    assert_starts(answer, "HTTP/1.1 200 OK\r\n");
}

static int64_t cpu_ms(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Not a matter of speed: either it waits, or it spins. */
static void the_server_sleeps_while_it_waits_for_a_handshake(void **state)
{
    static const char hello[] = {22, 3, 1, 0, 100, 1};
    int silent = raw_open_plain(*state), begun = raw_open_plain(*state);
    AUTO_FREE char *answer = NULL;
    int64_t before_ms;

    assert_int_equal(send(begun, hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
    answer = raw_ask(*state, GET("/echo/a")); /* by now it has seen the others */
    before_ms = cpu_ms();
    assert_int_equal(poll(NULL, 0, 400), 0);
    assert_in_range(cpu_ms() - before_ms, 0, 200);
    assert_starts(answer, "HTTP/1.1 200 OK\r\n");
    raw_close(silent);
    raw_close(begun);
}

static void a_server_stops_while_a_handshake_is_under_way(void **state)
{
    struct bed *bed = bed_start(NULL);
    int silent = raw_open_plain(bed);
    AUTO_FREE char *answer = raw_ask(bed, GET("/echo/a"));

    assert_starts(answer, "HTTP/1.1 200 OK\r\n");
    bed_stop(bed, NULL);
    raw_close(silent);
}

static void a_refused_body_is_answered_although_it_goes_on(void **state)
{
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 8388608\r\n\r\n";
    AUTO_FREE char *body = mem_zalloc(8388608);
    AUTO_FREE char *answer = NULL;
    int fd = raw_open(*state);

    raw_send(fd, head);
    raw_send_what_fits(fd, body, 8388608);
    answer = raw_read_to_end(fd);
    raw_close(fd);
    assert_starts(answer, "HTTP/1.1 413 ");
}

static void a_server_without_its_files_does_not_start(void **state)
{
    static const struct http_tls_config none = {"/nowhere/cert.pem", "/nowhere/key.pem"};
    static const struct http_route routes[1];
    const struct http_server_config config = {.routes = routes, .tls = &none};
    struct http_server *server;
    struct loop *loop;

    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(http_server_new(loop, &config, &server), -ENOENT);
    assert_non_null(strstr(err_text(), "/nowhere/cert.pem"));
    loop_free(loop);
}

#define TLS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS(a_client_may_show_a_certificate_and_need_not),
        TLS(a_note_lasts_as_long_as_its_connection),
        TLS(new_connections_get_the_new_certificate_and_old_ones_go_on),
        TLS(who_speaks_plain_http_is_told_to_use_https),
        TLS(who_says_nothing_or_breaks_off_the_handshake_disturbs_nobody),
        TLS(a_refused_body_is_answered_although_it_goes_on),
        TLS(the_server_sleeps_while_it_waits_for_a_handshake),
        cmocka_unit_test(a_server_stops_while_a_handshake_is_under_way),
        cmocka_unit_test(a_server_without_its_files_does_not_start),
    };

    bed_speaks_tls = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
