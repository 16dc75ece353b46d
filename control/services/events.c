/* The latest changes, encoded once, in a ring. */
#include "control/services/events.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/error.h"

#define HEAD_BYTES 64 /* of an event: more than what stands before its data and behind */

static const char *const kind_words[] = {
    [EVENT_NODE] = "node",
    [EVENT_RESERVATION] = "reservation",
};
static_assert(ARRAY_LEN(kind_words) == EVENT_KIND_COUNT, "each kind has its word");

void events_init(struct events *e, size_t size, size_t bytes_max, uint64_t revision)
{
    *e = (struct events){.size = size, .bytes_max = bytes_max, .base_revision = revision};
    e->ring = mem_zalloc(size * sizeof *e->ring);
}

static struct event *at(const struct events *e, uint64_t number)
{
    return &e->ring[number % e->size];
}

static void drop_first(struct events *e)
{
    struct event *event = at(e, e->first++);

    e->base_revision = event->revision;
    e->bytes -= http_body_len(event->body);
    http_body_unref(TAKE_PTR(event->body));
}

void events_deinit(struct events *e)
{
    while (e->first < e->next)
        drop_first(e);
    for (size_t i = 0; i < ARRAY_LEN(e->joints); i++)
        http_body_unref(e->joints[i].body);
    free(e->ring);
    *e = (struct events){0};
}

/* ---- kinds --------------------------------------------------------------------------------- */

static int fail_kind(const char *word, size_t n)
{
    AUTO_STRBUF struct strbuf words = {0};

    for (size_t i = 0; i < ARRAY_LEN(kind_words); i++)
        strbuf_addf(&words, "%s%s", i > 0 ? ", " : "", kind_words[i]);
    return err_fail(EINVAL, "kind: '%.*s' is no kind of event; there are %s",
                    (int)(n < 64 ? n : 64), word, words.data);
}

static int parse_kind(const char *word, size_t n, unsigned int *kinds)
{
    for (size_t i = 0; i < ARRAY_LEN(kind_words); i++) {
        if (strlen(kind_words[i]) != n || memcmp(kind_words[i], word, n) != 0)
            continue;
        *kinds |= EVENT_BIT(i);
        return 0;
    }
    return fail_kind(word, n);
}

int events_parse_kinds(const char *text, unsigned int *ret_kinds)
{
    unsigned int kinds = 0;

    for (;;) {
        size_t n = strcspn(text, ",");
        int r = parse_kind(text, n, &kinds);

        if (r < 0)
            return r;
        if (text[n] == '\0')
            break;
        text += n + 1;
    }
    *ret_kinds = kinds;
    return 0;
}

/* ---- what happened ------------------------------------------------------------------------- */

static struct http_body *body_take(struct strbuf *text)
{
    size_t n = text->len;

    return http_body_take(strbuf_take(text), n);
}

static void add(struct events *e, enum event_kind kind, uint64_t revision, struct strbuf *text)
{
    if (e->next - e->first == e->size)
        drop_first(e);
    e->bytes += text->len;
    *at(e, e->next++) = (struct event){revision, kind, body_take(text)};
    while (e->bytes > e->bytes_max && e->next - e->first > 1)
        drop_first(e);
}

static void begin(struct strbuf *text, const char *type, uint64_t revision)
{
    strbuf_adds(text, "event: ");
    strbuf_adds(text, type);
    strbuf_adds(text, "\nid: ");
    strbuf_add_u64(text, revision);
    strbuf_adds(text, "\ndata: ");
}

void events_add_node(struct events *e, uint64_t revision, const struct node *node)
{
    struct strbuf text = {0};

    strbuf_reserve(&text, node->json_len + HEAD_BYTES);
    begin(&text, "node", revision);
    strbuf_add(&text, node->json, node->json_len);
    strbuf_adds(&text, "\n\n");
    add(e, EVENT_NODE, revision, &text);
}

