/* Who is in the firewall's sets. */
#include "runtime/members.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/hash.h"
#include "lib/base/sorted.h"

static_assert(sizeof(struct member) == 12, "a key without holes");

struct members_entry {
    struct member member;
    uint32_t reasons;
    bool is_in_set;
    bool is_changed; /* in the list of those */
    struct members_entry *next_changed;
    UT_hash_handle hh;
};

void members_deinit(struct members *members)
{
    struct members_entry *entry, *next;

    HASH_ITER (hh, members->entries, entry, next) {
        HASH_DEL(members->entries, entry);
        free(entry);
    }
    *members = (struct members){0};
}

static struct members_entry *find(const struct members *members, const struct member *member)
{
    struct members_entry *entry;

    HASH_FIND(hh, members->entries, member, sizeof *member, entry);
    return entry;
}

static void note_change(struct members *members, struct members_entry *entry)
{
    if (entry->is_changed)
        return;
    entry->is_changed = true;
    entry->next_changed = members->changed;
    members->changed = entry;
}

void members_take(struct members *members, struct member member)
{
    struct members_entry *entry = find(members, &member);

    if (!entry) {
        entry = NEW(struct members_entry);
        entry->member = member;
        HASH_ADD(hh, members->entries, member, sizeof entry->member, entry);
    }
    if (entry->reasons++ > 0)
        return;
    members->counts[member.set]++;
    note_change(members, entry);
}

void members_leave(struct members *members, struct member member)
{
    struct members_entry *entry = find(members, &member);

    if (--entry->reasons > 0)
        return;
    members->counts[member.set]--;
    note_change(members, entry);
}

/* ---- lists --------------------------------------------------------------------------------- */

static int compare(const struct member *a, const struct member *b)
{
    if (a->addr != b->addr)
        return a->addr < b->addr ? -1 : 1;
    return a->to < b->to ? -1 : a->to > b->to;
}

static int compare_items(const void *a, const void *b)
{
    return compare(a, b);
}

void members_sort(struct member_list *list)
{
    sorted_sort(list->items, list->count, sizeof *list->items, compare_items);
}

bool members_follow(struct members *members, struct member_list *list, struct member_list next)
{
    size_t old = 0, new = 0;
    bool is_other = false;

    while (old < list->count || new < next.count) {
        int order = old == list->count  ? 1
                    : new == next.count ? -1
                                        : compare(&list->items[old], &next.items[new]);

        if (order > 0)
            members_take(members, next.items[new]);
        else if (order < 0)
            members_leave(members, list->items[old]);
        is_other |= order != 0;
        old += order <= 0;
        new += order >= 0;
    }
    free(list->items);
    *list = next;
    return is_other;
}

/* ---- the difference ------------------------------------------------------------------------ */

void members_difference_deinit(struct members_difference *difference)
{
    free(difference->adds);
    free(difference->removals);
    *difference = (struct members_difference){0};
}

void members_compare(const struct members *members, struct members_difference *ret)
{
    size_t size = 1;

    for (const struct members_entry *entry = members->changed; entry; entry = entry->next_changed)
        size++;
    *ret = (struct members_difference){.adds = mem_array(size, sizeof *ret->adds),
                                       .removals = mem_array(size, sizeof *ret->removals)};
    for (const struct members_entry *entry = members->changed; entry; entry = entry->next_changed) {
        if (entry->reasons > 0 && !entry->is_in_set)
            ret->adds[ret->add_count++] = entry->member;
        else if (entry->reasons == 0 && entry->is_in_set)
            ret->removals[ret->removal_count++] = entry->member;
    }
}

void members_written(struct members *members)
{
    while (members->changed) {
        struct members_entry *entry = members->changed;

        members->changed = entry->next_changed;
        entry->is_changed = false;
        entry->is_in_set = entry->reasons > 0;
        if (entry->is_in_set)
            continue;
        HASH_DEL(members->entries, entry);
        free(entry);
    }
}
