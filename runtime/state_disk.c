/* The state file of the runtime. */
#include "runtime/state_disk.h"

#include "lib/base/error.h"
#include "lib/base/log.h"

static int read_state(const json_t *content, void *data)
{
    return state_from_json(content, data);
}

static int read_change(const json_t *record, void *data)
{
    return state_change_from_json(record, data);
}

static int fail_damaged(const struct state_file *file)
{
    AUTO_FREE char *why = mem_strdup(err_text());

    return err_fail(EBADMSG,
                    "%s; the previous state %s does not help either. Move both files away and "
                    "start again: running endpoints are adopted from the kernel, routes come back "
                    "from the agent",
                    why, file->previous);
}

int state_disk_load(struct state_file *file, struct state *ret_state)
{
    const struct state_file_reader reader = {
        .save = read_state, .change = read_change, .data = ret_state};
    int r = state_file_load(file, &reader);

    return r == STATE_FILE_DAMAGED ? fail_damaged(file) : r;
}

int state_disk_store(struct state_file *file, const struct state *state)
{
    AUTO_JSON json_t *json = state_to_json(state);
    AUTO_FREE char *text = json_to_text(json);

    return state_file_save(file, text);
}

/* A journal that cannot be written is no reason to fail: a save may find another place. */
int state_disk_store_change(struct state_file *file, const struct state *from,
                            const struct state *to)
{
    AUTO_FREE char *change = state_change_to_json(from, to);

    if (change && state_file_append(file, change) == 0)
        return 0;
    return state_disk_store(file, to);
}

void state_disk_save(struct state_file *file, const struct state *state)
{
    if (state_disk_store(file, state) < 0)
        log_error("cannot store the state", LOG_ERR());
}
