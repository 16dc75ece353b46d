/* The one way between two threads: a bounded-by-its-users list with a lock, and two ways to wait.
 *
 *     loop thread ── mailbox_push ──> worker:  mailbox_wait() sleeps until there is something
 *     worker      ── mailbox_push ──> loop:    mailbox_fd() becomes readable
 *
 * Items are embedded (struct mailbox_item as a member) and belong to whoever holds them: the sender
 * until the push, the receiver from the take on. Order is kept.
 */
#pragma once

#include <stdbool.h>

struct mailbox;

struct mailbox_item {
    struct mailbox_item *next;
};

int mailbox_new(struct mailbox **ret_mailbox);
/* Must be empty: what is inside belongs to somebody. */
void mailbox_free(struct mailbox *mailbox);

void mailbox_push(struct mailbox *mailbox, struct mailbox_item *item);

/* All items in order of arrival, as a list by next; NULL when there is none. */
struct mailbox_item *mailbox_take_all(struct mailbox *mailbox);

/* As mailbox_take_all, but sleeps until there is one. NULL only after mailbox_close(), when all
 * that was pushed before it has been taken. */
struct mailbox_item *mailbox_wait(struct mailbox *mailbox);

/* No more pushes; a waiting receiver returns. */
void mailbox_close(struct mailbox *mailbox);

/* Readable while there may be items; mailbox_take_all() makes it quiet again. Owned by the mailbox.
 */
int mailbox_fd(struct mailbox *mailbox);
