/* Requests in groups. */
#include "runtime/batch.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "runtime/routes.h"
#include "runtime/runtime.h"
#include "runtime/state_disk.h"

/* So that one group answers within the time a disk takes, whatever the clients do. */
#define GROUP_MAX 512

/* ---- a request ------------------------------------------------------------------------------- */

char *op_error_text(const char *text)
{
    char *copy = mem_strdup(text);

    if (!parse_is_utf8(copy, strlen(copy))) {
        for (char *p = copy; *p; p++) {
            if ((unsigned char)*p >= 0x80)
                *p = '?';
        }
    }
    return copy;
}

static void fail(struct op *op, const char *text)
{
    free(op->error);
    op->error = op_error_text(text);
}

static void finish(struct op *op, struct runtime *rt)
{
    metrics_count_call(&rt->metrics, op->method, !op->error, clock_boot_ms() - op->arrived_ms);
    op->kind->answer(op, rt);
    if (op->kind->deinit)
        op->kind->deinit(op);
    free(op->key);
    free(op->error);
    free(op);
}

/* ---- a group --------------------------------------------------------------------------------- */

/* Whether anything is to be stored. */
static bool decide(struct op *ops, struct runtime *rt, struct state *next)
{
    bool is_change = false;

    for (struct op *op = ops; op; op = op->next) {
        if (op->kind->decide(op, rt, next) < 0)
            fail(op, err_text());
        else
            is_change |= op->is_change;
    }
    return is_change;
}

static void fail_changes(struct op *ops, const char *text)
{
    for (struct op *op = ops; op; op = op->next) {
        if (!op->error && op->is_change)
            fail(op, text);
    }
}

/* The copy takes the state's place, on disk first. */
static void commit(struct op *ops, struct runtime *rt, struct state *next)
{
    if (state_disk_store_change(&rt->file, &rt->state, next) < 0) {
        log_error("cannot store the state, nothing is changed", LOG_ERR());
        fail_changes(ops, err_text());
        state_deinit(next);
        reconcile_ask(&rt->reconcile, LOOK_ALL);
        return;
    }
    state_deinit(&rt->state);
    rt->state = *next;
    reconcile_ask(&rt->reconcile, LOOK_MEMBERS); /* which follow its endpoints and routes */
}

static void apply(struct op *ops, struct runtime *rt)
{
    bool is_undone = false;

    for (struct op *op = ops; op; op = op->next) {
        if (op->error || !op->kind->apply || op->kind->apply(op, rt) == 0)
            continue;
        fail(op, err_text());
        if (op->is_change && op->kind->undo) {
            op->kind->undo(op, rt);
            is_undone = true;
        }
    }
    if (is_undone)
        state_disk_save(&rt->file, &rt->state);
}

static void forget_host(struct batch *batch)
{
    free(batch->routes);
    batch->routes = NULL;
    batch->route_count = batch->asked_count = 0;
    batch->has_routes = false;
    batch->device = (struct link_info){0};
}

static void run_group(struct op *ops, struct runtime *rt)
{
    struct state next;

    state_copy(&next, &rt->state);
    if (decide(ops, rt, &next))
        commit(ops, rt, &next);
    else
        state_deinit(&next);
    apply(ops, rt);
    forget_host(&rt->batch);
    while (ops) {
        struct op *op = ops;

        ops = op->next;
        finish(op, rt);
    }
}

static bool has_key(const struct op *ops, const struct op *op)
{
    for (; ops && ops != op; ops = ops->next) {
        if (strcmp(ops->key, op->key) == 0)
            return true;
    }
    return false;
}

/* The longest beginning of the queue whose requests do not depend on each other. */
static struct op *take_group(struct batch *batch)
{
    struct op *first = batch->first, *last = first;

