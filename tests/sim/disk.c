/* Disks: the control plane's store, with the thread that writes it, and the agents' state files. In
 * the place of control/store/sqlite.c, control/store/writer.c and lib/base/state_file.c.
 *
 *     submit ──> queue ──(a moment)──> committed: durable ──(a moment)──> done
 *                                          ^                    ^
 *                      killed here: nothing was stored          killed here: stored, nobody told
 */
#include <string.h>

#include "control/store/memory.h"
#include "control/store/sqlite.h"
#include "control/store/writer.h"
#include "lib/base/error.h"
#include "lib/base/state_file.h"
#include "tests/sim/sim.h"

struct disk {
    struct store *store;
    bool is_full;
    bool breaks;
    int64_t delay_low_us, delay_high_us;
};

/* ---- the store ----------------------------------------------------------------------------- */

void disk_init(void)
{
    sim.disk = NEW(struct disk);
    sim.disk->store = store_memory_new();
    disk_set_delay(SIM_MS, 10 * SIM_MS);
}

void disk_deinit(void)
{
    store_free(sim.disk->store);
    free(sim.disk);
}

void disk_set_full(bool is_full)
{
    sim_trace("the disk %s", is_full ? "is full" : "has room");
    sim.disk->is_full = is_full;
    store_memory_set_full(sim.disk->store, is_full);
}

bool disk_is_full(void)
{
    return sim.disk->is_full;
}

void disk_set_delay(int64_t low_us, int64_t high_us)
{
    sim.disk->delay_low_us = low_us;
    sim.disk->delay_high_us = high_us;
}

void disk_break_once(void)
{
    sim.disk->breaks = true;
}

/* The file as a process has it open; the bytes outlive it. */
struct open_store {
    struct store store;
};

static int load(struct store *store, store_record_fn fn, void *data, uint64_t *ret_revision)
{
    return store_load(sim.disk->store, fn, data, ret_revision);
}

static int commit(struct store *store, struct store_change *first)
{
    int r = store_commit(sim.disk->store, first);

    for (const struct store_change *c = first; r == 0 && c; c = store_change_next(c))
        oracle_stored(c);
    return r;
}

static int copy(struct store *store, char **ret_bytes, size_t *ret_n)
{
    return err_fail(ENOTSUP, "the simulated disk makes no copies");
}

static void close_store(struct store *store)
{
    free(CONTAINER_OF(store, struct open_store, store));
}

static int see_record(const struct store_record *record, void *data)
{
    *(enum store_sqlite_file *)data = STORE_SQLITE_OTHER;
    return 0;
}

enum store_sqlite_file store_sqlite_look(const char *path)
{
    enum store_sqlite_file found = STORE_SQLITE_NONE;
    uint64_t revision;

    (void)store_load(sim.disk->store, see_record, &found, &revision);
    return found;
}

static int fill(struct store *store, const struct store_change *first)
{
    struct store_change change = {.at_unix_s = first->at_unix_s};
    int r;

    for (size_t i = 0; i < first->op_count; i++)
        store_add_create(&change, first->ops[i].kind, first->ops[i].id, first->ops[i].key,
                         mem_strdup(first->ops[i].body));
    r = store_commit(store, &change);
    store_change_deinit(&change);
    return r;
}

int store_sqlite_open(const char *path, const struct store_change *first, struct store **ret_store)
{
    static const struct store_ops ops = {load, commit, copy, close_store};
    struct open_store *open = NEW(struct open_store);

    open->store.ops = &ops;
    *ret_store = &open->store;
    return first ? fill(&open->store, first) : 0;
}

int store_sqlite_distrust(const char *path)
{
    return STORE_DAMAGED;
}

/* ---- the thread ---------------------------------------------------------------------------- */

struct writer {
    struct process *process;
    struct store *store;
    struct writer_callbacks callbacks;
    struct mailbox_item *queue, **queue_end;
    struct mailbox_item *stored; /* committed, and not told yet */
    struct sim_event *event;     /* the next commit or the telling */
    size_t pending;
    bool is_broken;
    struct writer_stats stats;
};

static void schedule_commit(struct writer *w);

static void queue_reset(struct writer *w)
{
    w->queue = NULL;
    w->queue_end = &w->queue;
}

static struct store_change *change_of(struct mailbox_item *item)
{
    return CONTAINER_OF(item, struct store_change, item);
}

static void tell(void *data)
{
    struct writer *w = data;
    struct mailbox_item *next, *list = TAKE_PTR(w->stored);

    w->event = NULL;
    for (struct mailbox_item *item = list; item; item = next) {
        next = item->next;
        w->pending--;
        w->callbacks.done(change_of(item), w->callbacks.data);
        if (w->process->wants_exit)
            return;
    }
    if (w->queue && !w->event)
        schedule_commit(w);
}

static void break_down(struct writer *w)
{
    sim.disk->breaks = false;
    w->is_broken = true;
    if (sim_percent(50))
        (void)store_commit(w->store, change_of(w->queue));
    queue_reset(w);
    w->callbacks.broken("commit: disk I/O error", w->callbacks.data);
}

