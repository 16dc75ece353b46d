/* The client in a loop of its own, against the test bed's server and against silence. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/error.h"
#include "tests/unit/http/user.h"

static int start(void **state)
{
    *state = user_start(bed_start(NULL), NULL);
    return 0;
}

static int stop(void **state)
{
    user_stop(*state);
    return 0;
}

static void an_answer_comes_whole_with_its_etag(void **state)
{
    struct user *user = *state;

    call(user, "/shared",
         (struct http_request_spec){.method = "GET", .timeout_ms = 5000, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->error, 0);
    assert_int_equal(user->status, 200);
    assert_string_equal(user->body.data, "shared");
    assert_string_equal(user->etag.data, "\"7\"");
    assert_int_equal(user->retry_after_s, 0);
    assert_int_equal(user->done_count, 1);
}

static void a_server_may_ask_to_wait(void **state)
{
    struct user *user = *state;

    call(user, "/busy",
         (struct http_request_spec){.method = "GET", .timeout_ms = 5000, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->status, 503);
    assert_int_equal(user->retry_after_s, 7);
}

static void headers_of_ours_go_along(void **state)
{
    static const char *const headers[] = {"If-None-Match: \"7\"", NULL};
    struct user *user = *state;

    call(user, "/shared",
         (struct http_request_spec){
             .method = "GET", .timeout_ms = 5000, .headers = headers, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->status, 304);
    assert_int_equal(user->body.len, 0);
}

static void a_body_is_sent(void **state)
{
    struct user *user = *state;

    call(user, "/echo",
         (struct http_request_spec){
             .method = "POST", .body = "{\"a\":1}", .timeout_ms = 5000, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->status, 200);
    assert_string_equal(user->body.data, "{\"a\":1}");
}

static void a_problem_is_an_answer(void **state)
{
    struct user *user = *state;

    call(user, "/none", (struct http_request_spec){.method = "DELETE", .done = keep_and_exit});
    run(user);
    assert_int_equal(user->error, 0);
    assert_int_equal(user->status, 404);
    assert_contains(user->body.data, "\"status\":404");
}

static void an_answer_over_the_limit_is_an_error(void **state)
{
    struct user *user = *state;

    call(user, "/shared",
         (struct http_request_spec){.method = "GET", .body_max = 5, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->error, EFBIG);
    assert_contains(user->detail.data, "/shared: the answer is longer than 5 bytes");
}

/* A port that nobody listens on: bound, never listened to. */
static int closed_port(uint16_t *ret_port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&name, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    *ret_port = ntohs(name.sin_port);
    return fd;
}

static void a_refused_connection_says_so(void **state)
{
    struct user *user = *state;
    uint16_t port;
    int fd = closed_port(&port);
    AUTO_FREE char *url = mem_printf("http://127.0.0.1:%u/x", port);
    AUTO_FREE char *expected = mem_printf("GET %s: connect: Connection refused", url);
    struct http_request_spec spec = {
        .method = "GET", .url = url, .timeout_ms = 5000, .done = keep_and_exit, .data = user};

    assert_int_equal(http_client_start(user->client, &spec, &user->call), 0);
    run(user);
    assert_int_equal(user->error, ECONNREFUSED);
    assert_int_equal(user->status, 0);
    assert_string_equal(user->detail.data, expected);
    close(fd);
}

