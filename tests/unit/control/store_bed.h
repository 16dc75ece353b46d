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

/* In another process, which ends without closing the store: the file and its log are as a crash
 * leaves them. Nodes are created one at a time, n1, n2, ... */
void bed_crash(struct store_bed *f, int nodes);

/* As another program does it that has the file open alone. */
void bed_run_sql(const char *path, const char *sql);
int64_t bed_read_number(const char *path, const char *sql);
void bed_overwrite(const char *path, off_t at, size_t n);
/* What opening gives; the store is closed again. */
int bed_open_code(const char *path);
