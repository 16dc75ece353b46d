/* The addresses whose node was revoked or removed. */
#include "control/services/barred.h"

#include "lib/base/error.h"
#include "lib/base/ip4.h"

/* With each new one: more than come, so that they become fewer. */
#define GOING_MAX 2

static struct bar *find(const struct barred *barred, uint32_t address)
{
    struct bar *bar;

    HASH_FIND(by_address, barred->by_address, &address, sizeof address, bar);
    return bar;
}

static struct bar *add(struct barred *barred, uint32_t address, uint64_t revision)
{
    struct bar *bar = NEW(struct bar);

    bar->address = address;
    bar->revision = revision;
    HASH_ADD(by_address, barred->by_address, address, sizeof bar->address, bar);
    barred->count++;
    return bar;
}

static void drop(struct barred *barred, struct bar *bar)
{
    HASH_DELETE(by_address, barred->by_address, bar);
    barred->count--;
    free(bar);
}

void barred_deinit(struct barred *barred)
{
    struct bar *bar, *next;

    HASH_ITER (by_address, barred->by_address, bar, next)
        drop(barred, bar);
}

int barred_load(struct barred *barred, const struct store_record *record)
{
    uint32_t address;

    if (ip4_parse(record->id, &address) < 0) {
        (void)err_wrap(-EINVAL, "stored %s %.32s", BARRED_KIND, record->id);
        return STORE_DAMAGED;
    }
    add(barred, address, record->revision);
    return 0;
}

bool barred_keeps_out(const struct barred *barred, uint32_t address, uint64_t made_revision)
{
    const struct bar *bar = find(barred, address);

    return bar && made_revision < bar->revision;
}

struct registry_change *barred_busy(const struct barred *barred, uint32_t address)
{
    const struct bar *bar = find(barred, address);

    return bar ? bar->change : NULL;
}

static bool may_go(const struct bar *bar, uint32_t address, uint64_t oldest)
{
    return !bar->change && bar->address != address && oldest >= bar->revision;
}

/* NULL: none. */
static struct bar *find_going(const struct barred *barred, uint32_t address, uint64_t oldest)
{
    struct bar *bar, *next;

    HASH_ITER (by_address, barred->by_address, bar, next)
        if (may_go(bar, address, oldest))
            return bar;
    return NULL;
}

bool barred_has_room(const struct barred *barred, uint32_t address, uint64_t oldest)
{
    return barred->count < BARRED_MAX || find(barred, address) ||
           find_going(barred, address, oldest);
}

static void write_end(struct barred *barred, struct store_change *set, struct bar *bar,
                      struct registry_change *change)
{
    char text[IP4_TEXT_SIZE];

    bar->change = change;
    bar->is_going = true;
    store_add_delete(set, BARRED_KIND, ip4_format(bar->address, text), bar->revision);
}

void barred_write(struct barred *barred, struct store_change *set, uint32_t address,
                  uint64_t oldest, struct registry_change *change)
{
    struct bar *bar = find(barred, address), *going;
    char text[IP4_TEXT_SIZE];

    (void)ip4_format(address, text);
    for (int i = 0; i < GOING_MAX && (going = find_going(barred, address, oldest)); i++)
        write_end(barred, set, going, change);
    if (bar) {
        store_add_update(set, BARRED_KIND, text, bar->revision, NULL, mem_strdup("{}"));
    } else {
        bar = add(barred, address, 0);
        store_add_create(set, BARRED_KIND, text, NULL, mem_strdup("{}"));
    }
    bar->change = change;
}

static void decide(struct barred *barred, struct bar *bar, uint64_t revision)
{
    bool is_stored = revision > 0;

    bar->change = NULL;
    if (is_stored && !bar->is_going)
        bar->revision = revision;
    else if (is_stored || bar->revision == 0)
        drop(barred, bar);
    else
        bar->is_going = false;
}

void barred_decided(struct barred *barred, const struct registry_change *change, uint64_t revision)
{
    struct bar *bar, *next;

    HASH_ITER (by_address, barred->by_address, bar, next)
        if (bar->change == change)
            decide(barred, bar, revision);
}
