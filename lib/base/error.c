/* The thread's error text. */
#define ERROR_IMPLEMENTATION
#include "lib/base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[ERR_TEXT_MAX];

/* By way of a second buffer: the arguments may quote err_text(). */
__attribute__((format(printf, 1, 0))) static void set_text(const char *fmt, va_list args)
{
    char fresh[ERR_TEXT_MAX];

    (void)vsnprintf(fresh, sizeof fresh, fmt, args);
    memcpy(text, fresh, strlen(fresh) + 1);
}

static void append_text(const char *more)
{
    size_t used = strlen(text);

    (void)snprintf(text + used, sizeof text - used, ": %s", more);
}

int err_fail(int errnum, const char *fmt, ...)
{
    va_list args;

    assert(errnum > 0);
    va_start(args, fmt);
    set_text(fmt, args);
    va_end(args);
    return -errnum;
}

int err_sys(int errnum, const char *fmt, ...)
{
    const char *words = strerrordesc_np(errnum);
    char number[32];
    va_list args;

    assert(errnum > 0);
    va_start(args, fmt);
    set_text(fmt, args);
    va_end(args);
    /* The kernel has numbers that no C library knows, such as its own ENOTSUPP. */
    (void)snprintf(number, sizeof number, "error %d", errnum);
    append_text(words ? words : number);
    return -errnum;
}

int err_wrap(int r, const char *fmt, ...)
{
    char inner[ERR_TEXT_MAX];
    va_list args;

    assert(r < 0);
    memcpy(inner, text, sizeof inner);
    va_start(args, fmt);
    set_text(fmt, args);
    va_end(args);
    append_text(inner);
    return r;
}

const char *err_text(void)
{
    return text;
}
