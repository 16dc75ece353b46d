/* The server: what it answers, what it answers by itself, and how it stops. */
#include "lib/rpc/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/rpc/client.h"
#include "proto/health.pb-c.h"
#include "proto/quilt.pb-c.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/rpc/host.h"

#define TIMEOUT_MS 10000
#define ANY_PORT "127.0.0.1:0"

static int call_configure(struct host *host, char *subnet, ProtobufCMessage **ret_reply)
{
    Quilt__ConfigureNodeSubnetRequest request = QUILT__CONFIGURE_NODE_SUBNET_REQUEST__INIT;

    request.subnet = subnet;
    return rpc_call_once(host_target(host), NULL, "/quilt.QuiltRuntime/ConfigureNodeSubnet",
                         &request.base, &quilt__configure_node_subnet_reply__descriptor, TIMEOUT_MS,
                         ret_reply);
}

/* Fails the test when the call fails or the reply is another one. */
static void expect_echo(struct host *host)
{
    char subnet[] = "10.42.1.0/24";
    ProtobufCMessage *reply = NULL;
    Quilt__ConfigureNodeSubnetReply *configured;

    if (call_configure(host, subnet, &reply) < 0)
        fail_msg("%s", err_text());
    configured = (Quilt__ConfigureNodeSubnetReply *)reply;
    assert_true(configured->success);
    assert_string_equal(configured->error, "10.42.1.0/24");
    protobuf_c_message_free_unpacked(reply, NULL);
}

static int call_empty(struct host *host, const char *path, int64_t timeout_ms)
{
    Quilt__ListRoutesRequest request = QUILT__LIST_ROUTES_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    int r = rpc_call_once(host_target(host), NULL, path, &request.base,
                          &quilt__list_routes_reply__descriptor, timeout_ms, &reply);

    if (r == 0)
        protobuf_c_message_free_unpacked(reply, NULL);
    return r;
}

/* The status of Check, or a negative errno. */
static int check(const char *target, char *service)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    ProtobufCMessage *reply;
    int r;

    request.service = service;
    r = rpc_call_once(target, NULL, "/grpc.health.v1.Health/Check", &request.base,
                      &grpc__health__v1__health_check_response__descriptor, TIMEOUT_MS, &reply);
    if (r < 0)
        return r;
    r = (int)((Grpc__Health__V1__HealthCheckResponse *)reply)->status;
    protobuf_c_message_free_unpacked(reply, NULL);
    return r;
}

static int new_host(void **state)
{
    *state = host_new(ANY_PORT);
    return 0;
}

static int free_host(void **state)
{
    host_free(*state);
    return 0;
}

static void a_call_gets_the_handlers_reply(void **state)
{
    expect_echo(*state);
}

static void a_failed_call_gets_status_and_text(void **state)
{
    Quilt__InjectRouteRequest request = QUILT__INJECT_ROUTE_REQUEST__INIT;
    char destination[] = "10.42.9.0/24";
    ProtobufCMessage *reply;

    request.destination = destination;
    assert_int_equal(rpc_call_once(host_target(*state), NULL, "/quilt.QuiltRuntime/InjectRoute",
                                   &request.base, &quilt__inject_route_reply__descriptor,
                                   TIMEOUT_MS, &reply),
                     -ECONNREFUSED);
    assert_non_null(strstr(err_text(), ": UNAVAILABLE: no route to 10.42.9.0/24"));
}

static void an_unknown_method_is_unimplemented(void **state)
{
    assert_int_equal(call_empty(*state, "/quilt.QuiltRuntime/Nope", TIMEOUT_MS), -EOPNOTSUPP);
    assert_non_null(strstr(err_text(), ": UNIMPLEMENTED: unknown method /quilt.QuiltRuntime/Nope"));
}

static void text_that_is_not_utf8_is_an_invalid_argument(void **state)
{
    char subnet[] = "\xff\xfe";
    ProtobufCMessage *reply;

    assert_int_equal(call_configure(*state, subnet, &reply), -EPROTO);
    assert_non_null(strstr(err_text(), ": INVALID_ARGUMENT: quilt.ConfigureNodeSubnetRequest.subnet"
                                       ": not UTF-8 text without NUL"));
}

/* A deadline that passes before the call has reached the server proves nothing: again. */
static void an_unanswered_call_ends_at_its_deadline(void **state)
{
    struct host *host = *state;

    while (host_held(host) == 0) {
        assert_int_equal(call_empty(host, "/quilt.QuiltRuntime/RemoveRoute", 50), -ETIMEDOUT);
        assert_non_null(strstr(err_text(), ": DEADLINE_EXCEEDED: "));
    }
    host_do(host, host_answer_held); /* too late, and no harm */
    expect_echo(host);
}

