/* The agents' end of the network, and the network between: in the place of lib/http/client.c.
 *
 *     http_client_start ──(delay; waits while the way is cut)──> server_take
 *                                                                    │
 *     done <──(delay; waits while the way back is cut)── client_answer
 *     chunk, chunk, ... <── one piece after the other, in order ── http_stream
 *
 * A cut way loses nothing by itself: bytes wait for it to be mended, as TCP has them wait, until
 * their sender gives up. What is lost is lost with its connection, and who asked hears of that.
 */
#include <string.h>

#include "lib/base/error.h"
#include "tests/sim/network.h"

#define RETRY_MIN_US (200 * SIM_MS)
#define RETRY_MAX_US (3 * SIM_S)
#define TRIES_MAX 60
#define CALL_LIMIT_MS 30000

struct http_client {
    struct process *process;
    struct http_call *calls;
};

struct http_call {
    struct http_client *client;
    struct exchange *exchange;
    http_done_fn done;
    http_chunk_fn chunk;
    void *data;
    int64_t stall_ms;
    struct sim_event *limit; /* of the whole call, or of the silence */
    struct http_call *prev, *next;
};

/* ---- exchanges ----------------------------------------------------------------------------- */

struct exchange *exchange_ref(struct exchange *x)
{
    x->refs++;
    return x;
}

void exchange_drop_pieces(struct exchange *x)
{
    struct piece *piece, *next;

    DL_FOREACH_SAFE(x->pieces, piece, next)
    {
        DL_DELETE(x->pieces, piece);
        http_body_unref(piece->body);
        free(piece);
    }
}

static void exchange_free(struct exchange *x)
{
    DL_DELETE2(sim.network->all, x, all_prev, all_next);
    exchange_drop_pieces(x);
    free(x->method);
    free(x->target);
    free(x->body);
    free(x->accept);
    free(x->last_event_id);
    free(x->if_none_match);
    free(x->reply);
    free(x);
}

void exchange_unref(struct exchange *x)
{
    if (--x->refs == 0)
        exchange_free(x);
}

int64_t network_delay_us(const struct host *host)
{
    const struct network_faults *f = &sim.network->faults;
    int64_t delay_us = host->delay_us + sim_between(0, host->delay_us);

    if (sim_percent(f->slow))
        delay_us += sim_between(0, f->slow_us);
    return delay_us;
}

static int64_t retry_us(struct exchange *x)
{
    int64_t pause_us = RETRY_MIN_US << (x->tries < 5 ? x->tries : 5);

    x->tries++;
    return (pause_us < RETRY_MAX_US ? pause_us : RETRY_MAX_US) + sim_between(0, 50 * SIM_MS);
}

static bool is_cut(const struct exchange *x, int way)
{
    return x->client->is_cut[way];
}

/* ---- calls --------------------------------------------------------------------------------- */

static void call_free(struct http_call *call)
{
    struct exchange *x = call->exchange;

    sim_cancel(call->limit);
    DL_DELETE(call->client->calls, call);
    x->call = NULL;
    exchange_unref(x);
    free(call);
}

static void on_closed(void *data)
{
    struct exchange *x = data;

    if (is_cut(x, WAY_TO_SERVER) && x->tries < TRIES_MAX) {
        (void)sim_in(retry_us(x), SIM_MESSAGE, NULL, on_closed, x);
        return;
    }
    server_notice_closed(x);
    exchange_unref(x);
}

/* The other end is told, in time. */
static void close_connection(struct exchange *x)
{
    x->tries = 0;
    (void)sim_in(network_delay_us(x->client), SIM_MESSAGE, NULL, on_closed, exchange_ref(x));
}

static void end_call(struct http_call *call, int error)
{
    struct exchange *x = exchange_ref(call->exchange);
    const struct http_response response = {
        .error = error,
        .status = error ? 0 : x->status,
        .body = x->reply && !error ? x->reply : "",
        .body_len = x->reply && !error ? strlen(x->reply) : 0,
        .detail = error ? "the simulated network" : "",
        .etag = error ? "" : x->etag,
        .retry_after_s = error ? 0 : (int64_t)x->retry_after_s,
    };
    http_done_fn done = call->done;
    void *data = call->data;

    call_free(call);
    done(&response, data);
    exchange_unref(x);
}

