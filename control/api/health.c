/* Whether the control plane can do its work. */
#include "control/api/health.h"

#include "control/api/answer.h"
#include "control/control.h"
#include "lib/base/clock.h"
#include "lib/base/list.h"

#define PROBE_SHARE_MS 1000
#define PROBE_LIMIT_MS 3000

/* A request that waits for the probe. */
struct health_question {
    struct health *health;
    struct http_request *request;
    void (*answer)(struct http_request *request, const struct control *control);
    struct health_question *prev, *next;
};

static const char cannot_write[] =
    "the store cannot take a write: no room; the control plane's log says where";
static const char too_slow[] = "the store has not answered in time";

/* ---- answers ------------------------------------------------------------------------------- */

static void answer_health(struct http_request *request, const struct control *c)
{
    if (c->health.can_write)
        http_reply_json(request, 200, "{\"status\":\"ok\"}");
    else
        http_reply_problem(request, 503, "%s", cannot_write);
}

static void write_doubt(const struct control *c, struct strbuf *out)
{
    const struct monitor *monitor = &c->registry.monitor;

    strbuf_addf(out, ",\"doubt\":%s", monitor->is_doubting ? "true" : "false");
    if (monitor->is_doubting)
        strbuf_addf(out,
                    ",\"detail\":\"%zu of %zu live nodes have fallen silent together: the control "
                    "plane doubts its own connection and marks nobody down\"",
                    monitor_count_silent(monitor, clock_boot_ms()), monitor->count);
}

static void answer_ready(struct http_request *request, const struct control *c)
{
    AUTO_STRBUF struct strbuf out = {0};

    if (!c->health.can_write) {
        http_reply_problem(request, 503, "%s", cannot_write);
        return;
    }
    strbuf_addf(&out,
                "{\"status\":\"ok\",\"nodes\":%zu,\"nodes_up\":%zu,\"nodes_unknown\":%zu,"
                "\"revision\":%llu",
                c->registry.count, c->registry.up_count, c->registry.unknown_count,
                (unsigned long long)c->registry.revision);
    write_doubt(c, &out);
    strbuf_adds(&out, "}");
    http_reply_json(request, 200, out.data);
}

/* ---- the probe ----------------------------------------------------------------------------- */

static void question_free(struct health *h, struct health_question *q)
{
    DL_DELETE(h->questions, q);
    free(q);
}

static void on_gone(void *data)
{
    struct health_question *q = data;

    question_free(q->health, q);
}

static void on_outcome(struct store_change *probe, void *data)
{
    struct health *h = CONTAINER_OF(probe, struct health, probe);

    h->is_under_way = false;
    h->is_known = true;
    h->can_write = h->probe.outcome == STORE_DONE;
    control_note_room(h->control, h->probe.outcome);
    h->known_ms = clock_boot_ms();
    loop_timer_disarm(h->limit);
    while (h->questions) {
        h->questions->answer(h->questions->request, h->control);
        question_free(h, h->questions);
    }
}

static void on_limit(void *data)
{
    struct health *h = data;

    while (h->questions) {
        http_reply_problem(h->questions->request, 503, "%s", too_slow);
        question_free(h, h->questions);
    }
}

static void ask(struct control *c, struct http_request *request,
                void (*answer)(struct http_request *request, const struct control *control))
{
    struct health *h = &c->health;
    struct health_question *q;

    if (answer_if_stopping(request, c))
        return;
    if (!h->is_under_way && h->is_known && clock_boot_ms() - h->known_ms < PROBE_SHARE_MS) {
        answer(request, c);
        return;
    }
    q = NEW(struct health_question);
    *q = (struct health_question){.health = h, .request = request, .answer = answer};
    DL_APPEND(h->questions, q);
    http_request_on_gone(request, on_gone, q);
    if (!loop_timer_is_armed(h->limit))
        loop_timer_set_in(h->limit, PROBE_LIMIT_MS);
    if (!h->is_under_way)
        writer_submit(c->writer, &h->probe);
    h->is_under_way = true;
}

int health_init(struct health *h, struct control *control)
{
    h->control = control;
    h->probe.on_outcome = on_outcome;
    return loop_add_timer(control->daemon.loop, on_limit, h, &h->limit);
}

void health_deinit(struct health *h)
{
    loop_source_free(h->limit);
    *h = (struct health){0};
}

/* ---- handlers ------------------------------------------------------------------------------ */

void health_live(struct http_request *request, void *control)
{
    http_reply_json(request, 200, "{\"status\":\"ok\"}");
}

void health_ready(struct http_request *request, void *control)
{
    ask(control, request, answer_ready);
}

void health_show(struct http_request *request, void *control)
{
    ask(control, request, answer_health);
}
