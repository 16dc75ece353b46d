/* Answers server reflection from tables that the build makes of proto/. */
#include "lib/rpc/reflection.h"

#include <grpc/status.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "proto/reflection.pb-c.h"

struct descriptor_file {
    const char *name;
    const unsigned char *bytes; /* a serialised FileDescriptorProto */
    size_t size;
    const size_t *needs; /* itself and all that it imports, as indices of descriptor_files */
    size_t need_count;
};
struct descriptor_symbol {
    const char *name; /* "quilt.QuiltRuntime.InjectRoute" */
    const struct descriptor_file *file;
    bool is_message;
};
#include "proto/descriptors.h"

#define CASE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define REPLY_CASE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name
/* The files of one answer. */
#define FILES_MAX ARRAY_LEN(descriptor_files)

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_reply;

/* The parts that a reply may point to, so that making one needs no memory. */
struct parts {
    Grpc__Reflection__V1__FileDescriptorResponse files;
    ProtobufCBinaryData file_bytes[FILES_MAX];
    Grpc__Reflection__V1__ExtensionNumberResponse numbers;
    Grpc__Reflection__V1__ListServiceResponse list;
    Grpc__Reflection__V1__ServiceResponse services[4];
    Grpc__Reflection__V1__ServiceResponse *service_list[4];
    Grpc__Reflection__V1__ErrorResponse error;
};

/* protobuf-c has no const in its messages; packing only reads. */
static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static int compare_symbol(const void *key, const void *member)
{
    return strcmp(key, ((const struct descriptor_symbol *)member)->name);
}

static const struct descriptor_symbol *find_symbol(const char *name)
{
    return bsearch(name, descriptor_symbols, ARRAY_LEN(descriptor_symbols),
                   sizeof descriptor_symbols[0], compare_symbol);
}

static const struct descriptor_file *find_file(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(descriptor_files); i++) {
        if (strcmp(descriptor_files[i].name, name) == 0)
            return &descriptor_files[i];
    }
    return NULL;
}

static void fill_error(reflection_reply *reply, struct parts *parts, int code, const char *message)
{
    grpc__reflection__v1__error_response__init(&parts->error);
    parts->error.error_code = code;
    parts->error.error_message = text(message);
    reply->message_response_case = REPLY_CASE(ERROR_RESPONSE);
    reply->error_response = &parts->error;
}

static void fill_file(reflection_reply *reply, struct parts *parts,
                      const struct descriptor_file *file)
{
    if (!file) {
        fill_error(reply, parts, GRPC_STATUS_NOT_FOUND, "not found");
        return;
    }
    for (size_t i = 0; i < file->need_count; i++) {
        const struct descriptor_file *need = &descriptor_files[file->needs[i]];

        parts->file_bytes[i].data = (uint8_t *)(uintptr_t)need->bytes;
        parts->file_bytes[i].len = need->size;
    }
    grpc__reflection__v1__file_descriptor_response__init(&parts->files);
    parts->files.n_file_descriptor_proto = file->need_count;
    parts->files.file_descriptor_proto = parts->file_bytes;
    reply->message_response_case = REPLY_CASE(FILE_DESCRIPTOR_RESPONSE);
    reply->file_descriptor_response = &parts->files;
}

static void fill_symbol(reflection_reply *reply, struct parts *parts, const char *name)
{
    const struct descriptor_symbol *symbol = find_symbol(name);

    fill_file(reply, parts, symbol ? symbol->file : NULL);
}

/* proto3 messages have no extensions: the list of a known type is empty. */
static void fill_numbers(reflection_reply *reply, struct parts *parts, const char *name)
{
    const struct descriptor_symbol *symbol = find_symbol(name);

    if (!symbol || !symbol->is_message) {
        fill_error(reply, parts, GRPC_STATUS_NOT_FOUND, "not found");
        return;
    }
    grpc__reflection__v1__extension_number_response__init(&parts->numbers);
    parts->numbers.base_type_name = text(name);
    reply->message_response_case = REPLY_CASE(ALL_EXTENSION_NUMBERS_RESPONSE);
    reply->all_extension_numbers_response = &parts->numbers;
}

static void fill_services(reflection_reply *reply, struct parts *parts, const char *service)
{
    const char *const names[ARRAY_LEN(parts->services)] = {
        "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection", service};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        grpc__reflection__v1__service_response__init(&parts->services[i]);
        parts->services[i].name = text(names[i]);
        parts->service_list[i] = &parts->services[i];
    }
    grpc__reflection__v1__list_service_response__init(&parts->list);
    parts->list.n_service = ARRAY_LEN(names);
    parts->list.service = parts->service_list;
    reply->message_response_case = REPLY_CASE(LIST_SERVICES_RESPONSE);
    reply->list_services_response = &parts->list;
}

static void fill_reply(const struct rpc_reflection *reflection, const reflection_request *request,
                       reflection_reply *reply, struct parts *parts)
{
    switch ((int)request->message_request_case) {
    case CASE(FILE_BY_FILENAME):
        fill_file(reply, parts, find_file(request->file_by_filename));
        return;
    case CASE(FILE_CONTAINING_SYMBOL):
        fill_symbol(reply, parts, request->file_containing_symbol);
        return;
    case CASE(FILE_CONTAINING_EXTENSION):
        fill_error(reply, parts, GRPC_STATUS_NOT_FOUND, "no extensions");
        return;
    case CASE(ALL_EXTENSION_NUMBERS_OF_TYPE):
        fill_numbers(reply, parts, request->all_extension_numbers_of_type);
        return;
    case CASE(LIST_SERVICES):
        fill_services(reply, parts, reflection->service);
        return;
    }
    fill_error(reply, parts, GRPC_STATUS_INVALID_ARGUMENT, "asks for nothing");
}

static void on_info(struct rpc_call *call, const ProtobufCMessage *message, void *data)
{
    const reflection_request *request = (const reflection_request *)message;
    reflection_reply reply = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    struct parts parts;

    if (!request) {
        rpc_call_finish(call);
        return;
    }
    reply.valid_host = request->host;
    reply.original_request = (reflection_request *)(uintptr_t)request;
    fill_reply(data, request, &reply, &parts);
    rpc_call_send(call, &reply.base);
}

static void on_info_sent(struct rpc_call *call, void *data)
{
    rpc_call_receive(call);
}

void rpc_reflection_routes(struct rpc_reflection *reflection,
                           struct rpc_route ret_routes[RPC_REFLECTION_ROUTES])
{
    const struct rpc_route route = {
        .request = &grpc__reflection__v1__server_reflection_request__descriptor,
        .on_message = on_info,
        .on_sent = on_info_sent,
        .data = reflection,
        .may = RPC_STRANGER,
        .is_stream = true};

    ret_routes[0] = ret_routes[1] = route;
    ret_routes[0].path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    ret_routes[1].path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
}
