/* The HTTP tests' server application, and their client of bytes. */
#include "tests/unit/http/bed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/mailbox.h"
#include "lib/http/ring.h"

#define FLOOD_PIECE_BYTES 65536
#define READ_LIMIT_S 10

struct bed {
    struct loop *loop;
    struct http_server *server;
    struct mailbox *mailbox;
    struct loop_source *mail_io;
    struct mailbox_item stop;
    struct bed_identity identity; /* when it speaks TLS */
    struct http_body *common;     /* NULL: not asked for yet */
    pthread_t thread;
    struct ring waiting; /* struct pending */
    struct ring streams; /* struct reader */
    unsigned int waiting_count, stream_count, gone_count, done_count, last_status;
};

struct pending {
    struct ring ring;
    struct bed *bed;
    struct http_request *request;
};

struct reader {
    struct ring ring;
    struct bed *bed;
    struct http_stream *stream;
    struct strbuf text; /* to be sent */
    bool is_flood;
    bool is_ending;
};

/* ---- the application ------------------------------------------------------------------------- */

static void on_echo_word(struct http_request *request, void *data)
{
    const char *q = http_request_query(request, "q");
    AUTO_FREE char *text =
        mem_printf("word=%s query=%s", http_request_param(request, 0), q ? q : "(none)");

    http_reply_text(request, 200, "text/plain", text);
}

static void on_echo(struct http_request *request, void *data)
{
    size_t n;
    const char *bytes = http_request_body(request, &n);
    struct http_body *body = http_body_new(bytes, n);

    http_reply_body(request, 200, "application/octet-stream", body);
    http_body_unref(body);
}

static void on_shared(struct http_request *request, void *data)
{
    const char *known = http_request_header(request, "if-none-match");
    struct http_body *body = http_body_new("shared", 6);

    http_reply_header(request, "ETag", "\"7\"");
    if (known && strcmp(known, "\"7\"") == 0)
        http_reply_empty(request, 304);
    else
        http_reply_body(request, 200, "text/plain", body);
    http_body_unref(body);
}

/* Its bytes are others after each request for new ones; whoever was answered has the old ones. */
static void on_common(struct http_request *request, void *data)
{
    struct bed *bed = data;
    const char *text = http_request_query(request, "new");

    if (text) {
        http_body_unref(bed->common);
        bed->common = http_body_new(text, strlen(text));
    }
    http_reply_body(request, 200, "text/plain", bed->common);
}

static void on_large(struct http_request *request, void *data)
{
    struct http_body *body = http_body_take(mem_zalloc(BED_LARGE_BYTES), BED_LARGE_BYTES);

    http_reply_body(request, 200, "application/octet-stream", body);
    http_body_unref(body);
}

static void on_bad_detail(struct http_request *request, void *data)
{
    http_reply_problem(request, 422, "hostname: \"%s\"", "a\xff\x01z");
}

static void on_vouch(struct http_request *request, void *data)
{
    http_connection_vouch(request);
    http_reply_text(request, 200, "text/plain", "vouched for");
}

static void on_busy(struct http_request *request, void *data)
{
    http_reply_header(request, "Retry-After", "7");
    http_reply_problem(request, 503, "busy");
}

static void pending_free(struct pending *pending)
{
    pending->bed->waiting_count--;
    ring_remove(&pending->ring);
    free(pending);
}

static void on_pending_gone(void *data)
{
    struct pending *pending = data;

    pending->bed->gone_count++;
    pending_free(pending);
}

static void on_later(struct http_request *request, void *data)
{
    struct pending *pending = NEW(struct pending);

    pending->bed = data;
    pending->request = request;
    pending->bed->waiting_count++;
    ring_init(&pending->ring);
    ring_append(&pending->bed->waiting, &pending->ring);
    http_request_on_gone(request, on_pending_gone, pending);
}

static void on_answer(struct http_request *request, void *data)
{
    struct bed *bed = data;

    while (!ring_is_empty(&bed->waiting)) {
        struct pending *pending = CONTAINER_OF(bed->waiting.next, struct pending, ring);

        http_reply_json(pending->request, 201, "{\"late\":true}");
        pending_free(pending);
    }
    http_reply_empty(request, 204);
}

