/* gRPC over HTTP/2 as a load generator needs it: one connection, one call at a time, many messages.
 * The only user of libnghttp2 here.
 *
 *     message on the wire   [ 0 ][ length, 4 bytes ][ protobuf ... ]      gRPC over HTTP2, 1.0
 */
#pragma once

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"

struct h2 {
    int fd; /* borrowed */
    nghttp2_session *session;
    int32_t stream;
    struct strbuf request; /* with its prefix; what is not yet sent */
    size_t request_sent;
    bool is_last; /* the request ends after this message */
    struct strbuf reply;
    bool has_ended;
    int status; /* grpc-status; -1: none yet */
    /* A message has come; bytes are borrowed. */
    void (*on_message)(void *data, const uint8_t *bytes, size_t n);
    void *data;
};

/* fd, on_message and data are set by the caller before. */
int h2_init(struct h2 *h2);
void h2_deinit(struct h2 *h2);

/* Opens a call: "/etcdserverpb.KV/Put". is_last: it has this one message (a unary call). */
int h2_call(struct h2 *h2, const char *path, const struct strbuf *message, bool is_last);
/* A further message of the open call. */
int h2_send(struct h2 *h2, const struct strbuf *message);
/* Reads what is there; -errno with a text when the connection or the call has failed. */
int h2_receive(struct h2 *h2);

/* ---- protobuf, as much as is needed ------------------------------------------------------- */

void pb_add_number(struct strbuf *out, unsigned int field, uint64_t value);
void pb_add_bytes(struct strbuf *out, unsigned int field, const void *bytes, size_t n);
/* The number in a field of a message, 0 when it is not there; for bytes and messages their length.
 */
uint64_t pb_find(const uint8_t *bytes, size_t n, unsigned int field);
