/* The client: each call is answered once, from the loop, whatever becomes of the server. */
#include "lib/rpc/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "proto/quilt.pb-c.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/rpc/host.h"

#define TIMEOUT_MS 10000
#define RETRY_MS 20
#define NOBODY "unix:/nonexistent/quilt.sock"

struct caller {
    struct loop *loop;
    struct rpc_client *client;
    struct loop_source *retry;
    unsigned int answers;
    unsigned int wanted; /* answers until the loop ends */
    int status;          /* of the latest answer */
    char detail[ERR_TEXT_MAX];
    bool is_freeing; /* the first answer frees the client */
};

static void on_answer(const struct rpc_result *result, void *data)
{
    struct caller *c = data;

    c->answers++;
    c->status = result->status;
    (void)snprintf(c->detail, sizeof c->detail, "%s", result->detail ? result->detail : "");
    if (c->is_freeing)
        rpc_client_free(TAKE_PTR(c->client));
    if (c->answers == c->wanted)
        loop_exit(c->loop, 0);
}

static void call(struct caller *c, const char *path)
{
    Quilt__ConfigureNodeSubnetRequest request = QUILT__CONFIGURE_NODE_SUBNET_REQUEST__INIT;

    rpc_client_call(c->client, path, &request.base, &quilt__configure_node_subnet_reply__descriptor,
                    TIMEOUT_MS, on_answer, c);
}

static void caller_init(struct caller *c, const char *target, unsigned int wanted)
{
    *c = (struct caller){.wanted = wanted, .status = -1};
    assert_int_equal(loop_new(&c->loop), 0);
    assert_int_equal(rpc_client_new(c->loop, target, NULL, &c->client), 0);
}

static void caller_deinit(struct caller *c)
{
    rpc_client_free(c->client);
    loop_source_free(c->retry);
    loop_free(c->loop);
}

static void each_call_is_answered_once(void **state)
{
    struct host *host = host_new("127.0.0.1:0");
    struct caller c;

    caller_init(&c, host_target(host), 100);
    for (unsigned int i = 0; i < 100; i++)
        call(&c, "/quilt.QuiltRuntime/ConfigureNodeSubnet");
    assert_int_equal(loop_run(c.loop), 0);
    assert_int_equal(c.answers, 100);
    assert_int_equal(c.status, 0);
    caller_deinit(&c);
    host_free(host);
}

static void a_reply_of_another_kind_is_an_internal_error(void **state)
{
    struct host *host = host_new("127.0.0.1:0");
    Quilt__ConfigureNodeSubnetRequest request = QUILT__CONFIGURE_NODE_SUBNET_REQUEST__INIT;
    struct caller c;

    caller_init(&c, host_target(host), 1);
    /* Field 1 of the reply is a bool; field 1 of what is expected is a message. */
    rpc_client_call(c.client, "/quilt.QuiltRuntime/ConfigureNodeSubnet", &request.base,
                    &quilt__list_routes_reply__descriptor, TIMEOUT_MS, on_answer, &c);
    assert_int_equal(loop_run(c.loop), 0);
    assert_int_equal(c.status, 13);
    assert_string_equal(c.detail, "INTERNAL: quilt.ListRoutesReply: malformed message");
    caller_deinit(&c);
    host_free(host);
}

static void nobody_there_is_unavailable_at_once(void **state)
{
    struct caller c;

    caller_init(&c, NOBODY, 1);
    call(&c, "/quilt.QuiltRuntime/ConfigureNodeSubnet");
    assert_int_equal(loop_run(c.loop), 0);
    assert_int_equal(c.status, 14);
    assert_non_null(strstr(c.detail, "UNAVAILABLE: "));
    assert_non_null(strstr(c.detail, "No such file or directory"));
    caller_deinit(&c);
}

static void a_freed_client_answers_no_more(void **state)
{
    struct host *host = host_new("127.0.0.1:0");
    struct caller c;

    caller_init(&c, host_target(host), 0);
    call(&c, "/quilt.QuiltRuntime/RemoveRoute");
    host_wait_held(host, 1);
    caller_deinit(&c);
    assert_int_equal(c.answers, 0);
    host_free(host);
}

