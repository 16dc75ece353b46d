/* A store in memory or in a file of its own, and records as text:
 * "kind/id@created_revision/revision=body ". */
#pragma once

#include "control/store/store.h"

struct store_bed {
    char dir[32];
    char *path;
    struct store *store;
    bool is_sqlite;
};

/* For cmocka's setup and teardown: without a store, with one in memory, with one in the file. */
int store_bed_make(void **state);
int store_bed_make_memory(void **state);
int store_bed_make_sqlite(void **state);
int store_bed_drop(void **state);

/* The file as the next process finds it. */
void store_bed_reopen(struct store_bed *f);

/* For store_load(): into a strbuf. */
int bed_add_text(const struct store_record *record, void *data);
void assert_records(struct store *store, const char *expected, uint64_t expected_revision);

/* One change alone, which is let go of; returns its outcome. Updates and deletes are of nodes. */
int bed_commit_one(struct store *store, struct store_change *change);
int bed_create(struct store *store, const char *kind, const char *id, const char *body);
int bed_create_keyed(struct store *store, const char *kind, const char *id, const char *key);
int bed_update(struct store *store, const char *id, uint64_t if_revision, const char *body);
int bed_delete(struct store *store, const char *id, uint64_t if_revision);
