/* The store's thread. */
#include "control/store/writer.h"

#include <pthread.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

/* What the thread says about one commit; its change sets are in list. */
struct batch {
    struct mailbox_item item;
    struct mailbox_item *list;
    int result;
    char *text; /* owned; NULL: it went well */
    int64_t took_us;
};

struct writer {
    struct store *store;
    struct writer_callbacks callbacks;
    struct mailbox *queue;   /* of store_change */
    struct mailbox *results; /* of batch */
    struct loop_source *source;
    pthread_t thread;
    bool is_thread_running;
    bool is_broken;
    size_t pending;
    struct writer_stats stats;
};

/* ---- the thread ---------------------------------------------------------------------------- */

static void make_copies(struct store *store, struct mailbox_item *list)
{
    for (struct mailbox_item *item = list; item; item = item->next) {
        struct store_change *change = CONTAINER_OF(item, struct store_change, item);

        if (change->copy)
            store_copy(store, change->copy);
    }
}

static struct batch *commit_batch(struct store *store, struct mailbox_item *list)
{
    struct batch *b = NEW(struct batch);
    int64_t began_us = clock_work_us();

    b->list = list;
    b->result = store_commit(store, CONTAINER_OF(list, struct store_change, item));
    b->took_us = clock_work_us() - began_us;
    if (b->result != 0)
        b->text = mem_strdup(err_text());
    else
        make_copies(store, list);
    return b;
}

static void *run(void *data)
{
    struct writer *w = data;
    struct mailbox_item *list;
    bool is_broken = false;

    /* After a failure the store is not touched again; what still comes is left without an answer.
     */
    while ((list = mailbox_wait(w->queue))) {
        struct batch *b;

        if (is_broken)
            continue;
        b = commit_batch(w->store, list);
        is_broken = b->result != 0;
        mailbox_push(w->results, &b->item);
    }
    return NULL;
}

/* ---- the loop ------------------------------------------------------------------------------ */

static void batch_free(struct batch *b)
{
    free(b->text);
    free(b);
}

static void count_batch(struct writer *w, const struct batch *b)
{
    const struct store_change *first = CONTAINER_OF(b->list, struct store_change, item);

    if (first->outcome == STORE_FULL) {
        w->stats.commits_full++;
        return;
    }
    w->stats.commits++;
    w->stats.commit_us += b->took_us;
    for (const struct store_change *c = first; c; c = store_change_next(c))
        w->stats.changes += c->op_count > 0;
}

static void deliver(struct writer *w, struct batch *b)
{
    struct mailbox_item *next;

    if (b->result != 0) {
        w->is_broken = true;
        w->callbacks.broken(b->text, w->callbacks.data);
        return;
    }
    count_batch(w, b);
    for (struct mailbox_item *item = b->list; item; item = next) {
        next = item->next;
        w->pending--;
        w->callbacks.done(CONTAINER_OF(item, struct store_change, item), w->callbacks.data);
    }
}

static void on_results(void *data, uint32_t events)
{
    struct writer *w = data;
    struct mailbox_item *next;

    for (struct mailbox_item *item = mailbox_take_all(w->results); item; item = next) {
        struct batch *b = CONTAINER_OF(item, struct batch, item);

        next = item->next;
        if (!w->is_broken)
            deliver(w, b);
        batch_free(b);
    }
}

int writer_new(struct loop *loop, struct store *store, const struct writer_callbacks *callbacks,
               struct writer **ret_writer)
{
    struct writer *w = NEW(struct writer);
    int r;

    w->store = store;
    w->callbacks = *callbacks;
    r = mailbox_new(&w->queue);
    if (r == 0)
        r = mailbox_new(&w->results);
    if (r == 0)
        r = loop_add_io(loop, mailbox_fd(w->results), EPOLLIN, on_results, w, &w->source);
    if (r == 0) {
        int error = pthread_create(&w->thread, NULL, run, w);

        w->is_thread_running = error == 0;
        r = error == 0 ? 0 : err_sys(error, "start the store's thread");
    }
    if (r < 0) {
        writer_free(w);
        return r;
    }
    *ret_writer = w;
    return 0;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    if (w->is_thread_running) {
        mailbox_close(w->queue);
        (void)pthread_join(w->thread, NULL);
    }
    loop_source_free(w->source);
    if (w->results) {
        struct mailbox_item *next;

        for (struct mailbox_item *item = mailbox_take_all(w->results); item; item = next) {
            next = item->next;
            batch_free(CONTAINER_OF(item, struct batch, item));
        }
    }
    mailbox_free(w->results);
    mailbox_free(w->queue);
    free(w);
}

void writer_submit(struct writer *w, struct store_change *change)
{
    w->pending++;
    mailbox_push(w->queue, &change->item);
}

size_t writer_pending(const struct writer *w)
{
    return w->pending;
}

const struct writer_stats *writer_stats(const struct writer *w)
{
    return &w->stats;
}
