/* Messages from outside: what is taken and what is refused, byte by byte. */
#include "lib/rpc/message.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "proto/quilt.pb-c.h"
#include "proto/reflection.pb-c.h"
#include "tests/unit/cmocka.h"

/* subnet = 1 and cluster_cidr = 2 are strings. */
#define TYPE (&quilt__configure_node_subnet_request__descriptor)

struct sample {
    const char *bytes;
    size_t n;
    const char *error; /* NULL: is taken */
};
#define SAMPLE(bytes, error)            \
    {                                   \
        bytes, sizeof(bytes) - 1, error \
    }

static const struct sample samples[] = {
    SAMPLE("", NULL), SAMPLE("\x0a\x00", NULL),
    SAMPLE("\x0a\x03"
           "abc",
           NULL),
    SAMPLE("\x0a\x02\xc3\xbc", NULL), /* u umlaut */
    /* Fields we do not know, of each wire type, are left alone. */
    SAMPLE("\x18\x96\x01", NULL),
    SAMPLE("\x19"
           "12345678",
           NULL),
    SAMPLE("\x1a\x02\xff\xff", NULL),
    SAMPLE("\x1d"
           "1234",
           NULL),
    SAMPLE("\xf8\xff\xff\xff\x0f\x01", NULL), /* number 2^29 - 1 */

    SAMPLE("\x0a\x02\xff\xfe",
           "quilt.ConfigureNodeSubnetRequest.subnet: not UTF-8 text without NUL"),
    SAMPLE("\x12\x02"
           "a\0",
           "quilt.ConfigureNodeSubnetRequest.cluster_cidr: not UTF-8 text without NUL"),
    SAMPLE("\x0a", "quilt.ConfigureNodeSubnetRequest: malformed message"),
    SAMPLE("\x0a\x03"
           "ab",
           "quilt.ConfigureNodeSubnetRequest: malformed message"),
    SAMPLE("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
           "quilt.ConfigureNodeSubnetRequest: malformed message"), /* length 2^64 - 1 */
    SAMPLE("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
           "quilt.ConfigureNodeSubnetRequest: malformed message"), /* varint of 11 bytes */
    SAMPLE("\x18", "quilt.ConfigureNodeSubnetRequest: malformed message"),
    SAMPLE("\x19"
           "1234567",
           "quilt.ConfigureNodeSubnetRequest: malformed message"),
    SAMPLE("\x1d"
           "123",
           "quilt.ConfigureNodeSubnetRequest: malformed message"),
    SAMPLE("\x02\x00", "quilt.ConfigureNodeSubnetRequest: malformed message"), /* number 0 */
    SAMPLE("\x0b", "quilt.ConfigureNodeSubnetRequest: malformed message"),     /* group */
    SAMPLE("\x0f", "quilt.ConfigureNodeSubnetRequest: malformed message"),     /* wire type 7 */
    SAMPLE("\x08\x01",
           "quilt.ConfigureNodeSubnetRequest: malformed message"), /* number, not text */
};

static int unpack(const struct sample *s, ProtobufCMessage **ret_message)
{
    return rpc_message_from_bytes(TYPE, (const uint8_t *)s->bytes, s->n, 10, ret_message);
}

static void messages_are_taken_or_refused_with_the_fields_name(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        ProtobufCMessage *message = NULL;
        int r = unpack(&samples[i], &message);

        assert_int_equal(r, samples[i].error ? -EINVAL : 0);
        if (samples[i].error)
            assert_string_equal(err_text(), samples[i].error);
        else
            protobuf_c_message_free_unpacked(message, NULL);
    }
}

static void strings_inside_messages_inside_are_checked(void **state)
{
    /* original_request = 2 { list_services = 7: FF } */
    static const uint8_t bytes[] = {0x12, 0x03, 0x3a, 0x01, 0xff};

    assert_int_equal(
        rpc_message_check(&grpc__reflection__v1__server_reflection_response__descriptor, bytes,
                          sizeof bytes, 10),
        -EINVAL);
    assert_string_equal(err_text(), "grpc.reflection.v1.ServerReflectionRequest.list_services: "
                                    "not UTF-8 text without NUL");
}

static void more_fields_than_allowed_are_refused(void **state)
{
    static const uint8_t bytes[] = {0x18, 1, 0x18, 1, 0x18, 1};

    assert_int_equal(rpc_message_check(TYPE, bytes, sizeof bytes, 3), 0);
    assert_int_equal(rpc_message_check(TYPE, bytes, sizeof bytes, 2), -EINVAL);
    assert_string_equal(err_text(), "quilt.ConfigureNodeSubnetRequest: too many fields");
}

static void a_message_goes_through_a_buffer_and_back(void **state)
{
    Quilt__ConfigureNodeSubnetRequest request = QUILT__CONFIGURE_NODE_SUBNET_REQUEST__INIT;
    char subnet[] = "10.42.1.0/24";
    grpc_byte_buffer *buffer;
    ProtobufCMessage *back;

    request.subnet = subnet;
    buffer = rpc_message_to_buffer(&request.base);
    assert_int_equal(rpc_message_from_buffer(TYPE, buffer, 10, &back), 0);
    assert_string_equal(((Quilt__ConfigureNodeSubnetRequest *)back)->subnet, "10.42.1.0/24");
    protobuf_c_message_free_unpacked(back, NULL);
    grpc_byte_buffer_destroy(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_taken_or_refused_with_the_fields_name),
        cmocka_unit_test(strings_inside_messages_inside_are_checked),
        cmocka_unit_test(more_fields_than_allowed_are_refused),
        cmocka_unit_test(a_message_goes_through_a_buffer_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
