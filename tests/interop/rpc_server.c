/* A server of lib/rpc for foreign clients to try: quilt.QuiltRuntime with answers that need no
 * system.
 *
 *     ConfigureNodeSubnet  at once: success, and error = the subnet that was asked for
 *     InjectRoute          when the destination is "fail": UNAVAILABLE
 *     RemoveRoute          never; the call is held
 *
 * usage: rpc_server LISTEN. Prints the port when it is ready; ends on SIGTERM. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/mem.h"
#include "lib/rpc/server.h"
#include "proto/quilt.pb-c.h"

#define GRACE_MS 1000

struct program {
    struct loop *loop;
    struct loop_source *sigterm;
    struct rpc_server *server;
};

static void on_configure(struct rpc_call *call, const ProtobufCMessage *message, void *data)
{
    const Quilt__ConfigureNodeSubnetRequest *request =
        (const Quilt__ConfigureNodeSubnetRequest *)message;
    Quilt__ConfigureNodeSubnetReply reply = QUILT__CONFIGURE_NODE_SUBNET_REPLY__INIT;

    reply.success = true;
    reply.error = request->subnet;
    rpc_reply(call, &reply.base);
}

static void on_inject(struct rpc_call *call, const ProtobufCMessage *message, void *data)
{
    const Quilt__InjectRouteRequest *request = (const Quilt__InjectRouteRequest *)message;
    Quilt__InjectRouteReply reply = QUILT__INJECT_ROUTE_REPLY__INIT;

    if (strcmp(request->destination, "fail") == 0) {
        rpc_fail(call, 14, "no \"%s\" today: 100%% ü", request->destination);
        return;
    }
    reply.success = true;
    rpc_reply(call, &reply.base);
}

static void on_remove(struct rpc_call *call, const ProtobufCMessage *message, void *data)
{
    log_info("held");
}

static const struct rpc_method methods[] = {
    {"/quilt.QuiltRuntime/ConfigureNodeSubnet", &quilt__configure_node_subnet_request__descriptor,
     on_configure, RPC_MASTER},
    {"/quilt.QuiltRuntime/InjectRoute", &quilt__inject_route_request__descriptor, on_inject,
     RPC_MASTER},
    {"/quilt.QuiltRuntime/RemoveRoute", &quilt__remove_route_request__descriptor, on_remove,
     RPC_MASTER},
};

static void on_stopped(void *data)
{
    struct program *program = data;

    loop_exit(program->loop, 0);
}

static void on_sigterm(void *data)
{
    struct program *program = data;

    rpc_server_stop(program->server, GRACE_MS, on_stopped, program);
}

static int start(struct program *program, const char *listen)
{
    const struct rpc_server_config config = {.listen = listen,
                                             .service = "quilt.QuiltRuntime",
                                             .methods = methods,
                                             .method_count = ARRAY_LEN(methods),
                                             .data = program};
    int r = loop_new(&program->loop);

    if (r == 0)
        r = loop_add_signal(program->loop, SIGTERM, on_sigterm, program, &program->sigterm);
    if (r == 0)
        r = rpc_server_new(program->loop, &config, &program->server);
    return r;
}

static int run(struct program *program)
{
    rpc_server_set_serving(program->server, true);
    (void)printf("%d\n", rpc_server_port(program->server));
    (void)fflush(stdout);
    return loop_run(program->loop);
}

int main(int argc, char **argv)
{
    struct program program = {0};
    int r = start(&program, argc > 1 ? argv[1] : "127.0.0.1:0");

    if (r == 0)
        r = run(&program);
    if (r < 0)
        log_error("cannot serve", LOG_ERR());
    rpc_server_free(program.server);
    loop_source_free(program.sigterm);
    loop_free(program.loop);
    return r == 0 ? 0 : 1;
}