void events_add_deletion(struct events *e, uint64_t revision, const char *node_id)
{
    struct strbuf text = {0};

    begin(&text, "node-deleted", revision);
    strbuf_addf(&text, "{\"node_id\":\"%s\"}\n\n", node_id);
    add(e, EVENT_NODE, revision, &text);
}

static void add_reservation(struct events *e, const char *type, uint64_t revision,
                            const struct api_reservation *reservation)
{
    struct strbuf text = {0};

    begin(&text, type, revision);
    api_reservation_to_json(reservation, &text);
    strbuf_adds(&text, "\n\n");
    add(e, EVENT_RESERVATION, revision, &text);
}

void events_add_reservation(struct events *e, uint64_t revision,
                            const struct api_reservation *reservation)
{
    add_reservation(e, "reservation", revision, reservation);
}

void events_add_unreservation(struct events *e, uint64_t revision,
                              const struct api_reservation *reservation)
{
    add_reservation(e, "reservation-deleted", revision, reservation);
}

/* ---- followers ----------------------------------------------------------------------------- */

bool events_seek(const struct events *e, uint64_t revision, uint64_t present, uint64_t *ret_place)
{
    uint64_t low = e->first, high = e->next;

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

static bool is_wanted(const struct event *event, unsigned int kinds)
{
    return kinds & EVENT_BIT(event->kind);
}

/* The end of those from a place on that go into one piece; *ret_count: the wanted among them, and
 * *ret_last the latest of these. */
static uint64_t find_end(const struct events *e, unsigned int kinds, uint64_t from,
                         size_t *ret_count, uint64_t *ret_last)
{
    uint64_t number = from;

    *ret_count = 0;
    for (; number < e->next && *ret_count < EVENTS_JOINED; number++) {
        if (!is_wanted(at(e, number), kinds))
            continue;
        *ret_last = number;
        (*ret_count)++;
    }
    return number;
}

static void join(const struct events *e, unsigned int kinds, struct events_joint *joint)
{
    struct strbuf text = {0};

    for (uint64_t number = joint->first; number < joint->end; number++) {
        const struct event *event = at(e, number);

        if (is_wanted(event, kinds))
            strbuf_add(&text, http_body_bytes(event->body), http_body_len(event->body));
    }
    http_body_unref(joint->body);
    joint->body = body_take(&text);
}

enum events_outcome events_next(struct events *e, unsigned int kinds, uint64_t *place,
                                struct http_body **ret_body)
{
    struct events_joint *joint = &e->joints[kinds];
    uint64_t from = *place, last = 0;
    size_t count;

    if (from < e->first)
        return EVENTS_LOST;
    *place = find_end(e, kinds, from, &count, &last);
    if (count == 0)
        return EVENTS_END;
    if (count == 1) {
        *ret_body = at(e, last)->body;
        return EVENTS_ONE;
    }
    if (!joint->body || joint->first != from || joint->end != *place) {
        joint->first = from;
        joint->end = *place;
        join(e, kinds, joint);
    }
    *ret_body = joint->body;
    return EVENTS_ONE;
}

struct http_body *events_make_snapshot(const struct registry *registry, unsigned int kinds)
{
    struct strbuf text = {0};

    begin(&text, "snapshot", registry->revision);
    strbuf_adds(&text, "{");
    if (kinds & EVENT_BIT(EVENT_NODE))
        registry_add_nodes(registry, &text);
    if (kinds & EVENT_BIT(EVENT_RESERVATION))
        registry_add_reservations(registry, &text);
    registry_add_origin(registry, &text);
    strbuf_adds(&text, "}\n\n");
    return body_take(&text);
}

struct http_body *events_make_bookmark(uint64_t revision)
{
    struct strbuf text = {0};

    strbuf_addf(&text,
                ": still here\n\n"
                "event: bookmark\ndata: {\"revision\":%" PRIu64 "}\nid: %" PRIu64 "\n\n",
                revision, revision);
    return body_take(&text);
}
