/* Whatever bytes come as a protobuf message, checking and unpacking them ends and stays inside
 * them, and what is taken can be packed and is taken again.
 *
 *     | which type | the message ...
 */
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/rpc/message.h"
#include "proto/health.pb-c.h"
#include "proto/quilt.pb-c.h"
#include "proto/reflection.pb-c.h"
#include "tests/fuzz/fuzz.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &quilt__configure_node_subnet_request__descriptor,
    &quilt__attach_endpoint_request__descriptor,
    &quilt__list_endpoints_reply__descriptor,
    &quilt__get_status_reply__descriptor,
    &grpc__health__v1__health_list_response__descriptor,
    &grpc__reflection__v1__server_reflection_request__descriptor,
    &grpc__reflection__v1__server_reflection_response__descriptor,
};

static void expect_taken_again(const ProtobufCMessage *message)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    AUTO_FREE uint8_t *bytes = mem_alloc(n + 1);

    (void)protobuf_c_message_pack(message, bytes);
    if (rpc_message_check(message->descriptor, bytes, n, RPC_REPLY_FIELDS_MAX) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    ProtobufCMessage *message;

    if (n == 0)
        return 0;
    if (rpc_message_from_bytes(types[bytes[0] % ARRAY_LEN(types)], bytes + 1, n - 1,
                               RPC_REQUEST_FIELDS_MAX, &message) < 0)
        return 0;
    expect_taken_again(message);
    protobuf_c_message_free_unpacked(message, NULL);
    return 0;
}