static void finished_calls_are_counted(void **state)
{
    struct host *host = *state;
    unsigned int all, ok;

    expect_echo(host);
    (void)call_empty(host, "/quilt.QuiltRuntime/InjectRoute", TIMEOUT_MS);
    (void)call_empty(host, "/quilt.QuiltRuntime/Nope", TIMEOUT_MS); /* is not */
    host_do(host, host_stop);
    host_wait_stopped(host);
    host_counts(host, &all, &ok);
    assert_int_equal(all, 2);
    assert_int_equal(ok, 1);
}

static void set_serving(struct host *host)
{
    rpc_server_set_serving(host_server(host), true);
}

static void health_is_not_serving_until_it_is_set(void **state)
{
    struct host *host = *state;
    char whole[] = "", service[] = "quilt.QuiltRuntime", other[] = "quilt.Other";

    assert_int_equal(check(host_target(host), whole), 2);
    assert_int_equal(check(host_target(host), service), 2);
    host_do(host, set_serving);
    assert_int_equal(check(host_target(host), whole), 1);
    assert_int_equal(check(host_target(host), service), 1);
    assert_int_equal(check(host_target(host), other), -EPROTO);
    assert_non_null(strstr(err_text(), ": NOT_FOUND: unknown service \"quilt.Other\""));
}

static void health_lists_the_server_and_its_service(void **state)
{
    Grpc__Health__V1__HealthListRequest request = GRPC__HEALTH__V1__HEALTH_LIST_REQUEST__INIT;
    Grpc__Health__V1__HealthListResponse *list;
    ProtobufCMessage *reply;

    assert_int_equal(
        rpc_call_once(host_target(*state), NULL, "/grpc.health.v1.Health/List", &request.base,
                      &grpc__health__v1__health_list_response__descriptor, TIMEOUT_MS, &reply),
        0);
    list = (Grpc__Health__V1__HealthListResponse *)reply;
    assert_int_equal(list->n_statuses, 2);
    assert_string_equal(list->statuses[0]->key, "");
    assert_string_equal(list->statuses[1]->key, "quilt.QuiltRuntime");
    assert_int_equal(list->statuses[1]->value->status, 2);
    protobuf_c_message_free_unpacked(reply, NULL);
}

/* ---- listening ------------------------------------------------------------------------------ */

static int listen_too(const char *listen)
{
    const struct rpc_server_config config = {.listen = listen, .service = "quilt.QuiltRuntime"};
    struct rpc_server *server;
    struct loop *loop;
    int r;

    assert_int_equal(loop_new(&loop), 0);
    r = rpc_server_new(loop, &config, &server);
    if (r == 0)
        rpc_server_free(server);
    loop_free(loop);
    return r;
}

static void a_port_is_never_shared(void **state)
{
    struct host *host = *state;
    AUTO_FREE char *listen = mem_printf("127.0.0.1:%d", rpc_server_port(host_server(host)));

    assert_int_equal(listen_too(listen), -EADDRINUSE);
    assert_non_null(strstr(err_text(), ": Address already in use"));
    expect_echo(host);
}

static void an_address_that_does_not_parse_is_refused(void **state)
{
    assert_int_equal(listen_too("nonsense"), -EINVAL);
}

static void a_unix_socket_is_for_owner_and_group_and_never_shared(void **state)
{
    char dir[] = "/tmp/quilt-rpc-XXXXXX";
    AUTO_FREE char *path = NULL, *listen = NULL;
    struct host *host;
    struct stat st;

    assert_non_null(mkdtemp(dir));
    path = mem_printf("%s/runtime socket%%", dir);
    listen = mem_printf("unix:%s", path);
    host = host_new(listen);
    assert_int_equal(rpc_server_port(host_server(host)), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0660);
    assert_int_equal(listen_too(listen), -EADDRINUSE);
    expect_echo(host);
    host_free(host);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rmdir(dir), 0);
}

/* ---- stopping ------------------------------------------------------------------------------- */

/* One connected client, in the test's thread. */
struct visitor {
    struct loop *loop;
    struct rpc_client *client;
    struct host *host;
    int removed_status;  /* of the held call */
    int checked_status;  /* gRPC's, of Check */
    int checked_serving; /* what Check says */
    unsigned int left;   /* answers until the loop ends */
};

static void count_answer(struct visitor *v)
{
    if (--v->left == 0)
        loop_exit(v->loop, 0);
}

static void on_checked(const struct rpc_result *result, void *data)
{
    struct visitor *v = data;

    v->checked_status = result->status;
    if (result->status == 0)
        v->checked_serving =
            (int)((const Grpc__Health__V1__HealthCheckResponse *)result->reply)->status;
    count_answer(v);
}

static void on_removed(const struct rpc_result *result, void *data)
{
    struct visitor *v = data;

    v->removed_status = result->status;
    count_answer(v);
}

