/* Memory, and locals that clean up after themselves.
 *
 * Running out of memory is not an outcome anybody can answer well in the middle of a change, and
 * every daemon here can be killed at any moment without harm. So allocation does not fail: it ends
 * the process with one log line, and whoever started it starts it again. Sizes that come from
 * outside are bounded before they get here.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

void *mem_alloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *mem_zalloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *mem_array(size_t count, size_t size) __attribute__((alloc_size(1, 2), returns_nonnull));
void *mem_resize(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
void *mem_copy(const void *src, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull, nonnull));
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Ends the process for want of memory; for libraries that ask what to do (uthash). */
void mem_exhausted(size_t size) __attribute__((noreturn));

#define NEW(type) ((type *)mem_zalloc(sizeof(type)))

/* CLEANUP(fn) on a local calls fn(&local) when it leaves scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define AUTO_FREE CLEANUP(cleanup_free)
#define AUTO_CLOSE CLEANUP(cleanup_close)

/* DEFINE_CLEANUP(struct foo *, foo_free) makes cleanup_foo_free for CLEANUP(). */
#define DEFINE_CLEANUP(type, free_fn)             \
    static inline void cleanup_##free_fn(type *p) \
    {                                             \
        if (*p)                                   \
            free_fn(*p);                          \
    }                                             \
    struct cleanup_##free_fn##_needs_semicolon

/* Hands a local that owns over to somebody else; the local forgets it. */
#define TAKE_PTR(p)               \
    ({                            \
        __auto_type taken_ = (p); \
        (p) = NULL;               \
        taken_;                   \
    })
#define TAKE_FD(fd)        \
    ({                     \
        int taken_ = (fd); \
        (fd) = -1;         \
        taken_;            \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that holds this member. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
