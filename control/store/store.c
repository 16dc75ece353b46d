/* What all stores share: dispatch, and filling change sets. */
#include "control/store/store.h"

#include <assert.h>

#include "lib/base/error.h"

int store_load(struct store *store, store_record_fn fn, void *data, uint64_t *ret_revision)
{
    return store->ops->load(store, fn, data, ret_revision);
}

int store_commit(struct store *store, struct store_change *first)
{
    return store->ops->commit(store, first);
}

void store_copy(struct store *store, struct store_copy *ret_copy)
{
    struct store_copy copy = {0};

    if (store->ops->copy(store, &copy.bytes, &copy.n) != 0)
        copy.error = mem_strdup(err_text());
    *ret_copy = copy;
}

void store_copy_deinit(struct store_copy *copy)
{
    free(copy->bytes);
    free(copy->error);
    *copy = (struct store_copy){0};
}

void store_free(struct store *store)
{
    if (store)
        store->ops->free(store);
}

static void add_op(struct store_change *change, struct store_op op)
{
    assert(change->op_count < STORE_OPS_MAX);
    change->ops[change->op_count++] = op;
}

static char *copy_key(const char *key)
{
    return key ? mem_strdup(key) : NULL;
}

void store_add_create(struct store_change *change, const char *kind, const char *id,
                      const char *key, char *body)
{
    add_op(change, (struct store_op){.verb = STORE_CREATE,
                                     .kind = kind,
                                     .id = mem_strdup(id),
                                     .key = copy_key(key),
                                     .body = body});
}

void store_add_update(struct store_change *change, const char *kind, const char *id,
                      uint64_t if_revision, const char *key, char *body)
{
    add_op(change, (struct store_op){.verb = STORE_UPDATE,
                                     .kind = kind,
                                     .id = mem_strdup(id),
                                     .key = copy_key(key),
                                     .body = body,
                                     .if_revision = if_revision});
}

void store_add_delete(struct store_change *change, const char *kind, const char *id,
                      uint64_t if_revision)
{
    add_op(change, (struct store_op){.verb = STORE_DELETE,
                                     .kind = kind,
                                     .id = mem_strdup(id),
                                     .if_revision = if_revision});
}

void store_change_deinit(struct store_change *change)
{
    for (size_t i = 0; i < change->op_count; i++) {
        free(change->ops[i].id);
        free(change->ops[i].key);
        free(change->ops[i].body);
    }
    change->op_count = 0;
}

struct store_change *store_change_next(const struct store_change *change)
{
    return change->item.next ? CONTAINER_OF(change->item.next, struct store_change, item) : NULL;
}