static void a_silent_server_is_a_timeout(void **state)
{
    struct user *user = *state;

    call(user, "/later",
         (struct http_request_spec){.method = "GET", .timeout_ms = 50, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->error, ETIMEDOUT);
    assert_contains(user->detail.data, "/later: no answer within 50 ms");
    raw_post(user->bed, "/answer", "");
}

static void a_bad_url_is_refused_at_once_or_reported(void **state)
{
    struct user *user = *state;
    struct http_request_spec spec = {
        .method = "GET", .url = "file:///etc/hostname", .done = keep_and_exit, .data = user};

    assert_int_equal(http_client_start(user->client, &spec, &user->call), 0);
    run(user);
    assert_int_equal(user->error, EINVAL);
    assert_contains(user->detail.data, "GET file:///etc/hostname: ");
}

/* ---- streams --------------------------------------------------------------------------------- */

static bool chunk_then_end(const char *bytes, size_t n, void *data)
{
    struct user *user = data;

    (void)keep_chunk(bytes, n, data);
    if (strstr(user->chunks.data, "one"))
        raw_post(user->bed, "/end", "");
    return true;
}

/* The stream exists once its server says so; then something is pushed. */
static void on_stream_exists(const struct http_response *response, void *data)
{
    struct user *user = data;
    struct http_call *unused;
    AUTO_FREE char *state_url = url_of(user, "/state");
    struct http_request_spec again = {
        .method = "GET", .url = state_url, .done = on_stream_exists, .data = data};

    if (strstr(response->body, "streams=1"))
        raw_post(user->bed, "/push", "one");
    else
        assert_int_equal(http_client_start(user->client, &again, &unused), 0);
}

static void push_when_stream_exists(struct user *user)
{
    struct http_call *stream = user->call;

    call(user, "/state", (struct http_request_spec){.method = "GET", .done = on_stream_exists});
    user->call = stream;
}

static void a_stream_comes_in_chunks_and_ends(void **state)
{
    struct user *user = *state;

    call(user, "/stream",
         (struct http_request_spec){
             .method = "GET", .chunk = chunk_then_end, .done = keep_and_exit});
    push_when_stream_exists(user);
    run(user);
    assert_int_equal(user->error, 0);
    assert_int_equal(user->status, 200);
    assert_string_equal(user->chunks.data, "one");
    assert_int_equal(user->body.len, 0);
}

static bool refuse_chunk(const char *bytes, size_t n, void *data)
{
    (void)keep_chunk(bytes, n, data);
    return false;
}

static void a_reader_may_refuse_more(void **state)
{
    struct user *user = *state;

    call(user, "/flood",
         (struct http_request_spec){.method = "GET", .chunk = refuse_chunk, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->error, ECANCELED);
    assert_int_equal(user->chunk_count, 1);
    assert_int_equal(user->done_count, 1);
    raw_wait_state(user->bed, "streams=0");
}

static bool cancel_in_chunk(const char *bytes, size_t n, void *data)
{
    struct user *user = data;

    (void)keep_chunk(bytes, n, data);
    http_call_cancel(user->call);
    loop_exit(user->loop, 0);
    return true;
}

static void a_call_may_be_cancelled_in_its_own_callback(void **state)
{
    struct user *user = *state;

    call(user, "/flood",
         (struct http_request_spec){
             .method = "GET", .chunk = cancel_in_chunk, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->chunk_count, 1);
    assert_int_equal(user->done_count, 0);
    raw_wait_state(user->bed, "streams=0");
}

static bool free_in_chunk(const char *bytes, size_t n, void *data)
{
    struct user *user = data;

    user->chunk_count++;
    http_client_free(user->client);
    user->client = NULL;
    loop_exit(user->loop, 0);
    return true;
}

static void the_client_may_be_freed_in_a_callback(void **state)
{
    struct user *user = *state;

    call(user, "/later", (struct http_request_spec){.method = "GET", .done = keep_and_exit});
    call(
        user, "/flood",
        (struct http_request_spec){.method = "GET", .chunk = free_in_chunk, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->chunk_count, 1);
    assert_int_equal(user->done_count, 0);
    raw_wait_state(user->bed, "streams=0");
    raw_post(user->bed, "/answer", "");
}

static void a_cancelled_call_is_never_heard_of_again(void **state)
{
    struct user *user = *state;

    call(user, "/shared", (struct http_request_spec){.method = "GET", .done = keep_and_exit});
    http_call_cancel(user->call);
    call(user, "/echo/x", (struct http_request_spec){.method = "GET", .done = keep_and_exit});
    run(user);
    assert_int_equal(user->done_count, 1);
    assert_string_equal(user->body.data, "word=x query=(none)");
}

static void a_stream_that_falls_silent_is_given_up(void **state)
{
    struct user *user = *state;

    call(user, "/stream",
         (struct http_request_spec){
             .method = "GET", .stall_timeout_ms = 50, .chunk = keep_chunk, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->error, ETIMEDOUT);
    assert_contains(user->detail.data, "/stream: nothing came for 50 ms");
    raw_wait_state(user->bed, "streams=0");
}

static void another_answer_than_a_stream_comes_whole(void **state)
{
    struct user *user = *state;

    call(user, "/none",
         (struct http_request_spec){.method = "GET", .chunk = keep_chunk, .done = keep_and_exit});
    run(user);
    assert_int_equal(user->status, 404);
    assert_int_equal(user->chunk_count, 0);
    assert_contains(user->body.data, "there is nothing at this path");
}

static void call_again(const struct http_response *response, void *data)
{
    struct user *user = data;

    keep(user, response);
    if (user->done_count < 20)
        call(user, "/shared", (struct http_request_spec){.method = "GET", .done = call_again});
    else
        loop_exit(user->loop, 0);
}

static void calls_in_a_row_share_a_connection(void **state)
{
    struct user *user = *state;
    struct bed *bed = user->bed;

    /* With two connections allowed in all, twenty calls in a row leave room for one of ours. */
    user->bed = bed_start(&(struct bed_limits){.max_connections = 2});
    call(user, "/shared", (struct http_request_spec){.method = "GET", .done = call_again});
    run(user);
    assert_int_equal(user->error, 0);
    assert_int_equal(user->done_count, 20);
    raw_wait_state(user->bed, "done=20");
    bed_stop(user->bed, NULL);
    user->bed = bed;
}

/* ---- without a loop -------------------------------------------------------------------------- */

static void a_fetch_waits_for_its_answer(void **state)
{
    struct user *user = *state;
    AUTO_FREE char *url = url_of(user, "/echo");
    struct http_reply reply;

    assert_int_equal(http_fetch(NULL,
                                &(struct http_request_spec){
                                    .method = "POST", .url = url, .body = "{}", .timeout_ms = 5000},
                                &reply),
                     0);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "{}");
    http_reply_deinit(&reply);
}

static void a_fetch_that_fails_says_why(void **state)
{
    uint16_t port;
    int fd = closed_port(&port);
    AUTO_FREE char *url = mem_printf("http://127.0.0.1:%u", port);
    AUTO_FREE char *expected = mem_printf("DELETE %s: connect: Connection refused", url);
    struct http_reply reply;

    assert_int_equal(
        http_fetch(NULL, &(struct http_request_spec){.method = "DELETE", .url = url}, &reply),
        -ECONNREFUSED);
    assert_string_equal(err_text(), expected);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_whole_with_its_etag),
        TEST(a_server_may_ask_to_wait),
        TEST(headers_of_ours_go_along),
        TEST(a_body_is_sent),
        TEST(a_problem_is_an_answer),
        TEST(an_answer_over_the_limit_is_an_error),
        TEST(a_refused_connection_says_so),
        TEST(a_silent_server_is_a_timeout),
        TEST(a_bad_url_is_refused_at_once_or_reported),
        TEST(a_stream_comes_in_chunks_and_ends),
        TEST(a_reader_may_refuse_more),
        TEST(a_call_may_be_cancelled_in_its_own_callback),
        TEST(the_client_may_be_freed_in_a_callback),
        TEST(a_cancelled_call_is_never_heard_of_again),
        TEST(a_stream_that_falls_silent_is_given_up),
        TEST(another_answer_than_a_stream_comes_whole),
        TEST(calls_in_a_row_share_a_connection),
        TEST(a_fetch_waits_for_its_answer),
        TEST(a_fetch_that_fails_says_why),
    };

    return cmocka_run_group_tests_name("http client", tests, NULL, NULL);
}
