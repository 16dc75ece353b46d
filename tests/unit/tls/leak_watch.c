/* In a file of its own: the compiler takes free() for a function that changes nothing in the file
 * that calls it. */
#include "tests/unit/tls/leak_watch.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void __real_free(void *block);
void __wrap_free(void *block);
void *__wrap_realloc(void *old, size_t size);

static char marker[33]; /* "": nothing is looked for */
static unsigned int left_behind;

void __wrap_free(void *block)
{
    if (block && marker[0] && memmem(block, malloc_usable_size(block), marker, strlen(marker)))
        left_behind++;
    __real_free(block);
}

/* As one that always moves. */
void *__wrap_realloc(void *old, size_t size)
{
    void *block = malloc(size);
    size_t had = old ? malloc_usable_size(old) : 0;

    if (block && old)
        memcpy(block, old, had < size ? had : size);
    __wrap_free(old);
    return block;
}

void leak_watch_for(const char *text)
{
    (void)snprintf(marker, sizeof marker, "%.32s", text);
    left_behind = 0;
}

unsigned int leak_watch_found(void)
{
    marker[0] = '\0';
    return left_behind;
}
