/* protobuf messages from outside: checked, then unpacked by protobuf-c. Internal to lib/rpc.
 *
 * protobuf-c gives strings as C strings and so loses a NUL inside, takes bytes that are not UTF-8,
 * and spends tens of bytes of memory on each two-byte field. So the bytes are walked first.
 * Encoding: https://protobuf.dev/programming-guides/encoding/
 */
#pragma once

#include <grpc/byte_buffer.h>
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/* The longest message that is received. */
#define RPC_MESSAGE_BYTES_MAX (4 * 1024 * 1024)
/* Fields (at all depths) a request may have; a thousand routes in one request have four each. */
#define RPC_REQUEST_FIELDS_MAX 4096
/* A reply lists things: 65,534 endpoints with eight fields each is the most there can be. */
#define RPC_REPLY_FIELDS_MAX (1024 * 1024)

/* Walks the bytes of a message of this type: well-formed, strings are UTF-8 without NUL, at most
 * max_fields fields. 0, or -EINVAL with a text that names the field. */
int rpc_message_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
                      size_t max_fields);

/* Checks and unpacks. *ret_message is owned by the caller (protobuf_c_message_free_unpacked). */
int rpc_message_from_bytes(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
                           size_t max_fields, ProtobufCMessage **ret_message);

/* The same from a gRPC buffer (borrowed). -EINVAL also when it cannot be decompressed. */
int rpc_message_from_buffer(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer,
                            size_t max_fields, ProtobufCMessage **ret_message);

/* A new gRPC buffer with the message's bytes. */
grpc_byte_buffer *rpc_message_to_buffer(const ProtobufCMessage *message);
