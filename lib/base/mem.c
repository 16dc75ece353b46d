/* Allocation that does not return failure. */
#include "lib/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"

#define QUICK_MAX 1024

void mem_exhausted(size_t size)
{
    log_error("out of memory, ending", LOG_U("bytes_wanted", size));
    _exit(1);
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);

    if (!p)
        mem_exhausted(size);
    return p;
}

/* glibc's calloc() takes nothing of what the thread has freed, which is the quick way for sizes as
 * most of ours; large ones it gets as zeros from the kernel. */
void *mem_zalloc(size_t size)
{
    void *p;

    if (size <= QUICK_MAX)
        return memset(mem_alloc(size), 0, size);
    p = calloc(1, size);
    if (!p)
        mem_exhausted(size);
    return p;
}

void *mem_array(size_t count, size_t size)
{
    return mem_resize(NULL, count, size);
}

void *mem_resize(void *old, size_t count, size_t size)
{
    size_t bytes;
    void *p;

    if (__builtin_mul_overflow(count, size, &bytes))
        mem_exhausted(SIZE_MAX);
    p = realloc(old, bytes ? bytes : 1);
    if (!p)
        mem_exhausted(bytes);
    return p;
}

void *mem_copy(const void *src, size_t size)
{
    void *p = mem_alloc(size);

    if (size > 0)
        memcpy(p, src, size);
    return p;
}

char *mem_strdup(const char *s)
{
    return mem_copy(s, strlen(s) + 1);
}

char *mem_printf(const char *fmt, ...)
{
    char *s = NULL;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vasprintf(&s, fmt, args);
    va_end(args);
    if (n < 0)
        mem_exhausted(0);
    return s;
}
