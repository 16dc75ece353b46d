/* A server in a thread. */
#include "tests/unit/rpc/host.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mailbox.h"
#include "lib/base/mem.h"
#include "proto/quilt.pb-c.h"
#include "tests/unit/cmocka.h"

#define HELD_MAX 8

struct host {
    struct loop *loop;
    struct mailbox *commands;
    struct loop_source *source;
    struct rpc_server *server;
    char *target;
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    unsigned int commands_done;
    struct rpc_call *held[HELD_MAX];
    unsigned int held_count, answered_count;
    bool is_stopped;
    unsigned int done_count, ok_count;
};

struct command {
    struct mailbox_item item;
    void (*fn)(struct host *host);
};

static void lock(struct host *host)
{
    pthread_mutex_lock(&host->lock);
}

static void unlock(struct host *host)
{
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
}

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

    rpc_fail(call, 14, "no route to %s", request->destination);
}

static void on_remove(struct rpc_call *call, const ProtobufCMessage *message, void *data)
{
    struct host *host = data;

    lock(host);
    assert_true(host->held_count < HELD_MAX);
    host->held[host->held_count++] = call;
    unlock(host);
}

static void on_done(void *data, const char *method, bool is_ok)
{
    struct host *host = data;

    lock(host);
    host->done_count++;
    host->ok_count += is_ok;
    unlock(host);
}

static const struct rpc_method methods[] = {
    {"/quilt.QuiltRuntime/ConfigureNodeSubnet", &quilt__configure_node_subnet_request__descriptor,
     on_configure, RPC_MASTER},
    {"/quilt.QuiltRuntime/InjectRoute", &quilt__inject_route_request__descriptor, on_inject,
     RPC_MASTER},
    {"/quilt.QuiltRuntime/RemoveRoute", &quilt__remove_route_request__descriptor, on_remove,
     RPC_MASTER},
};

static void on_command(void *data, uint32_t epoll_events)
{
    struct host *host = data;
    struct mailbox_item *item, *next;

    for (item = mailbox_take_all(host->commands); item; item = next) {
        struct command *command = CONTAINER_OF(item, struct command, item);

        next = item->next;
        command->fn(host);
        lock(host);
        host->commands_done++;
        unlock(host);
    }
}

static void *run_host(void *data)
{
    struct host *host = data;

    (void)loop_run(host->loop);
    return NULL;
}

static void set_target(struct host *host, const char *listen, bool is_tls)
{
    if (strncmp(listen, "unix:", 5) == 0)
        host->target = mem_strdup(listen);
    else
        host->target = mem_printf("%s://127.0.0.1:%d", is_tls ? "https" : "http",
                                  rpc_server_port(host->server));
}

static struct host *start(const char *listen, const struct rpc_tls *tls)
{
    struct host *host = NEW(struct host);
    const struct rpc_server_config config = {.listen = listen,
                                             .service = "quilt.QuiltRuntime",
                                             .methods = methods,
                                             .method_count = ARRAY_LEN(methods),
                                             .data = host,
                                             .tls = tls,
                                             .on_done = on_done};

    pthread_mutex_init(&host->lock, NULL);
    pthread_cond_init(&host->changed, NULL);
    assert_int_equal(loop_new(&host->loop), 0);
    assert_int_equal(mailbox_new(&host->commands), 0);
    assert_int_equal(loop_add_io(host->loop, mailbox_fd(host->commands), EPOLLIN, on_command, host,
                                 &host->source),
                     0);
    if (rpc_server_new(host->loop, &config, &host->server) < 0)
        fail_msg("%s", err_text());
    set_target(host, listen, tls != NULL);
    assert_int_equal(pthread_create(&host->thread, NULL, run_host, host), 0);
    return host;
}

struct host *host_new(const char *listen)
{
    return start(listen, NULL);
}

static enum rpc_role judge(const struct tls_peer *peer, const struct tls_keyring *own, void *data)
{
    return RPC_MASTER;
}

struct host *host_new_tls(int port, const struct tls_keyring_files *files)
{
    const struct rpc_tls tls = {.files = *files, .judge = judge};
    AUTO_FREE char *listen = mem_printf("127.0.0.1:%d", port);

    return start(listen, &tls);
}

const char *host_target(const struct host *host)
{
    return host->target;
}

struct rpc_server *host_server(struct host *host)
{
    return host->server;
}

void host_do(struct host *host, void (*fn)(struct host *host))
{
    struct command command = {.fn = fn};
    unsigned int before;

    lock(host);
    before = host->commands_done;
    pthread_mutex_unlock(&host->lock);
    mailbox_push(host->commands, &command.item);
    lock(host);
    while (host->commands_done == before)
        pthread_cond_wait(&host->changed, &host->lock);
    unlock(host);
}

unsigned int host_held(struct host *host)
{
    unsigned int count;

    lock(host);
    count = host->held_count;
    unlock(host);
    return count;
}

void host_wait_held(struct host *host, unsigned int count)
{
    lock(host);
    while (host->held_count < count)
        pthread_cond_wait(&host->changed, &host->lock);
    unlock(host);
}

void host_answer_held(struct host *host)
{
    Quilt__RemoveRouteReply reply = QUILT__REMOVE_ROUTE_REPLY__INIT;

    assert_true(host->answered_count < host->held_count);
    reply.success = true;
    rpc_reply(host->held[host->answered_count++], &reply.base);
}

static void on_stopped(void *data)
{
    struct host *host = data;

    lock(host);
    host->is_stopped = true;
    unlock(host);
}

void host_stop(struct host *host)
{
    rpc_server_stop(host->server, 10000, on_stopped, host);
}

void host_stop_at_once(struct host *host)
{
    rpc_server_stop(host->server, 0, on_stopped, host);
}

void host_wait_stopped(struct host *host)
{
    lock(host);
    while (!host->is_stopped)
        pthread_cond_wait(&host->changed, &host->lock);
    unlock(host);
}

void host_counts(struct host *host, unsigned int *ret_all, unsigned int *ret_ok)
{
    lock(host);
    *ret_all = host->done_count;
    *ret_ok = host->ok_count;
    unlock(host);
}

static void end_loop(struct host *host)
{
    loop_exit(host->loop, 0);
}

void host_free(struct host *host)
{
    host_do(host, end_loop);
    (void)pthread_join(host->thread, NULL);
    rpc_server_free(host->server);
    loop_source_free(host->source);
    mailbox_free(host->commands);
    loop_free(host->loop);
    pthread_cond_destroy(&host->changed);
    pthread_mutex_destroy(&host->lock);
    free(host->target);
    free(host);
}
