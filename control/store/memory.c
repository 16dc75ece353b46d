/* A store in memory. Records are few in tests, so a list in order of creation is enough. */
#include "control/store/memory.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/list.h"

struct record {
    const char *kind;
    char *id;
    char *key;
    char *body;
    uint64_t created_revision;
    uint64_t revision;
    struct record *prev, *next;
};

struct store_memory {
    struct store store;
    struct record *records;
    uint64_t revision;
    bool is_full;
};

static struct store_memory *self(const struct store *store)
{
    return CONTAINER_OF(store, struct store_memory, store);
}

static struct record *find(const struct store_memory *m, const char *kind, const char *id)
{
    struct record *r;

    DL_FOREACH(m->records, r)
    {
        if (strcmp(r->kind, kind) == 0 && strcmp(r->id, id) == 0)
            return r;
    }
    return NULL;
}

static void record_free(struct store_memory *m, struct record *r)
{
    DL_DELETE(m->records, r);
    free(r->id);
    free(r->key);
    free(r->body);
    free(r);
}

static int load(struct store *store, store_record_fn fn, void *data, uint64_t *ret_revision)
{
    struct record *r;

    DL_FOREACH(self(store)->records, r)
    {
        const struct store_record record = {r->kind, r->id, r->body, r->created_revision,
                                            r->revision};
        int result = fn(&record, data);

        if (result != 0)
            return result;
    }
    *ret_revision = self(store)->revision;
    return 0;
}

/* An earlier operation of the same change set is about this record, and gives its key up. */
static bool is_changed_before(const struct record *r, const struct store_change *change,
                              size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(r->kind, change->ops[i].kind) == 0 && strcmp(r->id, change->ops[i].id) == 0)
            return true;
    }
    return false;
}

static bool key_is_taken(const struct store_memory *m, const struct store_change *change,
                         size_t index)
{
    const struct store_op *op = &change->ops[index];
    const struct record *r;

    DL_FOREACH(m->records, r)
    {
        if (op->key && r->key && strcmp(r->kind, op->kind) == 0 && strcmp(r->key, op->key) == 0 &&
            strcmp(r->id, op->id) != 0 && !is_changed_before(r, change, index))
            return true;
    }
    return false;
}

static bool op_fits(const struct store_memory *m, const struct store_change *change, size_t index)
{
    const struct store_op *op = &change->ops[index];
    const struct record *r = find(m, op->kind, op->id);

    if (key_is_taken(m, change, index))
        return false;
    return op->verb == STORE_CREATE ? !r : r && r->revision == op->if_revision;
}

static void op_apply(struct store_memory *m, const struct store_op *op, uint64_t revision)
{
    struct record *r = find(m, op->kind, op->id);

    if (op->verb == STORE_DELETE) {
        record_free(m, r);
        return;
    }
    if (!r) {
        r = NEW(struct record);
        *r = (struct record){
            .kind = op->kind, .id = mem_strdup(op->id), .created_revision = revision};
        DL_APPEND(m->records, r);
    }
    free(r->body);
    free(r->key);
    r->body = mem_strdup(op->body);
    r->key = op->key ? mem_strdup(op->key) : NULL;
    r->revision = revision;
}

static void commit_one(struct store_memory *m, struct store_change *change)
{
    change->outcome = m->is_full ? STORE_FULL : STORE_DONE;
    for (size_t i = 0; i < change->op_count && change->outcome == STORE_DONE; i++) {
        if (!op_fits(m, change, i))
            change->outcome = STORE_CONFLICT;
    }
    if (change->outcome != STORE_DONE || change->op_count == 0)
        return;
    change->revision = ++m->revision;
    for (size_t i = 0; i < change->op_count; i++)
        op_apply(m, &change->ops[i], change->revision);
}

static int commit(struct store *store, struct store_change *first)
{
    for (struct store_change *change = first; change; change = store_change_next(change))
        commit_one(self(store), change);
    return 0;
}

static int copy(struct store *store, char **ret_bytes, size_t *ret_n)
{
    return err_fail(ENOTSUP, "a store in memory has no file");
}

static void memory_free(struct store *store)
{
    struct store_memory *m = self(store);

    while (m->records)
        record_free(m, m->records);
    free(m);
}

struct store *store_memory_new(void)
{
    static const struct store_ops ops = {load, commit, copy, memory_free};
    struct store_memory *m = NEW(struct store_memory);

    m->store.ops = &ops;
    return &m->store;
}

void store_memory_set_full(struct store *store, bool is_full)
{
    self(store)->is_full = is_full;
}

const char *store_memory_body(const struct store *store, const char *kind, const char *id)
{
    const struct record *r = find(self(store), kind, id);

    return r ? r->body : NULL;
}