static void do_commit(void *data)
{
    struct writer *w = data;

    w->event = NULL;
    if (sim.disk->breaks) {
        break_down(w);
        return;
    }
    (void)store_commit(w->store, change_of(w->queue));
    w->stored = w->queue;
    queue_reset(w);
    w->stats.commits++;
    w->event = sim_in(sim_between(0, 2 * SIM_MS), SIM_MESSAGE, w->process, tell, w);
}

static void schedule_commit(struct writer *w)
{
    int64_t delay_us = sim_between(sim.disk->delay_low_us, sim.disk->delay_high_us);

    w->event = sim_in(delay_us, SIM_MESSAGE, w->process, do_commit, w);
}

int writer_new(struct loop *loop, struct store *store, const struct writer_callbacks *callbacks,
               struct writer **ret_writer)
{
    struct writer *w = NEW(struct writer);

    w->process = sim.current;
    w->store = store;
    w->callbacks = *callbacks;
    queue_reset(w);
    *ret_writer = w;
    return 0;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    if (w->queue && !w->process->is_crashing && !w->is_broken)
        (void)store_commit(w->store, change_of(w->queue));
    sim_cancel(w->event);
    free(w);
}

/* What a hasty programmer would do: the answer first, the disk when it comes to it. */
static void promise(struct writer *w, struct store_change *change)
{
    change->outcome = STORE_DONE;
    change->revision = w->pending + 1000000 + sim.next_number;
    w->pending--;
    w->callbacks.done(change, w->callbacks.data);
}

void writer_submit(struct writer *w, struct store_change *change)
{
    w->pending++;
    if (sim.config.mutation == MUTATION_ANSWER_BEFORE_COMMIT && change->op_count > 0) {
        promise(w, change);
        return;
    }
    change->item.next = NULL;
    *w->queue_end = &change->item;
    w->queue_end = &change->item.next;
    if (!w->event && !w->is_broken && !w->stored)
        schedule_commit(w);
}

size_t writer_pending(const struct writer *w)
{
    return w->pending;
}

const struct writer_stats *writer_stats(const struct writer *w)
{
    return &w->stats;
}

/* ---- state files --------------------------------------------------------------------------- */

int state_file_open(const char *dir, const char *name, struct state_file *ret_file)
{
    *ret_file = (struct state_file){.lock_fd = -1};
    return 0;
}

void state_file_close(struct state_file *file)
{
}

/* A host has one state directory. */
void state_file_home(const struct state_file *file, char ret_id[static UUID_TEXT_SIZE])
{
    const struct host *host = sim.current->host;

    (void)snprintf(ret_id, UUID_TEXT_SIZE, "%08zx-0000-8000-8000-%012" PRIx64, host->index,
                   (uint64_t)host->boot_offset_ms & UINT64_C(0xffffffffffff));
}

/* Record by record, each on a line of its own. */
static int replay(const char *lines, const struct state_file_reader *reader)
{
    int r = 0;

    while (r == 0 && lines && *lines) {
        const char *end = strchr(lines, '\n');
        AUTO_JSON json_t *record = NULL;

        r = json_parse(lines, (size_t)(end - lines), &record);
        if (r == 0)
            r = reader->change(record, reader->data);
        lines = end + 1;
    }
    return r;
}

int state_file_load(struct state_file *file, const struct state_file_reader *reader)
{
    const struct host *host = sim.current->host;
    AUTO_JSON json_t *content = NULL;
    int r;

    if (!host->state_text || sim.config.mutation == MUTATION_STATE_FILE_FORGETS_TOKEN)
        return STATE_FILE_NONE;
    r = json_parse(host->state_text, strlen(host->state_text), &content);
    if (r == 0)
        r = reader->save(content, reader->data);
    return r < 0 ? r : replay(host->state_changes, reader);
}

int state_file_save(struct state_file *file, const char *content)
{
    struct host *host = sim.current->host;

    if (host->process.is_crashing)
        return 0;
    if (sim.config.mutation == MUTATION_TOKEN_KEPT_TOO_LATE && !strstr(content, "\"identity\""))
        return 0;
    free(host->state_text);
    host->state_text = mem_strdup(content);
    free(TAKE_PTR(host->state_changes));
    return 0;
}

int state_file_append(struct state_file *file, const char *record)
{
    struct host *host = sim.current->host;
    char *before = host->state_changes;

    if (!host->state_text)
        return STATE_FILE_SAVE_FIRST;
    if (host->process.is_crashing)
        return 0;
    host->state_changes = mem_printf("%s%s\n", before ? before : "", record);
    free(before);
    return 0;
}

bool state_file_has_changes(const struct state_file *file)
{
    return sim.current->host->state_changes;
}

int state_file_erase(struct state_file *file)
{
    free(TAKE_PTR(sim.current->host->state_text));
    free(TAKE_PTR(sim.current->host->state_changes));
    return 0;
}
