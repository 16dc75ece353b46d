/* The one way between two threads. */
#include "lib/base/mailbox.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct mailbox_item *first;
    struct mailbox_item **last_next;
    bool is_closed;
    bool is_polled; /* somebody waits for event_fd */
    int event_fd;
};

int mailbox_new(struct mailbox **ret_mailbox)
{
    struct mailbox *m;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return err_sys(errno, "create eventfd");
    m = NEW(struct mailbox);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->filled, NULL);
    m->last_next = &m->first;
    m->event_fd = fd;
    *ret_mailbox = m;
    return 0;
}

void mailbox_free(struct mailbox *m)
{
    if (!m)
        return;
    assert(!m->first);
    close(m->event_fd);
    pthread_cond_destroy(&m->filled);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static void make_readable(const struct mailbox *m)
{
    uint64_t one = 1;

    /* Full (EAGAIN) means readable, which is all that is wanted. */
    if (write(m->event_fd, &one, sizeof one) < 0)
        return;
}

/* What is pushed on top of something that has not been taken yet is taken with it. */
void mailbox_push(struct mailbox *m, struct mailbox_item *item)
{
    bool is_news;

    item->next = NULL;
    pthread_mutex_lock(&m->lock);
    assert(!m->is_closed);
    is_news = !m->first && m->is_polled;
    *m->last_next = item;
    m->last_next = &item->next;
    pthread_mutex_unlock(&m->lock);
    pthread_cond_signal(&m->filled); /* whoever wakes now finds the lock free */
    if (is_news)
        make_readable(m);
}

static struct mailbox_item *take_locked(struct mailbox *m)
{
    struct mailbox_item *first = m->first;

    m->first = NULL;
    m->last_next = &m->first;
    return first;
}

struct mailbox_item *mailbox_take_all(struct mailbox *m)
{
    struct mailbox_item *first;
    uint64_t count;

    /* Read before taking: a push in between makes the descriptor readable again. */
    if (read(m->event_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return NULL;
    pthread_mutex_lock(&m->lock);
    first = take_locked(m);
    pthread_mutex_unlock(&m->lock);
    return first;
}

struct mailbox_item *mailbox_wait(struct mailbox *m)
{
    struct mailbox_item *first;

    pthread_mutex_lock(&m->lock);
    while (!m->first && !m->is_closed)
        pthread_cond_wait(&m->filled, &m->lock);
    first = take_locked(m);
    pthread_mutex_unlock(&m->lock);
    return first;
}

void mailbox_close(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    m->is_closed = true;
    pthread_cond_broadcast(&m->filled);
    pthread_mutex_unlock(&m->lock);
}

int mailbox_fd(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    if (!m->is_polled && m->first)
        make_readable(m);
    m->is_polled = true;
    pthread_mutex_unlock(&m->lock);
    return m->event_fd;
}
