/* The client of the HTTP client's tests. */
#include "tests/unit/http/user.h"

static void on_guard(void *data)
{
    struct user *user = data;

    user->is_late = true;
    loop_exit(user->loop, 0);
}

struct user *user_start(struct bed *bed, const struct http_client_config *config)
{
    struct user *user = NEW(struct user);

    user->bed = bed;
    assert_int_equal(loop_new(&user->loop), 0);
    assert_int_equal(http_client_new(user->loop, config, &user->client), 0);
    assert_int_equal(loop_add_timer(user->loop, on_guard, user, &user->guard), 0);
    loop_timer_set_in(user->guard, 10000);
    return user;
}

void user_stop(struct user *user)
{
    http_client_free(user->client);
    loop_source_free(user->guard);
    loop_free(user->loop);
    bed_stop(user->bed, NULL);
    strbuf_deinit(&user->body);
    strbuf_deinit(&user->detail);
    strbuf_deinit(&user->etag);
    strbuf_deinit(&user->chunks);
    free(user);
}

void keep(struct user *user, const struct http_response *response)
{
    user->done_count++;
    user->error = response->error;
    user->status = response->status;
    user->retry_after_s = response->retry_after_s;
    strbuf_clear(&user->body);
    strbuf_add(&user->body, response->body, response->body_len);
    strbuf_adds(&user->detail, response->detail);
    strbuf_adds(&user->etag, response->etag);
}

void keep_and_exit(const struct http_response *response, void *data)
{
    struct user *user = data;

    keep(user, response);
    loop_exit(user->loop, 0);
}

bool keep_chunk(const char *bytes, size_t n, void *data)
{
    struct user *user = data;

    user->chunk_count++;
    strbuf_add(&user->chunks, bytes, n);
    return true;
}

char *url_of(const struct user *user, const char *path)
{
    return mem_printf("%s://127.0.0.1:%u%s", bed_speaks_tls ? "https" : "http", bed_port(user->bed),
                      path);
}

void call(struct user *user, const char *path, struct http_request_spec spec)
{
    AUTO_FREE char *url = url_of(user, path);

    spec.url = url;
    spec.data = user;
    assert_int_equal(http_client_start(user->client, &spec, &user->call), 0);
}

void run(struct user *user)
{
    assert_int_equal(loop_run(user->loop), 0);
    assert_false(user->is_late);
}
