/* The state file. */
#include "runtime/store.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define STATE_FILE_MAX (64UL * 1024 * 1024)

int store_open(const char *dir, struct store *ret_store)
{
    struct store store = {.lock_fd = -1};
    AUTO_FREE char *lock = mem_printf("%s/lock", dir);
    int r = file_make_dirs(dir, 0700);

    if (r == 0)
        r = file_lock(lock, &store.lock_fd);
    if (r < 0)
        return r;
    store.dir = mem_strdup(dir);
    store.path = mem_printf("%s/runtime.json", dir);
    store.previous = mem_printf("%s/runtime.json.1", dir);
    store.damaged = mem_printf("%s/runtime.json.damaged", dir);
    *ret_store = store;
    return 0;
}

void store_close(struct store *store)
{
    cleanup_close(&store->lock_fd);
    free(store->dir);
    free(store->path);
    free(store->previous);
    free(store->damaged);
    *store = (struct store){.lock_fd = -1};
}

static int check_sum(const json_t *file, const json_t *state)
{
    AUTO_FREE char *text = json_to_text(state);
    char sum[SHA256_HEX_SIZE];
    const char *stored;
    int r = json_get_string(file, "sha256", &stored);

    if (r < 0)
        return r;
    sha256_hex(text, strlen(text), sum);
    if (strcmp(sum, stored) != 0)
        return err_fail(EINVAL, "the checksum does not fit the content");
    return 0;
}

static int parse_file(const char *bytes, size_t n, struct state *ret_state)
{
    AUTO_JSON json_t *file = NULL;
    const json_t *state;
    int r = json_parse(bytes, n, &file);

    if (r < 0)
        return r;
    state = json_object_get(file, "state");
    if (!json_is_object(state))
        return err_fail(EINVAL, "state: must be an object");
    r = check_sum(file, state);
    return r < 0 ? r : state_from_json(state, ret_state);
}

/* -ENOENT: no such file; -EINVAL: damaged; others: could not be read. */
static int load_file(const char *path, struct state *ret_state)
{
    AUTO_FREE char *bytes = NULL;
    size_t n;
    int r = file_read(path, STATE_FILE_MAX, &bytes, &n);

    if (r < 0)
        return r;
    r = parse_file(bytes, n, ret_state);
    return r < 0 ? err_wrap(-EINVAL, "%s", path) : 0;
}

static int fail_damaged(const struct store *store)
{
    AUTO_FREE char *why = mem_strdup(err_text());

    return err_fail(EBADMSG,
                    "%s; the previous state %s does not help either. Move both files away and "
                    "start again: running endpoints are adopted from the kernel, routes come back "
                    "from the agent",
                    why, store->previous);
}

int store_load(struct store *store, struct state *ret_state)
{
    int r = load_file(store->path, ret_state), previous;

    if (r == 0 || (r != -ENOENT && r != -EINVAL))
        return r;
    if (r == -EINVAL)
        log_warn("state file is damaged, trying the previous one", LOG_ERR());
    previous = load_file(store->previous, ret_state);
    if (previous == -ENOENT && r == -ENOENT)
        return STORE_EMPTY;
    if (previous < 0) {
        if (r == -EINVAL)
            (void)load_file(store->path, ret_state); /* for its text */
        return fail_damaged(store);
    }
    if (r == -EINVAL && rename(store->path, store->damaged) < 0)
        return err_sys(errno, "rename %s to %s", store->path, store->damaged);
    return STORE_PREVIOUS;
}

/* The present file becomes the previous one while it stays in its place. */
static int keep_previous(const struct store *store)
{
    if (unlink(store->previous) < 0 && errno != ENOENT)
        return err_sys(errno, "remove %s", store->previous);
    if (link(store->path, store->previous) < 0 && errno != ENOENT)
        return err_sys(errno, "link %s to %s", store->path, store->previous);
    return 0;
}

int store_save(struct store *store, const struct state *state)
{
    AUTO_JSON json_t *json = state_to_json(state);
    AUTO_FREE char *text = json_to_text(json);
    AUTO_FREE char *file = NULL;
    char sum[SHA256_HEX_SIZE];
    int r = keep_previous(store);

    if (r < 0)
        return err_wrap(r, "save state");
    sha256_hex(text, strlen(text), sum);
    file = mem_printf("{\"sha256\":\"%s\",\"state\":%s}\n", sum, text);
    r = file_write_atomic(store->path, file, strlen(file), 0600);
    return r < 0 ? err_wrap(r, "save state") : 0;
}

int store_erase(struct store *store)
{
    if (unlink(store->previous) < 0 && errno != ENOENT)
        return err_sys(errno, "remove %s", store->previous);
    if (unlink(store->path) < 0 && errno != ENOENT)
        return err_sys(errno, "remove %s", store->path);
    return 0;
}
