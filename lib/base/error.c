/* The thread's error text. */
#include "lib/base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[ERR_TEXT_MAX];

__attribute__((format(printf, 1, 0))) static void set_text(const char *fmt, va_list args)
{
    (void)vsnprintf(text, sizeof text, fmt, args);
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
    size_t used;
    va_list args;

    assert(errnum > 0);
    va_start(args, fmt);
    set_text(fmt, args);
    va_end(args);
    used = strlen(text);
    (void)snprintf(text + used, sizeof text - used, ": %s", strerrordesc_np(errnum));
    return -errnum;
}

int err_wrap(int r, const char *fmt, ...)
{
    char inner[ERR_TEXT_MAX];
    size_t used;
    va_list args;

    assert(r < 0);
    memcpy(inner, text, sizeof inner);
    va_start(args, fmt);
    set_text(fmt, args);
    va_end(args);
    used = strlen(text);
    (void)snprintf(text + used, sizeof text - used, ": %s", inner);
    return r;
}

const char *err_text(void)
{
    return text;
}