static void on_limit(void *data)
{
    struct http_call *call = data;

    call->limit = NULL;
    close_connection(call->exchange);
    end_call(call, ETIMEDOUT);
}

static void set_limit(struct http_call *call, int64_t limit_ms)
{
    sim_cancel(TAKE_PTR(call->limit));
    if (limit_ms > 0)
        call->limit = sim_in(limit_ms * SIM_MS, SIM_TIMER, call->client->process, on_limit, call);
}

int http_client_new(struct loop *loop, const struct http_client_config *config,
                    struct http_client **ret_client)
{
    struct http_client *client = NEW(struct http_client);

    client->process = sim.current;
    *ret_client = client;
    return 0;
}

/* There is no TLS here. */
int http_client_renew(struct http_client *client, const struct http_client_config *config)
{
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    while (client->calls)
        http_call_cancel(client->calls);
    free(client);
}

void http_call_cancel(struct http_call *call)
{
    close_connection(call->exchange);
    call_free(call);
}

/* ---- to the server ------------------------------------------------------------------------- */

static bool has_address(const struct exchange *x)
{
    return x->client->ip == x->from_ip && !x->client->is_gone;
}

static void on_arrival(void *data)
{
    struct exchange *x = data;

    if (is_cut(x, WAY_TO_SERVER) || !has_address(x)) {
        /* What was sent before its sender gave up may still come. */
        if (x->tries < TRIES_MAX && has_address(x) &&
            (x->call || x->tries > 1 || sim_percent(50))) {
            (void)sim_in(retry_us(x), SIM_MESSAGE, NULL, on_arrival, x);
            return;
        }
        exchange_unref(x);
        return;
    }
    x->tries = 0;
    server_take(x);
}

static char *header_value(const struct http_request_spec *spec, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; spec->headers && spec->headers[i]; i++) {
        if (strncmp(spec->headers[i], name, n) == 0 && spec->headers[i][n] == ':')
            return mem_strdup(spec->headers[i] + n + 2);
    }
    return NULL;
}

/* Behind http://HOST:PORT. */
static const char *target_of(const char *url)
{
    return strchr(url + strlen("http://"), '/');
}

static struct exchange *exchange_new(struct host *client, const struct http_request_spec *spec)
{
    struct exchange *x = NEW(struct exchange);

    *x = (struct exchange){
        .refs = 1,
        .client = client,
        .from_ip = client->ip,
        .method = mem_strdup(spec->method),
        .target = mem_strdup(target_of(spec->url)),
        .body = mem_strdup(spec->body ? spec->body : ""),
        .accept = header_value(spec, "Accept"),
        .last_event_id = header_value(spec, "Last-Event-ID"),
        .if_none_match = header_value(spec, "If-None-Match"),
    };
    DL_APPEND2(sim.network->all, x, all_prev, all_next);
    return x;
}

static void set_out(struct exchange *x)
{
    (void)sim_in(network_delay_us(x->client), SIM_MESSAGE, NULL, on_arrival, x);
}

int http_client_start(struct http_client *client, const struct http_request_spec *spec,
                      struct http_call **ret_call)
{
    struct host *host = client->process->host;
    struct http_call *call = NEW(struct http_call);

    *call = (struct http_call){
        .client = client,
        .exchange = exchange_new(host, spec),
        .done = spec->done,
        .chunk = spec->chunk,
        .data = spec->data,
        .stall_ms = spec->stall_timeout_ms,
    };
    call->exchange->call = call;
    DL_APPEND(client->calls, call);
    set_limit(call, spec->timeout_ms > 0 ? spec->timeout_ms
                    : call->chunk        ? spec->stall_timeout_ms
                                         : CALL_LIMIT_MS);
    sim_trace("asks %s %s %s", spec->method, call->exchange->target, call->exchange->body);
    set_out(exchange_ref(call->exchange));
    if (!call->chunk && sim_percent(sim.network->faults.doubling))
        set_out(exchange_new(host, spec));
    *ret_call = call;
    return 0;
}

