/* libcurl's multi interface in our loop.
 *
 * libcurl tells which sockets and what time it waits for; when they come it is told. No user's
 * callback is ever called from within libcurl: what has come in is handed over afterwards, when
 * calls can be started, cancelled, and the client be freed without libcurl noticing.
 */
#include <assert.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/http/client_internal.h"

/* The connections that were made of the same files, and the calls on them. */
struct pool {
    struct http_client *client;
    CURLM *multi;
    struct loop_source *timer;
    size_t call_count;
    bool is_old; /* goes with its last call */
};

struct http_client {
    struct loop *loop;
    struct pool *pool; /* for new calls */
    char *ca_file;
    char *cert_file;
    char *key_file;
    struct ring calls; /* struct http_call */
    struct ring ready; /* struct transfer: has something to hand over */
    bool is_handing_over;
    bool is_freed; /* by a callback; to be done when it has returned */
};

struct http_call {
    struct ring ring;
    struct http_client *client;
    struct pool *pool;
    struct transfer transfer;
    struct loop_source *stall_timer; /* NULL: no limit */
    int64_t stall_timeout_ms;
    http_done_fn done;
    http_chunk_fn chunk;
    void *data;
    bool is_in_callback;
    bool is_cancelled; /* while in its callback */
    bool is_finished;
    int error;
    char *detail;
};

/* A socket that libcurl waits for. */
struct client_socket {
    struct pool *pool;
    int fd;
    struct loop_source *io;
};

static void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    if (pool->multi)
        (void)curl_multi_cleanup(pool->multi);
    loop_source_free(pool->timer);
    free(pool);
}

static void leave_pool(struct pool *pool)
{
    if (--pool->call_count == 0 && pool->is_old)
        pool_free(pool);
}

static void call_free(struct http_call *call)
{
    (void)curl_multi_remove_handle(call->pool->multi, call->transfer.easy);
    transfer_deinit(&call->transfer);
    loop_source_free(call->stall_timer);
    ring_remove(&call->ring);
    free(call->detail);
    leave_pool(call->pool);
    free(call);
}

static void forget_files(struct http_client *client)
{
    free(TAKE_PTR(client->ca_file));
    free(TAKE_PTR(client->cert_file));
    free(TAKE_PTR(client->key_file));
}

static void client_free(struct http_client *client)
{
    pool_free(client->pool);
    forget_files(client);
    free(client);
    curl_global_cleanup();
}

/* ---- handing over ---------------------------------------------------------------------------- */

static void finish(struct http_call *call, int error)
{
    if (call->is_finished)
        return;
    call->is_finished = true;
    call->error = error;
    call->detail = mem_strdup(error ? err_text() : "");
    ring_append(&call->client->ready, &call->transfer.ready);
}

static void hand_chunk_over(struct http_call *call)
{
    AUTO_STRBUF struct strbuf bytes = call->transfer.body;

    call->transfer.body = (struct strbuf){0};
    if (call->stall_timer)
        loop_timer_set_in(call->stall_timer, call->stall_timeout_ms);
    if (call->chunk(bytes.data, bytes.len, call->data) || call->is_cancelled)
        return;
    (void)err_fail(ECANCELED, "%s: ended by its reader", call->transfer.what);
    free(TAKE_PTR(call->detail));
    call->is_finished = false;
    finish(call, ECANCELED);
}

static void hand_end_over(struct http_call *call)
{
    const struct strbuf *body = &call->transfer.body;
    struct http_response response = {
        .error = call->error,
        .status = call->error ? 0 : transfer_status(&call->transfer),
        .body = body->len > 0 && !call->error ? body->data : "",
        .body_len = call->error ? 0 : body->len,
        .detail = call->detail,
        .etag = call->transfer.etag,
        .retry_after_s = call->error ? 0 : transfer_retry_after_s(&call->transfer),
    };

    (void)curl_multi_remove_handle(call->pool->multi, call->transfer.easy);
    call->done(&response, call->data);
}

