/* The state file and the one before it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/state.h"
#include "lib/base/error.h"
#include "lib/base/file.h"

/* 10,000 peers need some 3 MiB. */
#define STATE_BYTES_MAX (64 * 1024 * 1024)
#define STATE_MODE 0600

static char *path_now(const char *dir)
{
    return mem_printf("%s/agent.json", dir);
}

static char *path_before(const char *dir)
{
    return mem_printf("%s/agent.json.1", dir);
}

static int load(const char *path, struct agent_state *ret_state)
{
    AUTO_FREE char *text = NULL;
    size_t n;
    int r = file_read(path, STATE_BYTES_MAX, &text, &n);

    if (r == 0)
        r = agent_state_from_text(text, n, ret_state);
    return r < 0 ? err_wrap(r, "%s", path) : 0;
}

int agent_state_load(const char *dir, struct agent_state *ret_state)
{
    AUTO_FREE char *now = path_now(dir);
    AUTO_FREE char *before = path_before(dir);
    int r_now = load(now, ret_state), r_before;

    if (r_now == 0)
        return 0;
    r_before = load(before, ret_state);
    if (r_before == 0)
        return AGENT_STATE_PREVIOUS;
    return r_now == -ENOENT && r_before == -ENOENT ? AGENT_STATE_NONE : AGENT_STATE_DAMAGED;
}

/* The name changes hands without a moment in which neither file is there: link, then rename. */
static int keep_previous(const char *now, const char *before)
{
    AUTO_FREE char *temp = mem_printf("%s.tmp", before);

    (void)unlink(temp);
    if (link(now, temp) < 0)
        return errno == ENOENT ? 0 : err_sys(errno, "keep %s", now);
    if (rename(temp, before) < 0)
        return err_sys(errno, "rename %s to %s", temp, before);
    /* Both names of one file: rename() does nothing then. */
    (void)unlink(temp);
    return 0;
}

int agent_state_save(const char *dir, const struct agent_state *state)
{
    AUTO_FREE char *now = path_now(dir);
    AUTO_FREE char *before = path_before(dir);
    AUTO_FREE char *text = agent_state_to_text(state);
    int r = keep_previous(now, before);

    if (r == 0)
        r = file_write_atomic(now, text, strlen(text), STATE_MODE);
    return r < 0 ? err_wrap(r, "save state") : 0;
}

int agent_state_remove(const char *dir)
{
    AUTO_FREE char *now = path_now(dir);
    AUTO_FREE char *before = path_before(dir);

    if (unlink(before) < 0 && errno != ENOENT)
        return err_sys(errno, "remove %s", before);
    if (unlink(now) < 0 && errno != ENOENT)
        return err_sys(errno, "remove %s", now);
    return 0;
}
