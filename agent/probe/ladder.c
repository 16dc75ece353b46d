/* The largest packet that gets through. */
#include "agent/probe/ladder.h"

/* Where every third packet is lost, so many in a row are in one search of two hundred. */
#define TRIES 8
#define TRY_MS 150
/* Of the small ones beside them at least one in so many must be answered. */
#define ANSWERED_SHARE 4
/* Nearer than this to what fails is near enough. */
#define STEP_BYTES 4
#define REST_MS 10000

static void begin(struct ladder *l, int64_t at_ms)
{
    l->passed_bytes = LADDER_FLOOR_BYTES;
    l->failed_bytes = l->top_bytes + 1;
    l->tries = l->heard = 0;
    l->next_ms = at_ms;
}

static void rest(struct ladder *l, int64_t now_ms)
{
    begin(l, now_ms + REST_MS);
    l->found_bytes = 0;
    l->is_searching = false;
}

void ladder_set_top(struct ladder *l, uint32_t top_bytes, int64_t now_ms)
{
    if (l->top_bytes == top_bytes)
        return;
    *l = (struct ladder){.top_bytes = top_bytes};
    begin(l, now_ms);
}

/* What passed last time comes first where that is short, so that it is known soon if less does. */
static uint32_t size_at_hand(const struct ladder *l)
{
    if (l->found_bytes == 0 && ladder_is_short(l) && l->passed_bytes < l->largest_bytes &&
        l->failed_bytes > l->largest_bytes)
        return l->largest_bytes;
    if (l->failed_bytes > l->top_bytes)
        return l->top_bytes;
    return l->passed_bytes + (l->failed_bytes - l->passed_bytes) / 2;
}

static void tell(struct ladder *l, uint32_t bytes, int64_t now_ms)
{
    l->largest_bytes = bytes;
    rest(l, now_ms);
}

/* As much as was told, or more, is believed at once: it has passed. */
static void end(struct ladder *l, int64_t now_ms)
{
    uint32_t found = l->passed_bytes;

    if (found >= l->top_bytes || (l->largest_bytes > 0 && found >= l->largest_bytes)) {
        tell(l, found, now_ms);
        return;
    }
    begin(l, now_ms);
    l->found_bytes = found;
}

static bool is_found(const struct ladder *l)
{
    if (l->passed_bytes >= l->top_bytes)
        return true;
    return l->failed_bytes <= l->top_bytes && l->failed_bytes - l->passed_bytes <= STEP_BYTES;
}

/* Who does not answer small ones either, as while its agent is away, tells nothing of sizes. */
static void give_size_up(struct ladder *l, int64_t now_ms)
{
    if (ANSWERED_SHARE * l->heard < l->tries) {
        rest(l, now_ms);
    } else if (l->found_bytes > 0) {
        tell(l, l->found_bytes, now_ms);
    } else {
        l->failed_bytes = size_at_hand(l);
        l->tries = l->heard = 0;
        if (is_found(l))
            end(l, now_ms);
    }
}

uint32_t ladder_try(struct ladder *l, bool may_search, int64_t now_ms)
{
    if (l->top_bytes <= LADDER_FLOOR_BYTES || now_ms < l->next_ms)
        return 0;
    if (l->tries > 0 && !l->is_searching) {
        if (!may_search)
            return 0;
        l->is_searching = true;
    }
    if (l->tries == TRIES)
        give_size_up(l, now_ms);
    if (now_ms < l->next_ms)
        return 0;
    l->tries++;
    l->next_ms = now_ms + TRY_MS;
    return size_at_hand(l);
}

int64_t ladder_due_ms(const struct ladder *l, bool may_search)
{
    return l->is_searching || (l->tries > 0 && may_search) ? l->next_ms : INT64_MAX;
}

void ladder_passed(struct ladder *l, uint32_t bytes, int64_t now_ms)
{
    if (bytes <= l->passed_bytes || bytes > l->top_bytes ||
        (l->found_bytes > 0 && bytes < l->top_bytes))
        return;
    if (bytes >= l->failed_bytes)
        l->failed_bytes = l->top_bytes + 1;
    l->passed_bytes = bytes;
    l->tries = l->heard = 0;
    l->next_ms = now_ms;
    if (is_found(l))
        end(l, now_ms);
}

void ladder_heard(struct ladder *l)
{
    l->heard += l->tries > 0;
}

bool ladder_is_short(const struct ladder *l)
{
    return l->largest_bytes > 0 && l->largest_bytes < l->top_bytes;
}
