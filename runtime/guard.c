/* Patience, and the last failure, for each object. */
#include "runtime/guard.h"

#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"

struct guard_entry {
    char *key;
    char *error; /* NULL: the last repair worked */
    struct patience patience;
    bool is_held_back;
    UT_hash_handle hh;
};

static struct guard_entry *find(const struct guard *guard, const char *key)
{
    struct guard_entry *entry;

    HASH_FIND_STR(guard->entries, key, entry);
    return entry;
}

static void drop(struct guard *guard, struct guard_entry *entry)
{
    HASH_DEL(guard->entries, entry);
    free(entry->key);
    free(entry->error);
    free(entry);
}

void guard_deinit(struct guard *guard)
{
    struct guard_entry *entry, *next;

    HASH_ITER (hh, guard->entries, entry, next)
        drop(guard, entry);
}

bool guard_allows(const struct guard *guard, const char *key, int64_t now_ms)
{
    struct guard_entry *entry = find(guard, key);

    if (!entry || patience_allows(&entry->patience, now_ms))
        return true;
    entry->is_held_back = true;
    return false;
}

static struct guard_entry *find_or_add(struct guard *guard, const char *key)
{
    struct guard_entry *entry = find(guard, key);

    if (entry)
        return entry;
    entry = NEW(struct guard_entry);
    entry->key = mem_strdup(key);
    HASH_ADD_KEYPTR(hh, guard->entries, entry->key, strlen(entry->key), entry);
    return entry;
}

bool guard_note(struct guard *guard, const char *key, const char *error, int64_t now_ms)
{
    struct guard_entry *entry = find_or_add(guard, key);
    bool is_new = error && (!entry->error || strcmp(entry->error, error) != 0);

    (void)patience_note(&entry->patience, now_ms);
    entry->is_held_back = false;
    free(entry->error);
    entry->error = error ? mem_strdup(error) : NULL;
    return is_new;
}

void guard_settle(struct guard *guard, const char *key)
{
    struct guard_entry *entry = find(guard, key);

    if (!entry)
        return;
    free(entry->error);
    entry->error = NULL;
    entry->is_held_back = false;
}

static bool is_fought(const struct guard_entry *entry)
{
    return !entry->error && entry->patience.wait_until_ms > entry->patience.last_ms;
}

bool guard_is_fought(const struct guard *guard, const char *key)
{
    const struct guard_entry *entry = find(guard, key);

    return entry && is_fought(entry);
}

const char *guard_error(const struct guard *guard, const char *key)
{
    const struct guard_entry *entry = find(guard, key);

    return entry ? entry->error : NULL;
}

int64_t guard_next_ms(const struct guard *guard)
{
    int64_t next_ms = INT64_MAX;
    const struct guard_entry *entry;

    for (entry = guard->entries; entry; entry = entry->hh.next) {
        int64_t due_ms = entry->patience.wait_until_ms;

        if (!entry->error && !entry->is_held_back)
            continue;
        /* What failed is tried again without an event too, but not in a busy loop. */
        if (entry->error && due_ms < entry->patience.last_ms + GUARD_RETRY_MS)
            due_ms = entry->patience.last_ms + GUARD_RETRY_MS;
        if (due_ms < next_ms)
            next_ms = due_ms;
    }
    return next_ms;
}

void guard_sweep(struct guard *guard, int64_t now_ms)
{
    struct guard_entry *entry, *next;

    HASH_ITER (hh, guard->entries, entry, next) {
        if (!entry->error && patience_is_over(&entry->patience, now_ms))
            drop(guard, entry);
    }
}

void guard_each_error(const struct guard *guard,
                      void (*fn)(const char *key, const char *error, void *data), void *data)
{
    for (const struct guard_entry *entry = guard->entries; entry; entry = entry->hh.next) {
        if (entry->error)
            fn(entry->key, entry->error, data);
        else if (is_fought(entry))
            fn(entry->key, GUARD_FOUGHT_TEXT, data);
    }
}
