/* GnuTLS's errors in our words. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/tls/internal.h"

int tls_fail(int code, const char *fmt, ...)
{
    char words[ERR_TEXT_MAX];
    va_list args;

    if (code == GNUTLS_E_MEMORY_ERROR)
        mem_exhausted(0);
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return err_fail(EINVAL, "%s: %s", words, gnutls_strerror(code));
}

char *tls_take_text(gnutls_datum_t *exported)
{
    char *text = mem_alloc((size_t)exported->size + 1);

    memcpy(text, exported->data, exported->size);
    text[exported->size] = '\0';
    explicit_bzero(exported->data, exported->size);
    gnutls_free(exported->data);
    return text;
}