static struct http_body *on_next(void *data, bool *ret_end)
{
    struct reader *reader = data;
    size_t n = reader->text.len;

    *ret_end = reader->is_ending;
    if (reader->is_flood)
        return http_body_take(mem_zalloc(FLOOD_PIECE_BYTES), FLOOD_PIECE_BYTES);
    return n > 0 ? http_body_take(strbuf_take(&reader->text), n) : NULL;
}

static void on_reader_gone(void *data)
{
    struct reader *reader = data;

    reader->bed->gone_count++;
    reader->bed->stream_count--;
    ring_remove(&reader->ring);
    strbuf_deinit(&reader->text);
    free(reader);
}

static struct reader *start_reader(struct http_request *request, struct bed *bed)
{
    struct reader *reader = NEW(struct reader);

    reader->bed = bed;
    bed->stream_count++;
    ring_init(&reader->ring);
    ring_append(&bed->streams, &reader->ring);
    http_reply_header(request, "Cache-Control", "no-store");
    reader->stream =
        http_stream_start(request, "text/event-stream", on_next, on_reader_gone, reader);
    return reader;
}

static void on_stream(struct http_request *request, void *data)
{
    (void)start_reader(request, data);
}

static void on_flood(struct http_request *request, void *data)
{
    start_reader(request, data)->is_flood = true;
}

static void on_stream_late(struct http_request *request, void *data)
{
    struct bed *bed = data;

    while (!ring_is_empty(&bed->waiting)) {
        struct pending *pending = CONTAINER_OF(bed->waiting.next, struct pending, ring);

        (void)start_reader(pending->request, bed);
        pending_free(pending);
    }
    http_reply_empty(request, 204);
}

static void push(struct bed *bed, const char *bytes, size_t n, bool is_end)
{
    for (struct ring *i = bed->streams.next; i != &bed->streams; i = i->next) {
        struct reader *reader = CONTAINER_OF(i, struct reader, ring);

        strbuf_add(&reader->text, bytes, n);
        reader->is_ending |= is_end;
        http_stream_wake(reader->stream);
        http_stream_wake(reader->stream); /* twice is once */
    }
}

static void on_push(struct http_request *request, void *data)
{
    size_t n;
    const char *bytes = http_request_body(request, &n);

    push(data, bytes, n, false);
    http_reply_empty(request, 204);
}

static void on_end(struct http_request *request, void *data)
{
    size_t n;
    const char *bytes = http_request_body(request, &n);

    push(data, bytes, n, true);
    http_reply_empty(request, 204);
}

static void on_state(struct http_request *request, void *data)
{
    struct bed *bed = data;
    AUTO_FREE char *text =
        mem_printf("waiting=%u streams=%u gone=%u done=%u status=%u last=", bed->waiting_count,
                   bed->stream_count, bed->gone_count, bed->done_count, bed->last_status);

    http_reply_text(request, 200, "text/plain", text);
}

static void on_drain(struct http_request *request, void *data)
{
    struct bed *bed = data;

    http_server_drain(bed->server);
    http_reply_empty(request, 204);
}

static void on_done(void *data, int route, unsigned int status)
{
    struct bed *bed = data;

    bed->done_count++;
    bed->last_status = status;
}

/* Whom the server takes the client for, and how often it has looked on this connection. */
static void on_who(struct http_request *request, void *data)
{
    struct tls_der chain[TLS_CHAIN_MAX];
    size_t count = http_request_certificates(request, chain);
    unsigned int *looks = http_connection_note(request);
    AUTO_FREE char *text = NULL;

    if (!looks) {
        looks = NEW(unsigned int);
        http_connection_set_note(request, looks, free);
    }
    text = mem_printf("certificates=%zu bytes=%zu looks=%u", count, count > 0 ? chain[0].n : 0,
                      ++*looks);
    http_reply_text(request, 200, "text/plain", text);
}

