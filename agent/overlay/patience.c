/* How often one object may be repaired. */
#include "agent/overlay/patience.h"

#define FREE_REPAIRS 10
#define DECAY_MS 2000 /* one repair is forgotten */
#define WAIT_BASE_MS 100
#define WAIT_MAX_MS 5000
#define WAIT_DOUBLINGS_MAX 6
#define QUIET_MS 60000

static void forget(struct patience *patience, struct patience_entry *entry)
{
    HASH_DEL(patience->by_key, entry);
    free(entry);
}

void patience_deinit(struct patience *patience)
{
    struct patience_entry *entry, *next;

    HASH_ITER (hh, patience->by_key, entry, next)
        forget(patience, entry);
}

static uint64_t key_of(const struct overlay_change *change)
{
    uint64_t what =
        change->object == OVERLAY_FDB ? overlay_mac_key(change->mac) : (uint64_t)change->addr;

    return (uint64_t)change->object << 56 | what;
}

static struct patience_entry *get(struct patience *patience, uint64_t key, int64_t now_ms)
{
    struct patience_entry *entry;

    HASH_FIND(hh, patience->by_key, &key, sizeof key, entry);
    if (entry)
        return entry;
    entry = NEW(struct patience_entry);
    entry->key = key;
    entry->last_ms = now_ms;
    HASH_ADD(hh, patience->by_key, key, sizeof entry->key, entry);
    return entry;
}

static void decay(struct patience_entry *entry, int64_t now_ms)
{
    int64_t forgotten = (now_ms - entry->last_ms) / DECAY_MS;

    entry->count = forgotten >= entry->count ? 0 : entry->count - (unsigned int)forgotten;
    entry->last_ms = now_ms;
}

static int64_t pause_ms(unsigned int count)
{
    unsigned int doublings = count - FREE_REPAIRS - 1;
    int64_t wait_ms = WAIT_BASE_MS
                      << (doublings < WAIT_DOUBLINGS_MAX ? doublings : WAIT_DOUBLINGS_MAX);

    return wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS;
}

enum patience_answer patience_ask(struct patience *patience, const struct overlay_change *change,
                                  int64_t now_ms, int64_t *ret_due_ms)
{
    struct patience_entry *entry = get(patience, key_of(change), now_ms);

    if (now_ms < entry->wait_until_ms) {
        *ret_due_ms = entry->wait_until_ms;
        return PATIENCE_WAIT;
    }
    /* The wait itself is not a time of peace. */
    if (entry->wait_until_ms > entry->last_ms)
        entry->last_ms = entry->wait_until_ms;
    decay(entry, now_ms);
    entry->count++;
    if (entry->count <= FREE_REPAIRS)
        return PATIENCE_GO;
    entry->wait_until_ms = now_ms + pause_ms(entry->count);
    return entry->count == FREE_REPAIRS + 1 ? PATIENCE_FIGHT : PATIENCE_GO;
}

void patience_prune(struct patience *patience, int64_t now_ms)
{
    struct patience_entry *entry, *next;

    HASH_ITER (hh, patience->by_key, entry, next)
        if (now_ms - entry->last_ms > QUIET_MS)
            forget(patience, entry);
}
