/* What the runtime client's two files share: client.c is the runtime as a whole, routes.c what is
 * asked of it route by route. */
#pragma once

#include <sys/queue.h>

#include "agent/runtime_client/client.h"
#include "agent/runtime_client/pace.h"
#include "lib/base/backoff.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/rpc/client.h"

#define SERVICE "/quilt.QuiltRuntime/"

/* gRPC statuses (grpc/status.h) that say that nobody answered. */
#define STATUS_CANCELLED 1
#define STATUS_DEADLINE_EXCEEDED 4
#define STATUS_UNIMPLEMENTED 12
#define STATUS_UNAVAILABLE 14

enum state { STATE_IDLE, STATE_CONFIGURING, STATE_READY, STATE_REFUSED, STATE_AWAY, STATE_LEAVING };

/* What is known of one route's calls. */
struct slot {
    uint64_t key;
    struct runtime_client *client;
    struct ip4_prefix dst;
    enum overlay_verb verb;
    uint32_t mtu_bytes; /* 0: the device's */
    bool is_queued;
    bool is_running;
    char *problem; /* owned; NULL: the latest call succeeded */
    struct pace pace;
    struct slot *next; /* in the queue */
    UT_hash_handle hh;
};

struct runtime_client {
    struct runtime_client_config config;
    struct rpc_client *rpc;
    struct loop_source *timer;   /* configure again, or probe */
    struct loop_source *look_at; /* look again for what had to wait */
    enum state state;
    struct ip4_prefix subnet, cluster_cidr;
    bool is_subnet_new; /* changed while a call for the old one is under way */
    bool is_configuring;
    struct backoff away, refused;
    char *problem; /* owned; NULL: none */

    struct slot *slots;
    int64_t pruned_ms;
    struct slot *queue, **queue_end;
    size_t running; /* routes that calls are under way for */
    size_t flights; /* calls of many, which are these */
    LIST_HEAD(, flight) in_air;
    bool is_one_by_one; /* this runtime takes no more in one call */
    uint64_t calls, calls_failed;

    runtime_left_fn left;
    void *left_data;
};

void runtime_client_call(struct runtime_client *client, const char *path,
                         const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply,
                         rpc_done_fn done, void *data);
/* Whether the status says so. */
bool runtime_client_is_nobody_there(int status);
void runtime_client_be_away(struct runtime_client *client, const char *detail);

/* Those that wait are not called for. */
void runtime_client_drop_routes(struct runtime_client *client);
/* All that is known of routes, and the calls under way: none of them ends after this. */
void runtime_client_forget_routes(struct runtime_client *client);
