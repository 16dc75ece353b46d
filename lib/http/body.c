/* Bytes that several answers share. */
#include "lib/base/mem.h"
#include "lib/http/server_internal.h"

struct http_body {
    unsigned int refs;
    size_t len;
    char *bytes;
    struct MHD_Response *response; /* has a reference, too; NULL: none yet */
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

static void unref(void *body)
{
    http_body_unref(body);
}

struct MHD_Response *http_body_response_new(struct http_body *body, const char *content_type)
{
    union {
        const void *in;
        void *out;
    } bytes = {.in = http_body_bytes(body)}; /* libmicrohttpd reads only */
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        body->len, bytes.out, unref, http_body_ref(body));

    if (!response ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) == MHD_NO)
        mem_exhausted(0);
    return response;
}

struct MHD_Response *http_body_response(struct http_body *body, const char *content_type)
{
    if (!body->response)
        body->response = http_body_response_new(body, content_type);
    return body->response;
}

/* When only the response has a reference left, it goes with the last of the answers under way. */
void http_body_unref(struct http_body *body)
{
    if (!body)
        return;
    body->refs--;
    if (body->refs == 1 && body->response) {
        MHD_destroy_response(TAKE_PTR(body->response));
        return;
    }
    if (body->refs > 0)
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
