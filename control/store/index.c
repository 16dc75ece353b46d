/* The names of records and their keys, with a way back. */
#include "control/store/index.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/list.h"
#include "lib/base/strbuf.h"

struct entry {
    char *name; /* "node/01890a5d-...": a kind has no slash */
    char *key;  /* "node/10.0.0.1"; NULL: none */
    uint64_t revision;
    int64_t row;
    UT_hash_handle by_name;
    UT_hash_handle by_key;
};

/* An operation that can be taken back. */
struct step {
    enum store_verb verb;
    struct entry *entry; /* of a delete it is owned */
    char *key;           /* of an update: the one before; owned */
    uint64_t revision;   /* the one before */
    struct step *next;   /* the one before this one */
};

struct index {
    struct entry *by_name;
    struct entry *by_key;
    struct step *steps; /* the latest first */
    int64_t last_row;
};

struct index *index_new(void)
{
    return NEW(struct index);
}

static char *name_of(const char *kind, const char *text)
{
    struct strbuf name = {0};

    if (!text)
        return NULL;
    strbuf_reserve(&name, strlen(kind) + 1 + strlen(text));
    strbuf_adds(&name, kind);
    strbuf_adds(&name, "/");
    strbuf_adds(&name, text);
    return strbuf_take(&name);
}

static void entry_free(struct entry *e)
{
    free(e->name);
    free(e->key);
    free(e);
}

static struct entry *find(const struct index *index, const char *name)
{
    struct entry *e = NULL;

    HASH_FIND(by_name, index->by_name, name, strlen(name), e);
    return e;
}

static bool is_key_free(const struct index *index, const char *key, const struct entry *holder)
{
    struct entry *e = NULL;

    if (key)
        HASH_FIND(by_key, index->by_key, key, strlen(key), e);
    return !e || e == holder;
}

static void link_key(struct index *index, struct entry *e)
{
    if (e->key)
        HASH_ADD_KEYPTR(by_key, index->by_key, e->key, strlen(e->key), e);
}

static void unlink_key(struct index *index, struct entry *e)
{
    if (e->key)
        HASH_DELETE(by_key, index->by_key, e);
}

static void link_entry(struct index *index, struct entry *e)
{
    HASH_ADD_KEYPTR(by_name, index->by_name, e->name, strlen(e->name), e);
    link_key(index, e);
}

static void unlink_entry(struct index *index, struct entry *e)
{
    HASH_DELETE(by_name, index->by_name, e);
    unlink_key(index, e);
}

/* key is taken over; returns the one before. */
static char *replace_key(struct index *index, struct entry *e, char *key)
{
    char *before = e->key;

    unlink_key(index, e);
    e->key = key;
    link_key(index, e);
    return before;
}

int index_add(struct index *index, const struct store_record *record, const char *key, int64_t row)
{
    struct entry *e = NEW(struct entry);

    e->name = name_of(record->kind, record->id);
    e->key = name_of(record->kind, key);
    e->revision = record->revision;
    e->row = row;
    if (find(index, e->name) || !is_key_free(index, e->key, NULL)) {
        (void)err_fail(EEXIST, "the record %s, or its key %s, is there twice", e->name,
                       e->key ? e->key : "");
        entry_free(e);
        return STORE_CONFLICT;
    }
    link_entry(index, e);
    if (row > index->last_row)
        index->last_row = row;
    return STORE_DONE;
}

/* ---- operations ---------------------------------------------------------------------------- */

static struct step *note(struct index *index, enum store_verb verb, struct entry *e)
{
    struct step *step = NEW(struct step);

    *step = (struct step){.verb = verb, .entry = e, .revision = e->revision};
    LL_PREPEND(index->steps, step);
    return step;
}

static void create(struct index *index, char *name, char *key)
{
    struct entry *e = NEW(struct entry);

    e->name = name;
    e->key = key;
    e->row = ++index->last_row;
    link_entry(index, e);
    (void)note(index, STORE_CREATE, e);
}

/* name is taken over when it is done. */
static struct entry *apply(struct index *index, const struct store_op *op, char **name)
{
    AUTO_FREE char *key = name_of(op->kind, op->key);
    struct entry *e = find(index, *name);

    if (op->verb == STORE_CREATE ? e != NULL : !e || e->revision != op->if_revision)
        return NULL;
    if (!is_key_free(index, key, e))
        return NULL;
    switch (op->verb) {
    case STORE_CREATE:
        create(index, TAKE_PTR(*name), TAKE_PTR(key));
        break;
    case STORE_UPDATE:
        note(index, STORE_UPDATE, e)->key = replace_key(index, e, TAKE_PTR(key));
        break;
    case STORE_DELETE:
        unlink_entry(index, e);
        (void)note(index, STORE_DELETE, e);
        break;
    }
    return index->steps->entry;
}

static void take_back(struct index *index, struct step *step)
{
    struct entry *e = step->entry;

    switch (step->verb) {
    case STORE_CREATE:
        unlink_entry(index, e);
        entry_free(e);
        return;
    case STORE_UPDATE:
        free(replace_key(index, e, step->key));
        break;
    case STORE_DELETE:
        link_entry(index, e);
        break;
    }
    e->revision = step->revision;
}

static void undo_until(struct index *index, const struct step *last)
{
    while (index->steps != last) {
        struct step *step = index->steps;

        LL_DELETE(index->steps, step);
        take_back(index, step);
        free(step);
    }
}

int index_apply(struct index *index, const struct store_change *change, uint64_t revision,
                int64_t ret_rows[static STORE_OPS_MAX])
{
    const struct step *before = index->steps;

    for (size_t i = 0; i < change->op_count; i++) {
        AUTO_FREE char *name = name_of(change->ops[i].kind, change->ops[i].id);
        struct entry *e = apply(index, &change->ops[i], &name);

        if (!e) {
            undo_until(index, before);
            return STORE_CONFLICT;
        }
        e->revision = revision;
        ret_rows[i] = e->row;
    }
    return STORE_DONE;
}

void index_keep(struct index *index)
{
    struct step *step, *next;

    LL_FOREACH_SAFE(index->steps, step, next)
    {
        if (step->verb == STORE_DELETE)
            entry_free(step->entry);
        free(step->key);
        free(step);
    }
    index->steps = NULL;
}

void index_undo(struct index *index)
{
    undo_until(index, NULL);
}

void index_free(struct index *index)
{
    struct entry *e, *next;

    if (!index)
        return;
    index_undo(index);
    HASH_CLEAR(by_key, index->by_key);
    HASH_ITER (by_name, index->by_name, e, next) {
        HASH_DELETE(by_name, index->by_name, e);
        entry_free(e);
    }
    free(index);
}
