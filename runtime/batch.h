/* Requests that change something, in groups that share one write to the disk.
 *
 *     arrive -> decide (on a copy of the state) -> store the copy -> apply to the kernel -> answer
 *
 * All that arrives while one group is being stored forms the next group, so that 254 routes that
 * come together cost a few writes, not 254. What a request decided is on disk before the kernel
 * shows it and before it is answered; a kill between the two is repaired at the next start. When
 * the kernel refuses, the request is taken back and answered with the kernel's words.
 *
 * The loop waits for the disk meanwhile: everything it could do would depend on that write.
 */
#pragma once

#include "lib/base/loop.h"
#include "lib/net/link.h"
#include "lib/net/route.h"
#include "proto/quilt.pb-c.h"
#include "runtime/state.h"

struct rpc_call;
struct runtime;
struct op;

/* A kind of request. decide and apply return 0 or negative with a text; apply and undo may be NULL.
 */
struct op_kind {
    size_t size;   /* of the struct whose first member is struct op */
    bool is_alone; /* shares its group with no other */
    /* What no two requests of one group may have in common; caller frees. */
    char *(*key)(const ProtobufCMessage *request);
    /* Checks, changes next, and sets op->is_change when it did. A failure leaves next as it was. */
    int (*decide)(struct op *op, struct runtime *rt, struct state *next);
    /* After the change was stored. */
    int (*apply)(struct op *op, struct runtime *rt);
    /* Takes a change back whose apply failed: in the state and, as far as it came, the kernel. */
    void (*undo)(struct op *op, struct runtime *rt);
    void (*answer)(const struct op *op, const struct runtime *rt);
    void (*deinit)(struct op *op);
};

struct op {
    const struct op_kind *kind;
    struct op *next;
    struct rpc_call *call;
    const ProtobufCMessage *request; /* borrowed from the call */
    size_t method;                   /* for metrics */
    int64_t arrived_ms;
    char *key;
    char *error; /* valid UTF-8; NULL: it worked */
    bool is_change;
};

struct batch {
    struct loop_source *run;
    struct op *first;
    struct op **last;
    /* What this group has seen of the host: a few routes one by one, or all, by destination, as
     * they were when that was first asked for; and the device it asked for last. */
    struct route_entry *routes;
    size_t route_count;
    bool has_routes;
    size_t asked_count;
    struct route_entry asked;
    struct link_info device;
};

int batch_init(struct batch *batch, struct runtime *rt);
void batch_deinit(struct batch *batch);

/* Queues a request; it is answered from the loop. */
void batch_add(struct batch *batch, const struct op_kind *kind, struct rpc_call *call,
               const ProtobufCMessage *request, size_t method);

/* The host's routes to exactly this destination, or the one of ours that counts; borrowed until the
 * next question. A few questions cost a lookup each, many cost one listing. */
int batch_find_routes(struct runtime *rt, struct ip4_prefix dst, const struct route_entry **ret,
                      size_t *ret_count);
/* -ENODEV: there is none. Borrowed likewise. */
int batch_find_device(struct runtime *rt, const char *name, const struct link_info **ret);

/* gRPC strings are UTF-8. Texts quote what was sent and may cut it in the middle of a character.
 * Caller frees. */
char *op_error_text(const char *text);

extern const struct op_kind op_configure, op_inject, op_remove, op_attach, op_detach, op_leave,
    op_change_routes;