/* From now on there is another certificate. */
static void on_renew(struct http_request *request, void *data)
{
    struct bed *bed = data;
    struct http_tls_config tls = {bed->identity.cert_file, bed->identity.key_file};
    struct http_tls_config none = {"/nowhere", "/nowhere"};

    assert_int_equal(http_server_set_tls(bed->server, &none), -ENOENT);
    bed_identity_deinit(&bed->identity);
    bed_identity_init(&bed->identity, "bed-2");
    tls = (struct http_tls_config){bed->identity.cert_file, bed->identity.key_file};
    assert_int_equal(http_server_set_tls(bed->server, &tls), 0);
    http_reply_empty(request, 204);
}

static const struct http_route routes[] = {
    {"GET", "/echo/:word", on_echo_word},
    {"POST", "/echo", on_echo},
    {"GET", "/shared", on_shared},
    {"GET", "/common", on_common},
    {"GET", "/large", on_large},
    {"GET", "/bad-detail", on_bad_detail},
    {"GET", "/busy", on_busy},
    {"GET", "/later", on_later},
    {"GET", "/vouch", on_vouch},
    {"POST", "/answer", on_answer},
    {"GET", "/stream", on_stream},
    {"GET", "/flood", on_flood},
    {"POST", "/stream-late", on_stream_late},
    {"POST", "/push", on_push},
    {"POST", "/end", on_end},
    {"GET", "/state", on_state},
    {"POST", "/drain", on_drain},
    {"GET", "/who", on_who},
    {"POST", "/renew", on_renew},
};

/* ---- its life -------------------------------------------------------------------------------- */

static void on_mail(void *data, uint32_t events)
{
    struct bed *bed = data;

    loop_exit(bed->loop, 0);
}

static void *run(void *data)
{
    struct bed *bed = data;

    (void)loop_run(bed->loop);
    return NULL;
}

bool bed_speaks_tls;
const struct http_tls_config *bed_shows;

struct bed *bed_start(const struct bed_limits *limits)
{
    struct bed *bed = NEW(struct bed);
    struct http_tls_config tls;
    struct http_server_config config = {.addr = INADDR_LOOPBACK,
                                        .routes = routes,
                                        .route_count = ARRAY_LEN(routes),
                                        .data = bed,
                                        .on_done = on_done};

    if (limits) {
        config.max_connections = limits->max_connections;
        config.max_per_address = limits->max_per_address;
        config.idle_timeout_s = limits->idle_timeout_s;
    }
    if (bed_speaks_tls && bed_shows) {
        config.tls = bed_shows;
    } else if (bed_speaks_tls) {
        bed_identity_init(&bed->identity, "bed");
        tls = (struct http_tls_config){bed->identity.cert_file, bed->identity.key_file};
        config.tls = &tls;
    }
    ring_init(&bed->waiting);
    ring_init(&bed->streams);
    assert_int_equal(loop_new(&bed->loop), 0);
    assert_int_equal(http_server_new(bed->loop, &config, &bed->server), 0);
    assert_int_equal(mailbox_new(&bed->mailbox), 0);
    assert_int_equal(
        loop_add_io(bed->loop, mailbox_fd(bed->mailbox), EPOLLIN, on_mail, bed, &bed->mail_io), 0);
    assert_int_equal(pthread_create(&bed->thread, NULL, run, bed), 0);
    return bed;
}

void bed_stop(struct bed *bed, unsigned int *ret_gone)
{
    mailbox_push(bed->mailbox, &bed->stop);
    assert_int_equal(pthread_join(bed->thread, NULL), 0);
    http_server_free(bed->server);
    http_body_unref(bed->common);
    if (ret_gone)
        *ret_gone = bed->gone_count;
    assert_int_equal(bed->stream_count, 0);
    assert_int_equal(bed->waiting_count, 0);
    loop_source_free(bed->mail_io);
    (void)mailbox_take_all(bed->mailbox);
    mailbox_free(bed->mailbox);
    loop_free(bed->loop);
    bed_identity_deinit(&bed->identity);
    free(bed);
}

uint16_t bed_port(const struct bed *bed)
{
    return http_server_port(bed->server);
}