static void hand_over(struct http_call *call)
{
    call->is_in_callback = true;
    if (call->chunk && call->transfer.body.len > 0 && transfer_status(&call->transfer) == 200)
        hand_chunk_over(call);
    if (call->is_finished && !call->is_cancelled) {
        hand_end_over(call);
        call->is_cancelled = true;
    }
    call->is_in_callback = false;
    if (call->is_cancelled)
        call_free(call);
}

static void collect_finished(struct pool *pool)
{
    struct http_call *call;
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(pool->multi, &left)))
        if (msg->msg == CURLMSG_DONE &&
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call) == CURLE_OK)
            finish(call, transfer_error(&call->transfer, msg->data.result));
}

static void hand_all_over(struct http_client *client)
{
    client->is_handing_over = true;
    while (!ring_is_empty(&client->ready))
        hand_over(CONTAINER_OF(ring_take_first(&client->ready), struct http_call, transfer.ready));
    client->is_handing_over = false;
    if (client->is_freed)
        client_free(client);
}

/* ---- libcurl in the loop --------------------------------------------------------------------- */

static void act(struct pool *pool, curl_socket_t fd, int what)
{
    struct http_client *client = pool->client;
    int running;
    CURLMcode code = curl_multi_socket_action(pool->multi, fd, what, &running);

    if (code != CURLM_OK)
        log_warn("HTTP client", LOG_S("error", curl_multi_strerror(code)));
    collect_finished(pool);
    hand_all_over(client);
}

static void on_timer(void *pool)
{
    act(pool, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *data)
{
    struct pool *pool = data;

    if (timeout_ms < 0)
        loop_timer_disarm(pool->timer);
    else
        loop_timer_set_in(pool->timer, timeout_ms);
    return 0;
}

static void on_socket_io(void *data, uint32_t events)
{
    struct client_socket *s = data;
    int what =
        (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0);

    if (events & (EPOLLERR | EPOLLHUP))
        what |= CURL_CSELECT_ERR;
    act(s->pool, s->fd, what);
}

static void socket_free(struct client_socket *s)
{
    if (!s)
        return;
    (void)curl_multi_assign(s->pool->multi, s->fd, NULL);
    loop_source_free(s->io);
    free(s);
}

static int socket_new(struct pool *pool, int fd, uint32_t events)
{
    struct client_socket *s = NEW(struct client_socket);
    int r = loop_add_io(pool->client->loop, fd, events, on_socket_io, s, &s->io);

    if (r < 0) {
        free(s);
        return r;
    }
    s->pool = pool;
    s->fd = fd;
    (void)curl_multi_assign(pool->multi, fd, s);
    return 0;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket)
{
    struct client_socket *s = socket;
    uint32_t events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                      (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    int r = 0;

    if (what == CURL_POLL_REMOVE)
        socket_free(s);
    else if (s)
        r = loop_io_set_events(s->io, events);
    else
        r = socket_new(data, fd, events);
    if (r < 0)
        log_warn("HTTP client", LOG_ERR());
    return r < 0 ? -1 : 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void on_stall(void *data)
{
    struct http_call *call = data;
    struct http_client *client = call->client;

    (void)err_fail(ETIMEDOUT, "%s: nothing came for %lld ms", call->transfer.what,
                   (long long)call->stall_timeout_ms);
    finish(call, ETIMEDOUT);
    hand_all_over(client);
}

static int start_stall_timer(struct http_call *call)
{
    int r;

    if (call->stall_timeout_ms == 0)
        return 0;
    r = loop_add_timer(call->client->loop, on_stall, call, &call->stall_timer);
    if (r == 0)
        loop_timer_set_in(call->stall_timer, call->stall_timeout_ms);
    return r;
}

static int join_multi(struct http_call *call)
{
    CURLMcode code;

    (void)curl_easy_setopt(call->transfer.easy, CURLOPT_PRIVATE, call);
    code = curl_multi_add_handle(call->pool->multi, call->transfer.easy);
    if (code != CURLM_OK)
        return err_fail(EIO, "%s: %s", call->transfer.what, curl_multi_strerror(code));
    return start_stall_timer(call);
}

static struct http_call *call_alloc(struct http_client *client,
                                    const struct http_request_spec *spec)
{
    struct http_call *call = NEW(struct http_call);

    call->client = client;
    call->pool = client->pool;
    call->pool->call_count++;
    call->done = spec->done;
    call->chunk = spec->chunk;
    call->data = spec->data;
    call->stall_timeout_ms = spec->stall_timeout_ms;
    ring_init(&call->ring);
    return call;
}

int http_client_start(struct http_client *client, const struct http_request_spec *spec,
                      struct http_call **ret_call)
{
    const struct http_client_config config = {
        .ca_file = client->ca_file, .cert_file = client->cert_file, .key_file = client->key_file};
    struct http_call *call = call_alloc(client, spec);
    int r = transfer_init(&call->transfer, &config, spec);

    if (r < 0) {
        leave_pool(call->pool);
        free(call);
        return r;
    }
    if (call->chunk)
        call->transfer.ready_list = &client->ready;
    r = join_multi(call);
    if (r < 0) {
        call_free(call);
        return r;
    }
    ring_append(&client->calls, &call->ring);
    *ret_call = call;
    return 0;
}

void http_call_cancel(struct http_call *call)
{
    if (!call)
        return;
    call->is_cancelled = true;
    if (!call->is_in_callback)
        call_free(call);
}

/* ---- life ------------------------------------------------------------------------------------ */

static char *copy_or_null(const char *text)
{
    return text ? mem_strdup(text) : NULL;
}

static int multi_init(struct pool *pool)
{
    CURLM *multi = curl_multi_init();

    if (!multi)
        mem_exhausted(0);
    pool->multi = multi;
    if (curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) != CURLM_OK ||
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, pool) != CURLM_OK ||
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) != CURLM_OK ||
        curl_multi_setopt(multi, CURLMOPT_TIMERDATA, pool) != CURLM_OK)
        return err_fail(EIO, "HTTP client: libcurl does not take its callbacks");
    return loop_add_timer(pool->client->loop, on_timer, pool, &pool->timer);
}

