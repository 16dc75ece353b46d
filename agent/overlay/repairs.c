/* Patience for each object of the overlay. */
#include "agent/overlay/repairs.h"

static void forget(struct repairs *repairs, struct repairs_entry *entry)
{
    HASH_DEL(repairs->by_key, entry);
    free(entry);
}

void repairs_deinit(struct repairs *repairs)
{
    struct repairs_entry *entry, *next;

    HASH_ITER (hh, repairs->by_key, entry, next)
        forget(repairs, entry);
}

static uint64_t key_of(const struct overlay_change *change)
{
    uint64_t what =
        change->object == OVERLAY_FDB ? overlay_mac_key(change->mac) : (uint64_t)change->addr;

    return (uint64_t)change->object << 56 | what;
}

static struct patience *get(struct repairs *repairs, uint64_t key)
{
    struct repairs_entry *entry;

    HASH_FIND(hh, repairs->by_key, &key, sizeof key, entry);
    if (entry)
        return &entry->patience;
    entry = NEW(struct repairs_entry);
    entry->key = key;
    HASH_ADD(hh, repairs->by_key, key, sizeof entry->key, entry);
    return &entry->patience;
}

enum repairs_answer repairs_ask(struct repairs *repairs, const struct overlay_change *change,
                                int64_t now_ms, int64_t *ret_due_ms)
{
    struct patience *patience = get(repairs, key_of(change));

    if (!patience_allows(patience, now_ms)) {
        *ret_due_ms = patience->wait_until_ms;
        return REPAIRS_WAIT;
    }
    if (patience_note(patience, now_ms))
        return REPAIRS_FIGHT;
    return patience_allows(patience, now_ms) ? REPAIRS_GO : REPAIRS_FIGHT_ON;
}

void repairs_prune(struct repairs *repairs, int64_t now_ms)
{
    struct repairs_entry *entry, *next;

    HASH_ITER (hh, repairs->by_key, entry, next)
        if (patience_is_over(&entry->patience, now_ms))
            forget(repairs, entry);
}
