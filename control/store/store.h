/* What the control plane keeps: records, and changes to them that happen wholly or not at all.
 *
 * A record is a kind ("node", "lease", "cluster"), an id that is unique within its kind, the
 * revision of its latest change, and a JSON body. Every change set that is committed gets the next
 * revision; revisions are never given twice, also not across restarts.
 *
 * A record may also have a key: a second name that is unique within its kind while it is held (a
 * node's address, the holder of a lease).
 *
 * That a subnet is leased once is also the store's rule, which knows nothing of subnets: a lease is
 * a record whose id is the subnet, and creating a record that exists is a conflict.
 *
 * The functions here block; the loop talks to a store through its writer (writer.h).
 */
#pragma once

#include <stdint.h>

#include "lib/base/mailbox.h"
#include "lib/base/mem.h"

enum store_outcome {
    STORE_DONE = 0,
    STORE_FULL,     /* no room; nothing was changed, and it may work later */
    STORE_CONFLICT, /* the record or its key is there already, it is gone, or has another revision
                     */
    STORE_DAMAGED   /* at open and load: the data cannot be trusted; the text says what to do */
};

enum store_verb { STORE_CREATE, STORE_UPDATE, STORE_DELETE };

/* Room for the largest change set: a registration that takes over another node's address, and the
 * use of a token. */
#define STORE_OPS_MAX 5

struct store_op {
    enum store_verb verb;
    const char *kind;     /* a literal */
    char *id;             /* owned */
    char *key;            /* owned; NULL: none */
    char *body;           /* owned; NULL for STORE_DELETE */
    uint64_t if_revision; /* update and delete: only if the record has it */
};

/* The whole store as the bytes of a file that can be put in its place. */
struct store_copy {
    char *bytes; /* owned; NULL: there is none, and error says why */
    size_t n;
    char *error; /* owned */
};

/* A change set. Without operations it is a probe: it makes the store write, and uses no revision.
 * With copy (the submitter's) it does neither, and the writer fills in the copy after the commit.
 */
struct store_change {
    struct mailbox_item item;
    struct store_op ops[STORE_OPS_MAX];
    size_t op_count;
    int64_t at_unix_s; /* for people who read the log of changes */
    int outcome;       /* store_commit: an enum store_outcome, or negative: unknown */
    uint64_t revision; /* store_commit: of the change when it is done, else 0 */
    struct store_copy *copy;
    /* Its submitter's, for who gets it back from the writer; the store does not look at it. */
    void (*on_outcome)(struct store_change *change, void *data);
};

struct store_record {
    const char *kind;
    const char *id;
    const char *body;
    uint64_t created_revision;
    uint64_t revision;
};

/* Negative, or STORE_DAMAGED, ends the loading. */
typedef int (*store_record_fn)(const struct store_record *record, void *data);

struct store;
struct store_ops {
    int (*load)(struct store *store, store_record_fn fn, void *data, uint64_t *ret_revision);
    int (*commit)(struct store *store, struct store_change *first);
    int (*copy)(struct store *store, char **ret_bytes, size_t *ret_n);
    void (*free)(struct store *store);
};
struct store {
    const struct store_ops *ops;
};

/* Hands every record to fn, in the order of creation. ret_revision is that of the latest change, 0
 * in a new store. STORE_DAMAGED, or negative. */
int store_load(struct store *store, store_record_fn fn, void *data, uint64_t *ret_revision);

/* Commits a list of change sets (linked by item.next) durably and in order, all in one go. 0: each
 * has its outcome. Negative: what is on the disk is unknown; the store must not be used again. */
int store_commit(struct store *store, struct store_change *first);

/* A copy of what is committed, checked to be whole. It always has bytes or an error. */
void store_copy(struct store *store, struct store_copy *ret_copy);
void store_copy_deinit(struct store_copy *copy);

void store_free(struct store *store);

/* Fill a change set; id and key (or NULL) are copied, body is taken over. */
void store_add_create(struct store_change *change, const char *kind, const char *id,
                      const char *key, char *body);
void store_add_update(struct store_change *change, const char *kind, const char *id,
                      uint64_t if_revision, const char *key, char *body);
void store_add_delete(struct store_change *change, const char *kind, const char *id,
                      uint64_t if_revision);
/* Frees what the operations own. */
void store_change_deinit(struct store_change *change);

struct store_change *store_change_next(const struct store_change *change);