static void visitor_check(struct visitor *v)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

    rpc_client_call(v->client, "/grpc.health.v1.Health/Check", &request.base,
                    &grpc__health__v1__health_check_response__descriptor, TIMEOUT_MS, on_checked,
                    v);
}

static void visitor_init(struct visitor *v, struct host *host)
{
    Quilt__RemoveRouteRequest request = QUILT__REMOVE_ROUTE_REQUEST__INIT;

    *v = (struct visitor){.host = host, .removed_status = -1, .checked_status = -1, .left = 2};
    assert_int_equal(loop_new(&v->loop), 0);
    assert_int_equal(rpc_client_new(v->loop, host_target(host), NULL, &v->client), 0);
    rpc_client_call(v->client, "/quilt.QuiltRuntime/RemoveRoute", &request.base,
                    &quilt__remove_route_reply__descriptor, TIMEOUT_MS, on_removed, v);
    host_wait_held(host, 1);
}

static void visitor_deinit(struct visitor *v)
{
    rpc_client_free(v->client);
    loop_free(v->loop);
}

static void while_it_stops_it_says_so_and_calls_under_way_finish(void **state)
{
    struct host *host = *state;
    struct visitor v;

    host_do(host, set_serving);
    visitor_init(&v, host);
    visitor_check(&v); /* goes out before the stop; may be answered before it */
    host_do(host, host_stop);
    v.left++;
    visitor_check(&v);
    host_do(host, host_answer_held);
    assert_int_equal(loop_run(v.loop), 0);
    assert_int_equal(v.removed_status, 0);
    assert_int_equal(v.checked_status, 0);
    assert_int_equal(v.checked_serving, 2);
    host_wait_stopped(host);
    visitor_deinit(&v);
}

static void what_does_not_finish_in_time_is_cancelled(void **state)
{
    struct host *host = *state;
    struct visitor v;

    visitor_init(&v, host);
    v.left = 1;
    host_do(host, host_stop_at_once);
    assert_int_equal(loop_run(v.loop), 0);
    assert_true(v.removed_status == 1 || v.removed_status == 14);
    host_wait_stopped(host);
    host_do(host, host_answer_held); /* goes nowhere, and no harm */
    visitor_deinit(&v);
}

static void a_server_can_be_freed_with_calls_under_way(void **state)
{
    struct host *host = host_new(ANY_PORT);
    struct visitor v;

    visitor_init(&v, host);
    v.left = 1;
    host_free(host);
    assert_int_equal(loop_run(v.loop), 0);
    assert_true(v.removed_status == 1 || v.removed_status == 14);
    visitor_deinit(&v);
}

static void a_server_can_be_freed_while_it_stops(void **state)
{
    struct host *host = host_new(ANY_PORT);
    struct visitor v;

    visitor_init(&v, host);
    host_do(host, host_stop);
    host_free(host);
    visitor_deinit(&v);
}

struct alone {
    struct loop *loop;
    struct rpc_server *server;
};

static void free_and_leave(void *data)
{
    struct alone *alone = data;

    rpc_server_free(TAKE_PTR(alone->server));
    loop_exit(alone->loop, 0);
}

static void the_end_of_a_stop_may_free_the_server(void **state)
{
    const struct rpc_server_config config = {.listen = ANY_PORT, .service = "quilt.QuiltRuntime"};
    struct alone alone;

    assert_int_equal(loop_new(&alone.loop), 0);
    assert_int_equal(rpc_server_new(alone.loop, &config, &alone.server), 0);
    rpc_server_stop(alone.server, 0, free_and_leave, &alone);
    assert_int_equal(loop_run(alone.loop), 0);
    assert_null(alone.server);
    loop_free(alone.loop);
}

#define with_host(test) cmocka_unit_test_setup_teardown(test, new_host, free_host)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_host(a_call_gets_the_handlers_reply),
        with_host(a_failed_call_gets_status_and_text),
        with_host(an_unknown_method_is_unimplemented),
        with_host(text_that_is_not_utf8_is_an_invalid_argument),
        with_host(an_unanswered_call_ends_at_its_deadline),
        with_host(finished_calls_are_counted),
        with_host(health_is_not_serving_until_it_is_set),
        with_host(health_lists_the_server_and_its_service),
        with_host(a_port_is_never_shared),
        cmocka_unit_test(an_address_that_does_not_parse_is_refused),
        cmocka_unit_test(a_unix_socket_is_for_owner_and_group_and_never_shared),
        with_host(while_it_stops_it_says_so_and_calls_under_way_finish),
        with_host(what_does_not_finish_in_time_is_cancelled),
        cmocka_unit_test(a_server_can_be_freed_with_calls_under_way),
        cmocka_unit_test(a_server_can_be_freed_while_it_stops),
        cmocka_unit_test(the_end_of_a_stop_may_free_the_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