void network_ask(const char *method, const char *target, const char *body)
{
    AUTO_FREE char *url = mem_printf("http://control%s", target);
    const struct http_request_spec spec = {.method = method, .url = url, .body = body};

    sim_trace("an operator asks %s %s %s", method, target, body ? body : "");
    set_out(exchange_new(sim_control_host(), &spec));
}

/* ---- back ---------------------------------------------------------------------------------- */

static void on_answer(void *data)
{
    struct exchange *x = data;

    if (x->call && x->call->client->process->stalled_until_us > sim.now_us) {
        (void)sim_at(x->call->client->process->stalled_until_us, SIM_MESSAGE, NULL, on_answer, x);
        return;
    }
    if (x->call && is_cut(x, WAY_TO_CLIENT) && x->tries < TRIES_MAX) {
        (void)sim_in(retry_us(x), SIM_MESSAGE, NULL, on_answer, x);
        return;
    }
    if (x->call) {
        sim.current = x->call->client->process;
        end_call(x->call, x->error);
    }
    exchange_unref(x);
}

void client_answer(struct exchange *x)
{
    x->tries = 0;
    (void)sim_in(network_delay_us(x->client), SIM_MESSAGE, NULL, on_answer, exchange_ref(x));
}

/* ---- pieces -------------------------------------------------------------------------------- */

void exchange_add_piece(struct exchange *x, struct http_body *body, int error)
{
    struct piece *piece = NEW(struct piece);

    piece->body = body;
    piece->error = error;
    DL_APPEND(x->pieces, piece);
    client_send_pieces(x);
}

/* As TCP does it: cut anywhere. Ends the call when its owner has had enough. */
static void hand_over(struct exchange *x, const struct http_body *body)
{
    const char *bytes = http_body_bytes(body);
    size_t n = http_body_len(body), first = n;
    bool go_on;

    if (n > 1 && sim_percent(20))
        first = (size_t)sim_between(1, (int64_t)n - 1);
    set_limit(x->call, x->call->stall_ms);
    go_on = x->call->chunk(bytes, first, x->call->data);
    if (go_on && x->call && first < n)
        go_on = x->call->chunk(bytes + first, n - first, x->call->data);
    if (go_on || !x->call)
        return;
    close_connection(x);
    end_call(x->call, ECANCELED);
}

static void stream_taken(struct http_stream *stream);

static void deliver(struct exchange *x, struct piece *piece)
{
    if (x->call)
        sim.current = x->call->client->process;
    if (x->call && piece->body)
        hand_over(x, piece->body);
    else if (x->call)
        end_call(x->call, piece->error);
    http_body_unref(piece->body);
    free(piece);
    if (x->stream)
        stream_taken(x->stream);
}

static void on_piece(void *data)
{
    struct exchange *x = data;
    struct piece *piece = x->pieces;

    x->delivery = NULL;
    if (piece && x->call && x->call->client->process->stalled_until_us > sim.now_us) {
        x->delivery =
            sim_at(x->call->client->process->stalled_until_us, SIM_MESSAGE, NULL, on_piece, x);
        return;
    }
    if (piece && x->call && is_cut(x, WAY_TO_CLIENT)) {
        x->delivery = sim_in(retry_us(x), SIM_MESSAGE, NULL, on_piece, x);
        return;
    }
    x->tries = 0;
    if (piece) {
        DL_DELETE(x->pieces, piece);
        deliver(x, piece);
    }
    client_send_pieces(x);
    exchange_unref(x);
}

void client_send_pieces(struct exchange *x)
{
    if (x->pieces && !x->delivery)
        x->delivery =
            sim_in(network_delay_us(x->client), SIM_MESSAGE, NULL, on_piece, exchange_ref(x));
}

static void stream_taken(struct http_stream *stream)
{
    stream->in_flight--;
    if (stream->is_awake)
        http_stream_wake(stream);
}

/* -------------------------------------------------------------------------------------------- */

void network_init(void)
{
    sim.network = NEW(struct network);
}

/* What was still on its way goes with it. */
void network_deinit(void)
{
    while (sim.network->all)
        exchange_free(sim.network->all);
    free(sim.network->old_list);
    free(sim.network);
}

void network_set_faults(const struct network_faults *faults)
{
    sim.network->faults = *faults;
}
