/* Event streams at the control plane's end of the network: in the place of lib/http/stream.c. */
#include <errno.h>

#include "tests/sim/network.h"

#define STREAM_IDLE_US (30 * SIM_S)

void server_stream_end(struct http_stream *stream)
{
    struct exchange *x = stream->exchange;

    sim_cancel(stream->pump);
    sim_cancel(stream->cut);
    x->stream = NULL;
    stream->gone(stream->data);
    free(stream);
    server_leave(x);
}

void server_notice_closed(struct exchange *x)
{
    struct process *before = sim.current;

    if (!x->stream)
        return;
    sim.current = &sim_control_host()->process;
    exchange_drop_pieces(x);
    server_stream_end(x->stream);
    sim.current = before;
}

static void on_closed_before(void *data)
{
    server_notice_closed(data);
    exchange_unref(data);
}

static void break_stream(struct http_stream *stream)
{
    struct exchange *x = exchange_ref(stream->exchange);

    sim_trace("the stream of %s breaks", x->client->name);
    exchange_drop_pieces(x);
    server_stream_end(stream);
    exchange_add_piece(x, NULL, ECONNRESET);
    exchange_unref(x);
}

static void on_idle(void *data)
{
    struct http_stream *stream = data;

    stream->cut = NULL;
    break_stream(stream);
}

static void mind_the_window(struct http_stream *stream)
{
    sim_cancel(TAKE_PTR(stream->cut));
    if (stream->in_flight >= stream->window)
        stream->cut = sim_in(STREAM_IDLE_US, SIM_TIMER, sim.current, on_idle, stream);
}

static void on_pump(void *data)
{
    struct http_stream *stream = data;
    struct exchange *x = stream->exchange;
    bool is_end = false;

    stream->pump = NULL;
    while (stream->in_flight < stream->window) {
        struct http_body *body = stream->next_fn(stream->data, &is_end);

        if (!body) {
            stream->is_awake = false;
            break;
        }
        stream->in_flight++;
        exchange_add_piece(x, body, 0);
    }
    mind_the_window(stream);
    if (!is_end)
        return;
    exchange_add_piece(exchange_ref(x), NULL, 0);
    server_stream_end(stream);
    exchange_unref(x);
}

void http_stream_wake(struct http_stream *stream)
{
    stream->is_awake = true;
    if (!stream->pump && stream->in_flight < stream->window)
        stream->pump = sim_in(0, SIM_LATER, &sim_control_host()->process, on_pump, stream);
}

void http_stream_abort(struct http_stream *stream)
{
    sim_cancel(TAKE_PTR(stream->cut));
    stream->cut = sim_in(0, SIM_TIMER, sim.current, on_idle, stream);
}

struct http_stream *http_stream_start(struct http_request *request, const char *content_type,
                                      http_stream_next_fn next, http_gone_fn gone, void *data)
{
    struct http_stream *stream = NEW(struct http_stream);
    struct exchange *x = request->exchange;

    *stream = (struct http_stream){
        .exchange = x,
        .next_fn = next,
        .gone = gone,
        .data = data,
        .window = (size_t)sim_between(1, 8),
    };
    x->stream = stream;
    x->status = 200;
    sim_trace("streams to %s from %s", x->client->name,
              x->last_event_id ? x->last_event_id : "the start");
    server_request_done(request, 200);
    if (!x->call) /* it has closed already */
        (void)sim_in(0, SIM_MESSAGE, NULL, on_closed_before, exchange_ref(x));
    http_stream_wake(stream);
    return stream;
}

void network_break_streams(const struct host *host)
{
    struct exchange *x, *next;

    DL_FOREACH_SAFE(sim.network->at_server, x, next)
    {
        if (x->client == host && x->stream)
            break_stream(x->stream);
    }
}