static int pool_new(struct http_client *client, struct pool **ret_pool)
{
    struct pool *pool = NEW(struct pool);
    int r;

    pool->client = client;
    r = multi_init(pool);
    if (r < 0) {
        pool_free(pool);
        return r;
    }
    *ret_pool = pool;
    return 0;
}

static void take_files(struct http_client *client, const struct http_client_config *config)
{
    if (!config)
        return;
    client->ca_file = copy_or_null(config->ca_file);
    client->cert_file = copy_or_null(config->cert_file);
    client->key_file = copy_or_null(config->key_file);
}

int http_client_new(struct loop *loop, const struct http_client_config *config,
                    struct http_client **ret_client)
{
    struct http_client *client;
    int r;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_fail(EIO, "HTTP client: libcurl does not start");
    client = NEW(struct http_client);
    client->loop = loop;
    ring_init(&client->calls);
    ring_init(&client->ready);
    take_files(client, config);
    r = pool_new(client, &client->pool);
    if (r < 0) {
        client_free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

int http_client_renew(struct http_client *client, const struct http_client_config *config)
{
    struct pool *old = client->pool;
    int r = pool_new(client, &client->pool);

    if (r < 0)
        return r;
    forget_files(client);
    take_files(client, config);
    old->is_old = true;
    if (old->call_count == 0)
        pool_free(old);
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    while (!ring_is_empty(&client->calls)) {
        struct ring *first = ring_take_first(&client->calls);

        /* One that is in its callback outlives this. */
        http_call_cancel(CONTAINER_OF(first, struct http_call, ring));
    }
    if (client->is_handing_over)
        client->is_freed = true;
    else
        client_free(client);
}
