/* Bytes that several answers share. */
#include "lib/base/mem.h"
#include "lib/http/server_internal.h"

struct http_body {
    unsigned int refs;
    size_t len;
    char *bytes;
};

struct http_body *http_body_take(char *bytes, size_t n)
{
    struct http_body *body = NEW(struct http_body);

    body->refs = 1;
    body->bytes = bytes;
    body->len = n;
    return body;
}

struct http_body *http_body_new(const void *bytes, size_t n)
{
    return http_body_take(n > 0 ? mem_copy(bytes, n) : NULL, n);
}

struct http_body *http_body_ref(struct http_body *body)
{
    body->refs++;
    return body;
}

void http_body_unref(struct http_body *body)
{
    if (!body || --body->refs > 0)
        return;
    free(body->bytes);
    free(body);
}

const char *http_body_bytes(const struct http_body *body)
{
    return body->bytes ? body->bytes : "";
}

size_t http_body_len(const struct http_body *body)
{
    return body->len;
}
