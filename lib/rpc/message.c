/* Checks and unpacks protobuf messages. */
#include "lib/rpc/message.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define VARINT_BYTES_MAX 10

enum wire_type { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_BYTES = 2, WIRE_32BIT = 5 };

/* What is left to read:
 *
 *     | tag: varint (number << 3 | wire type) | value | tag | value | ...
 *       value: varint | 8 bytes | varint length, bytes | 4 bytes
 */
struct wire {
    const uint8_t *next;
    size_t left;
};

struct wire_field {
    uint32_t number;
    uint32_t wire_type;
    struct wire content; /* of WIRE_BYTES */
};

static bool take_varint(struct wire *w, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned int i = 0; i < VARINT_BYTES_MAX && i < w->left; i++) {
        value |= (uint64_t)(w->next[i] & 0x7f) << (7 * i);
        if (w->next[i] & 0x80)
            continue;
        w->next += i + 1;
        w->left -= i + 1;
        *ret = value;
        return true;
    }
    return false;
}

static bool take_bytes(struct wire *w, uint64_t n, struct wire *ret)
{
    if (n > w->left)
        return false;
    *ret = (struct wire){.next = w->next, .left = (size_t)n};
    w->next += n;
    w->left -= (size_t)n;
    return true;
}

static bool take_value(struct wire *w, struct wire_field *field)
{
    uint64_t number;

    switch ((enum wire_type)field->wire_type) {
    case WIRE_VARINT:
        return take_varint(w, &number);
    case WIRE_64BIT:
        return take_bytes(w, 8, &field->content);
    case WIRE_BYTES:
        return take_varint(w, &number) && take_bytes(w, number, &field->content);
    case WIRE_32BIT:
        return take_bytes(w, 4, &field->content);
    }
    return false;
}

static bool take_field(struct wire *w, struct wire_field *ret_field)
{
    uint64_t tag;

    if (!take_varint(w, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return false;
    ret_field->number = (uint32_t)(tag >> 3);
    ret_field->wire_type = (uint32_t)(tag & 7);
    return take_value(w, ret_field);
}

static int check_message(const ProtobufCMessageDescriptor *type, struct wire w,
                         size_t *fields_left);

static int check_field(const ProtobufCMessageDescriptor *type, const struct wire_field *field,
                       size_t *fields_left)
{
    const ProtobufCFieldDescriptor *known =
        protobuf_c_message_descriptor_get_field(type, field->number);

    if (!known || field->wire_type != WIRE_BYTES)
        return 0;
    if (known->type == PROTOBUF_C_TYPE_MESSAGE)
        return check_message(known->descriptor, field->content, fields_left);
    if (known->type == PROTOBUF_C_TYPE_STRING &&
        !parse_is_utf8((const char *)field->content.next, field->content.left))
        return err_fail(EINVAL, "%s.%s: not UTF-8 text without NUL", type->name, known->name);
    return 0;
}

/* Recursion ends with the types: none of ours holds itself. */
static int check_message(const ProtobufCMessageDescriptor *type, struct wire w, size_t *fields_left)
{
    struct wire_field field;
    int r = 0;

    while (w.left > 0 && r == 0) {
        if (!take_field(&w, &field))
            return err_fail(EINVAL, "%s: malformed message", type->name);
        if ((*fields_left)-- == 0)
            return err_fail(EINVAL, "%s: too many fields", type->name);
        r = check_field(type, &field, fields_left);
    }
    return r;
}

int rpc_message_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
                      size_t max_fields)
{
    return check_message(type, (struct wire){.next = bytes, .left = n}, &max_fields);
}

int rpc_message_from_bytes(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
                           size_t max_fields, ProtobufCMessage **ret_message)
{
    ProtobufCMessage *message;
    int r = rpc_message_check(type, bytes, n, max_fields);

    if (r < 0)
        return r;
    message = protobuf_c_message_unpack(type, NULL, n, bytes);
    if (!message)
        return err_fail(EINVAL, "%s: malformed message", type->name);
    *ret_message = message;
    return 0;
}

int rpc_message_from_buffer(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer,
                            size_t max_fields, ProtobufCMessage **ret_message)
{
    grpc_byte_buffer_reader reader;
    grpc_slice slice;
    int r;

    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return err_fail(EINVAL, "%s: cannot be decompressed", type->name);
    slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    r = rpc_message_from_bytes(type, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice),
                               max_fields, ret_message);
    grpc_slice_unref(slice);
    return r;
}

grpc_byte_buffer *rpc_message_to_buffer(const ProtobufCMessage *message)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    grpc_slice slice = grpc_slice_malloc(n);
    grpc_byte_buffer *buffer;

    (void)protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}