    for (size_t count = 1; count < GROUP_MAX && last->next; count++) {
        if (last->kind->is_alone || last->next->kind->is_alone || has_key(first, last->next))
            break;
        last = last->next;
    }
    batch->first = last->next;
    if (!batch->first)
        batch->last = &batch->first;
    last->next = NULL;
    return first;
}

static void run(void *data)
{
    struct runtime *rt = data;

    if (!rt->batch.first)
        return;
    run_group(take_group(&rt->batch), rt);
    if (rt->batch.first)
        loop_defer_arm(rt->batch.run);
}

/* ---- life ------------------------------------------------------------------------------------ */

int batch_init(struct batch *batch, struct runtime *rt)
{
    *batch = (struct batch){0};
    batch->last = &batch->first;
    return loop_add_defer(rt->daemon.loop, run, rt, &batch->run);
}

/* Their calls ended with the server; what was never decided has not happened. */
void batch_deinit(struct batch *batch)
{
    while (batch->first) {
        struct op *op = batch->first;

        batch->first = op->next;
        free(op->key);
        free(op);
    }
    forget_host(batch);
    loop_source_free(batch->run);
    *batch = (struct batch){0};
}

void batch_add(struct batch *batch, const struct op_kind *kind, struct rpc_call *call,
               const ProtobufCMessage *request, size_t method)
{
    struct op *op = mem_zalloc(kind->size);

    op->kind = kind;
    op->call = call;
    op->request = request;
    op->method = method;
    op->arrived_ms = clock_boot_ms();
    op->key = kind->key ? kind->key(request) : mem_strdup("");
    *batch->last = op;
    batch->last = &op->next;
    loop_defer_arm(batch->run);
}

/* ---- what a group sees of the host ----------------------------------------------------------- */

/* So many lookups cost less than a listing of some hundred routes. */
#define LOOKUPS_MAX 16

static int list_routes(struct runtime *rt)
{
    struct batch *batch = &rt->batch;
    int r = route_dump(rt->kernel.nl, 0, 0, &batch->routes, &batch->route_count);

    if (r < 0)
        return r;
    routes_sort(batch->routes, batch->route_count);
    batch->has_routes = true;
    return 0;
}

/* Behind a route of somebody else may stand one of ours. */
static int look_up(struct runtime *rt, struct ip4_prefix dst)
{
    int r = route_find(rt->kernel.nl, dst, &rt->batch.asked);

    return r == 0 && rt->batch.asked.protocol != QUILT_ROUTE_PROTOCOL ? ROUTE_UNSURE : r;
}

static void find_listed(const struct batch *batch, struct ip4_prefix dst,
                        const struct route_entry **ret, size_t *ret_count)
{
    size_t begin = routes_begin(batch->routes, batch->route_count, dst), end = begin;

    while (end < batch->route_count && ip4_prefix_equal(batch->routes[end].dst, dst))
        end++;
    *ret = batch->routes ? &batch->routes[begin] : NULL;
    *ret_count = end - begin;
}

int batch_find_routes(struct runtime *rt, struct ip4_prefix dst, const struct route_entry **ret,
                      size_t *ret_count)
{
    struct batch *batch = &rt->batch;
    int r = ROUTE_UNSURE;

    if (!batch->has_routes && batch->asked_count++ < LOOKUPS_MAX)
        r = look_up(rt, dst);
    if (r == ROUTE_UNSURE && !batch->has_routes)
        r = list_routes(rt);
    if (r < 0)
        return r;
    if (batch->has_routes) {
        find_listed(batch, dst, ret, ret_count);
        return 0;
    }
    *ret = &batch->asked;
    *ret_count = r == 0;
    return 0;
}

int batch_find_device(struct runtime *rt, const char *name, const struct link_info **ret)
{
    struct link_info *device = &rt->batch.device;

    if (device->ifindex == 0 || strcmp(device->name, name) != 0) {
        int r = link_get(rt->kernel.nl, name, device);

        if (r < 0) {
            device->ifindex = 0;
            return r;
        }
    }
    *ret = device;
    return 0;
}
