/* The latest changes, encoded once, in a ring. */
#include "control/services/events.h"

#include <inttypes.h>
#include <string.h>

void events_init(struct events *e, size_t size, uint64_t revision)
{
    *e = (struct events){.size = size, .base_revision = revision};
    e->ring = mem_zalloc(size * sizeof *e->ring);
}

void events_deinit(struct events *e)
{
    for (size_t i = 0; i < e->size; i++) {
        if (e->ring[i].body)
            http_body_unref(e->ring[i].body);
    }
    http_body_unref(e->joint.body);
    free(e->ring);
    *e = (struct events){0};
}

/* The number of the oldest event in the ring. */
static uint64_t first(const struct events *e)
{
    return e->next > e->size ? e->next - e->size : 0;
}

static struct event *at(const struct events *e, uint64_t number)
{
    return &e->ring[number % e->size];
}

static struct http_body *body_take(struct strbuf *text)
{
    size_t n = text->len;

    return http_body_take(strbuf_take(text), n);
}

static void add(struct events *e, uint64_t revision, struct strbuf *text)
{
    struct event *event = at(e, e->next++);

    if (event->body) {
        e->base_revision = event->revision;
        http_body_unref(event->body);
    }
    *event = (struct event){revision, body_take(text)};
}

void events_add_node(struct events *e, uint64_t revision, const struct node *node)
{
    struct strbuf text = {0};

    strbuf_addf(&text, "event: node\nid: %" PRIu64 "\ndata: ", revision);
    strbuf_add(&text, node->json, node->json_len);
    strbuf_adds(&text, "\n\n");
    add(e, revision, &text);
}

void events_add_deletion(struct events *e, uint64_t revision, const char *node_id)
{
    struct strbuf text = {0};

    strbuf_addf(&text, "event: node-deleted\nid: %" PRIu64 "\ndata: {\"node_id\":\"%s\"}\n\n",
                revision, node_id);
    add(e, revision, &text);
}

bool events_seek(const struct events *e, uint64_t revision, uint64_t present, uint64_t *ret_place)
{
    uint64_t low = first(e), high = e->next;

    if (revision < e->base_revision || revision > present)
        return false;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (at(e, middle)->revision <= revision)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_place = low;
    return true;
}

enum events_outcome events_next(const struct events *e, uint64_t *place,
                                struct http_body **ret_body)
{
    if (*place < first(e))
        return EVENTS_LOST;
    if (*place >= e->next)
        return EVENTS_END;
    *ret_body = at(e, (*place)++)->body;
    return EVENTS_ONE;
}

static void join(struct events *e, uint64_t from, uint64_t end)
{
    struct strbuf text = {0};

    for (uint64_t number = from; number < end; number++) {
        const struct http_body *body = at(e, number)->body;

        strbuf_add(&text, http_body_bytes(body), http_body_len(body));
    }
    http_body_unref(e->joint.body);
    e->joint = (struct events_joint){body_take(&text), from, end};
}

enum events_outcome events_next_few(struct events *e, uint64_t *place, struct http_body **ret_body)
{
    uint64_t from = *place;
    uint64_t end = e->next > from + EVENTS_JOINED ? from + EVENTS_JOINED : e->next;

    if (from < first(e) || end <= from + 1)
        return events_next(e, place, ret_body);
    if (!e->joint.body || e->joint.first != from || e->joint.end != end)
        join(e, from, end);
    *ret_body = e->joint.body;
    *place = end;
    return EVENTS_ONE;
}

struct http_body *events_make_snapshot(const struct registry *registry)
{
    struct strbuf text = {0};

    strbuf_addf(&text, "event: snapshot\nid: %" PRIu64 "\ndata: ", registry->revision);
    registry_list_to_json(registry, &text);
    strbuf_adds(&text, "\n\n");
    return body_take(&text);
}
