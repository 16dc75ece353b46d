/* The state file of the runtime. */
#include "runtime/state_disk.h"

#include "lib/base/error.h"
#include "lib/base/log.h"

static int read_state(const json_t *content, void *data)
{
    return state_from_json(content, data);
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

int state_disk_load(const struct state_file *file, struct state *ret_state)
{
    int r = state_file_load(file, read_state, ret_state);

    return r == STATE_FILE_DAMAGED ? fail_damaged(file) : r;
}

int state_disk_store(const struct state_file *file, const struct state *state)
{
    AUTO_JSON json_t *json = state_to_json(state);
    AUTO_FREE char *text = json_to_text(json);

    return state_file_save(file, text);
}

void state_disk_save(const struct state_file *file, const struct state *state)
{
    if (state_disk_store(file, state) < 0)
        log_error("cannot store the state", LOG_ERR());
}
