/* The addresses whose node was revoked or removed. The access tokens that there were by then let
 * nobody in from there any more, or whoever was thrown out would be back at once: many a token is
 * good for any number of nodes. A token that is made afterwards does. Pure.
 *
 * A bar is a record of its own, whose id is the address. Which tokens it keeps out is told by the
 * store's revisions, not by a clock: those that were made before the bar.
 *
 * Bars go, a few with each new one, when no token is left that they keep out. There are BARRED_MAX
 * at most.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "control/store/store.h"
#include "lib/base/hash.h"

#define BARRED_KIND "barred"
#define BARRED_MAX 4096

struct registry_change;

struct bar {
    uint32_t address;
    uint64_t revision;              /* of its record; 0: not stored yet */
    struct registry_change *change; /* under way; NULL: none */
    bool is_going;                  /* by that change */
    UT_hash_handle by_address;
};

struct barred {
    struct bar *by_address;
    size_t count;
};

void barred_deinit(struct barred *barred);
/* A stored record, at start. 0, or STORE_DAMAGED with a text. */
int barred_load(struct barred *barred, const struct store_record *record);

/* Whether a token that was made at this revision lets nobody in from the address. */
bool barred_keeps_out(const struct barred *barred, uint32_t address, uint64_t made_revision);
/* Whatever is under way about the address, to be waited for; NULL: nothing. */
struct registry_change *barred_busy(const struct barred *barred, uint32_t address);
/* Whether there is room for one of this address. oldest: the revision at which the oldest token was
 * made that may let a node in; UINT64_MAX: there is none. */
bool barred_has_room(const struct barred *barred, uint32_t address, uint64_t oldest);

/* Puts the bar into the change set, and the end of those that keep out nobody. Nothing is under way
 * about the address, and there is room for it. */
void barred_write(struct barred *barred, struct store_change *set, uint32_t address,
                  uint64_t oldest, struct registry_change *change);
/* The change is stored at this revision, or (0) not at all. */
void barred_decided(struct barred *barred, const struct registry_change *change, uint64_t revision);
