/* A doubly linked list whose links live in its members: adding and removing allocate nothing and
 * cost the same however long the list is. The head is a member too; a member that is in no list
 * points to itself, so that removing it twice is harmless. */
#pragma once

#include <stdbool.h>

struct ring {
    struct ring *prev;
    struct ring *next;
};

static inline void ring_init(struct ring *ring)
{
    ring->prev = ring;
    ring->next = ring;
}

static inline bool ring_is_empty(const struct ring *head)
{
    return head->next == head;
}

static inline void ring_remove(struct ring *member)
{
    member->prev->next = member->next;
    member->next->prev = member->prev;
    ring_init(member);
}

/* Takes the first out of a list that is not empty. */
static inline struct ring *ring_take_first(struct ring *head)
{
    struct ring *first = head->next;

    head->next = first->next;
    first->next->prev = head;
    ring_init(first);
    return first;
}

/* Behind all others; taken out of the list it was in before. */
static inline void ring_append(struct ring *head, struct ring *member)
{
    ring_remove(member);
    member->prev = head->prev;
    member->next = head;
    head->prev->next = member;
    head->prev = member;
}