static void an_answer_may_free_the_client(void **state)
{
    struct caller c;

    caller_init(&c, NOBODY, 1);
    c.is_freeing = true;
    for (unsigned int i = 0; i < 3; i++)
        call(&c, "/quilt.QuiltRuntime/ConfigureNodeSubnet");
    assert_int_equal(loop_run(c.loop), 0);
    assert_int_equal(c.answers, 1);
    caller_deinit(&c);
}

/* The server is there, goes, and comes back, as the client's answers show. */
struct life {
    struct caller caller;
    struct host *host;
    const char *listen;
    unsigned int stage;
};

static void on_life(const struct rpc_result *result, void *data)
{
    struct life *life = data;

    if (life->stage == 0 && result->status == 0) {
        host_free(TAKE_PTR(life->host));
        life->stage = 1;
    } else if (life->stage == 1 && result->status == 14) {
        life->host = host_new(life->listen);
        life->stage = 2;
    } else if (life->stage == 2 && result->status == 0) {
        loop_exit(life->caller.loop, 0);
        return;
    }
    loop_timer_set_in(life->caller.retry, RETRY_MS);
}

static void live_on(void *data)
{
    struct life *life = data;
    Quilt__ConfigureNodeSubnetRequest request = QUILT__CONFIGURE_NODE_SUBNET_REQUEST__INIT;

    rpc_client_call(life->caller.client, "/quilt.QuiltRuntime/ConfigureNodeSubnet", &request.base,
                    &quilt__configure_node_subnet_reply__descriptor, TIMEOUT_MS, on_life, life);
}

static void a_server_that_comes_back_is_found_again(void **state)
{
    char dir[] = "/tmp/quilt-rpc-XXXXXX";
    AUTO_FREE char *listen = NULL;
    struct life life = {0};

    assert_non_null(mkdtemp(dir));
    life.listen = listen = mem_printf("unix:%s/socket", dir);
    life.host = host_new(listen);
    caller_init(&life.caller, listen, 0);
    assert_int_equal(loop_add_timer(life.caller.loop, live_on, &life, &life.caller.retry), 0);
    live_on(&life);
    assert_int_equal(loop_run(life.caller.loop), 0);
    assert_int_equal(life.stage, 2);
    caller_deinit(&life.caller);
    host_free(life.host);
    assert_int_equal(rmdir(dir), 0);
}

static void a_target_that_does_not_parse_is_refused(void **state)
{
    struct rpc_client *client;
    struct loop *loop;

    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(rpc_client_new(loop, "ftp://a", NULL, &client), -EINVAL);
    assert_string_equal(err_text(),
                        "\"ftp://a\": must be http://HOST:PORT, https://ADDR:PORT or unix:PATH");
    loop_free(loop);
}

static void a_tools_call_says_what_went_wrong_and_where(void **state)
{
    Quilt__ListRoutesRequest request = QUILT__LIST_ROUTES_REQUEST__INIT;
    ProtobufCMessage *reply;

    assert_int_equal(rpc_call_once(NOBODY, NULL, "/quilt.QuiltRuntime/ListRoutes", &request.base,
                                   &quilt__list_routes_reply__descriptor, TIMEOUT_MS, &reply),
                     -ECONNREFUSED);
    assert_non_null(
        strstr(err_text(), "call /quilt.QuiltRuntime/ListRoutes at " NOBODY ": UNAVAILABLE: "));
    assert_int_equal(rpc_call_once("nonsense", NULL, "/quilt.QuiltRuntime/ListRoutes",
                                   &request.base, &quilt__list_routes_reply__descriptor, TIMEOUT_MS,
                                   &reply),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_is_answered_once),
        cmocka_unit_test(a_reply_of_another_kind_is_an_internal_error),
        cmocka_unit_test(nobody_there_is_unavailable_at_once),
        cmocka_unit_test(a_freed_client_answers_no_more),
        cmocka_unit_test(an_answer_may_free_the_client),
        cmocka_unit_test(a_server_that_comes_back_is_found_again),
        cmocka_unit_test(a_target_that_does_not_parse_is_refused),
        cmocka_unit_test(a_tools_call_says_what_went_wrong_and_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
