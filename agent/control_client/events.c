/* The bytes of a watch, understood. */
#include "agent/control_client/events.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/http/sse.h"

/* 10,000 nodes need some 3 MiB. */
#define WATCH_BYTES_MAX (16u * 1024 * 1024)

enum form { FORM_UNKNOWN, FORM_STREAM, FORM_LIST };

struct control_events {
    control_event_fn fn;
    void *data;
    enum form form;
    struct sse_parser parser;
    struct strbuf list;
    int failure;        /* of an event, carried through the parser, */
    char *failure_text; /* with its words; owned */
};

struct control_events *control_events_new(control_event_fn fn, void *data)
{
    struct control_events *e = NEW(struct control_events);

    e->fn = fn;
    e->data = data;
    sse_parser_init(&e->parser, WATCH_BYTES_MAX);
    return e;
}

void control_events_free(struct control_events *e)
{
    if (!e)
        return;
    sse_parser_deinit(&e->parser);
    strbuf_deinit(&e->list);
    free(e->failure_text);
    free(e);
}

static bool hand_out(struct control_events *e, const struct sse_event *sse,
                     struct control_event event)
{
    /* An id that is no number is no revision, and then there is none. */
    if (event.origin.revision == 0 && parse_u64(sse->id, INT64_MAX, &event.origin.revision) < 0)
        event.origin.revision = 0;
    if (strlen(sse->id) < sizeof event.id)
        memcpy(event.id, sse->id, strlen(sse->id) + 1);
    return e->fn(&event, e->data);
}

static int take_snapshot(struct control_events *e, const struct sse_event *sse, const json_t *value,
                         bool *ret_go_on)
{
    AUTO_FREE struct api_node *nodes = NULL;
    size_t count;
    struct api_origin origin;
    int r = api_node_list_from_json(value, &nodes, &count);

    if (r == 0)
        r = api_origin_from_json(value, &origin);
    if (r == 0)
        *ret_go_on = hand_out(e, sse,
                              (struct control_event){.kind = CONTROL_EVENT_SNAPSHOT,
                                                     .nodes = nodes,
                                                     .node_count = count,
                                                     .origin = origin});
    return r;
}

static int take_node(struct control_events *e, const struct sse_event *sse, const json_t *value,
                     bool *ret_go_on)
{
    struct api_node node;
    int r = api_node_from_json(value, &node);

    if (r == 0)
        *ret_go_on = hand_out(
            e, sse,
            (struct control_event){.kind = CONTROL_EVENT_NODE, .nodes = &node, .node_count = 1});
    return r;
}

static int take_deleted(struct control_events *e, const struct sse_event *sse, const json_t *value,
                        bool *ret_go_on)
{
    const char *node_id;
    int r = json_get_string(value, "node_id", &node_id);

    if (r == 0)
        *ret_go_on = hand_out(
            e, sse, (struct control_event){.kind = CONTROL_EVENT_DELETED, .node_id = node_id});
    return r;
}

static int take_bookmark(struct control_events *e, const struct sse_event *sse, const json_t *value,
                         bool *ret_go_on)
{
    *ret_go_on = hand_out(e, sse, (struct control_event){.kind = CONTROL_EVENT_BOOKMARK});
    return 0;
}

static const struct {
    const char *type;
    int (*take)(struct control_events *, const struct sse_event *, const json_t *, bool *);
} kinds[] = {
    {"snapshot", take_snapshot},
    {"node", take_node},
    {"node-deleted", take_deleted},
    {"bookmark", take_bookmark},
};

static void note_failure(struct control_events *e, int r)
{
    e->failure = r;
    free(e->failure_text);
    e->failure_text = mem_strdup(err_text());
}

static bool on_sse(const struct sse_event *sse, void *data)
{
    struct control_events *e = data;
    AUTO_JSON json_t *value = NULL;
    bool go_on = true;
    int r = 0;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].type, sse->type) != 0)
            continue;
        r = json_parse(sse->data, sse->data_len, &value);
        if (r == 0)
            r = kinds[i].take(e, sse, value, &go_on);
        if (r < 0)
            note_failure(e, err_wrap(r, "event '%s' is unusable", sse->type));
    }
    return r == 0 && go_on;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* No line of an event stream that anybody sends begins like a JSON value does. */
static void find_form(struct control_events *e, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && e->form == FORM_UNKNOWN; i++) {
        if (!is_blank(bytes[i]))
            e->form = bytes[i] == '{' || bytes[i] == '[' ? FORM_LIST : FORM_STREAM;
    }
}

static int feed_list(struct control_events *e, const char *bytes, size_t n)
{
    if (n > WATCH_BYTES_MAX - e->list.len)
        return err_fail(EMSGSIZE, "the list is over %u bytes", WATCH_BYTES_MAX);
    strbuf_add(&e->list, bytes, n);
    return 0;
}

int control_events_feed(struct control_events *e, const char *bytes, size_t n)
{
    int r;

    if (e->form == FORM_UNKNOWN)
        find_form(e, bytes, n);
    if (e->form == FORM_LIST)
        return feed_list(e, bytes, n);
    r = sse_parser_feed(&e->parser, bytes, n, on_sse, e);
    if (r == -ECANCELED)
        return e->failure < 0 ? err_fail(-e->failure, "%s", e->failure_text) : r;
    return r;
}

bool control_events_is_list(const struct control_events *e)
{
    return e->form == FORM_LIST;
}

const char *control_events_list(const struct control_events *e, size_t *ret_n)
{
    *ret_n = e->list.len;
    return e->list.data ? e->list.data : "";
}
