/* ChangeRoutes: many ways to other nodes in one call. What InjectRoute and RemoveRoute do for one,
 * with one walk through the tables and one batch to the kernel for all. */
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/rpc/server.h"
#include "proto/quilt.pb-c.h"
#include "runtime/batch.h"
#include "runtime/requests.h"
#include "runtime/route_wish.h"
#include "runtime/runtime.h"
#include "runtime/state_disk.h"

/* More are not logged one by one. */
#define SAY_MAX 16
/* What the limit on a request's fields has room for. */
#define ROUTES_MAX 1000

struct failure {
    char *destination; /* borrowed from the request */
    char *error;       /* owned */
};

struct change {
    struct op op;
    struct route_wish *wishes;
    size_t wish_count;
    struct failure *failures;
    size_t failure_count, failure_size;
};

static const Quilt__ChangeRoutesRequest *request_of(const struct op *op)
{
    return (const Quilt__ChangeRoutesRequest *)op->request;
}

static void note_failure(struct change *change, char *destination)
{
    if (change->failure_count == change->failure_size) {
        change->failure_size = change->failure_size ? 2 * change->failure_size : 16;
        change->failures =
            mem_resize(change->failures, change->failure_size, sizeof *change->failures);
    }
    change->failures[change->failure_count++] =
        (struct failure){.destination = destination, .error = op_error_text(err_text())};
}

/* ---- removing: the kernel first, then the state (see RemoveRoute) ---------------------------- */

static int ask_for_removal(struct runtime *rt, const struct state *next, const char *destination,
                           struct ip4_prefix *dst, struct nl_batch *batch)
{
    const struct route_entry *have;
    size_t count;
    int r = request_read_destination(next, destination, dst);

    if (r == 0)
        r = batch_find_routes(rt, *dst, &have, &count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (have[i].protocol != QUILT_ROUTE_PROTOCOL)
            continue;
        rt->kernel.writes[KERNEL_ROUTE]++;
        route_fill_delete(nl_batch_next(batch, (void *)(uintptr_t)destination), &have[i]);
    }
    return r;
}

static int send_removals(struct change *change, struct runtime *rt, struct nl_batch *batch)
{
    int r = nl_batch_send(rt->kernel.nl, batch);

    for (size_t i = 0; r == 0 && i < nl_batch_count(batch); i++) {
        const struct nl_change *result = nl_batch_result(batch, i);

        if (result->result == 0 || result->result == -ESRCH || result->result == -ENOENT)
            continue;
        (void)err_fail(-result->result, "remove route: %s", result->text);
        note_failure(change, result->owner);
    }
    return r;
}

static void say_removed(const struct ip4_prefix *removed, size_t count)
{
    char dst[IP4_PREFIX_TEXT_SIZE];

    if (count > SAY_MAX)
        log_info("routes removed", LOG_U("count", count));
    for (size_t i = 0; count <= SAY_MAX && i < count; i++)
        log_info("route removed", LOG_S("destination", ip4_prefix_format(removed[i], dst)));
}

/* Also those that the kernel refused to remove leave the state: whoever wants them gone asks again,
 * and finds them in the kernel. */
static int remove_all(struct change *change, struct runtime *rt, struct state *next)
{
    const Quilt__ChangeRoutesRequest *request = request_of(&change->op);
    AUTO_NL_BATCH struct nl_batch *batch = nl_batch_new();
    AUTO_FREE struct ip4_prefix *removed = mem_array(request->n_remove + 1, sizeof *removed);
    size_t count = 0, gone;
    int r;

    for (size_t i = 0; i < request->n_remove; i++) {
        r = ask_for_removal(rt, next, request->remove[i], &removed[count], batch);
        count += r == 0;
        if (r < 0) {
            (void)err_wrap(r, "remove route");
            note_failure(change, request->remove[i]);
        }
    }
    r = send_removals(change, rt, batch);
    if (r < 0)
        return err_wrap(r, "remove routes");
    gone = route_table_remove_all(&next->routes, removed, count);
    change->op.is_change |= gone > 0;
    if (gone > 0)
        say_removed(removed, count);
    return 0;
}

/* ---- injecting ------------------------------------------------------------------------------- */

static void wish_all(struct change *change, struct runtime *rt, struct state *next)
{
    const Quilt__ChangeRoutesRequest *request = request_of(&change->op);
    AUTO_FREE struct route *routes = mem_array(request->n_inject + 1, sizeof *routes);

    change->wishes = mem_array(request->n_inject + 1, sizeof *change->wishes);
    for (size_t i = 0; i < request->n_inject; i++) {
        struct route_wish *wish = &change->wishes[change->wish_count];
        int r = route_wish_read(rt, next, request->inject[i], wish);

        if (r < 0) {
            (void)err_wrap(r, "inject route");
            note_failure(change, request->inject[i]->destination);
            continue;
        }
        change->op.is_change |= route_wish_is_change(wish);
        routes[change->wish_count++] = wish->route;
    }
    route_table_put_all(&next->routes, routes, change->wish_count);
}

static void say_injected(const struct change *change, size_t written)
{
    char dst[IP4_PREFIX_TEXT_SIZE];

    if (written > SAY_MAX)
        log_info("routes injected", LOG_U("count", written));
    for (size_t i = 0; written <= SAY_MAX && i < change->wish_count; i++) {
        const struct route_wish *wish = &change->wishes[i];

        if (route_wish_is_due(wish))
            log_info("route injected",
                     LOG_S("destination", ip4_prefix_format(wish->route.dst, dst)),
                     LOG_S("device", wish->route.via));
    }
}

static int change_decide(struct op *op, struct runtime *rt, struct state *next)
{
    const Quilt__ChangeRoutesRequest *request = request_of(op);
    struct change *change = (struct change *)op;
    int r;

    if (request->n_inject + request->n_remove > ROUTES_MAX)
        return err_fail(E2BIG, "change routes: %zu are more than the %d of one call",
                        request->n_inject + request->n_remove, ROUTES_MAX);
    r = remove_all(change, rt, next);
    if (r == 0)
        wish_all(change, rt, next);
    return r;
}

/* Returns how many were refused. */
static size_t take_results(struct change *change, struct runtime *rt, const struct nl_batch *batch)
{
    size_t refused = 0;

    for (size_t i = 0; i < nl_batch_count(batch); i++) {
        const struct nl_change *result = nl_batch_result(batch, i);
        const struct route_wish *wish = result->owner;

        if (result->result == 0 || route_wish_can_wait(result->result))
            continue;
        (void)err_fail(-result->result, "inject route: %s", result->text);
        note_failure(change, wish->destination);
        route_wish_undo(rt, wish);
        refused++;
    }
    return refused;
}

static int change_apply(struct op *op, struct runtime *rt)
{
    struct change *change = (struct change *)op;
    AUTO_NL_BATCH struct nl_batch *batch = nl_batch_new();
    size_t refused;
    int r;

    rt->reconcile.is_off = false;
    for (size_t i = 0; i < change->wish_count; i++)
        if (route_wish_is_due(&change->wishes[i]))
            route_fill_replace(nl_batch_next(batch, &change->wishes[i]), &change->wishes[i].want);
    rt->kernel.writes[KERNEL_ROUTE] += nl_batch_count(batch);
    r = nl_batch_send(rt->kernel.nl, batch);
    if (r < 0)
        return err_wrap(r, "inject routes");
    refused = take_results(change, rt, batch);
    if (refused > 0)
        state_disk_save(&rt->file, &rt->state);
    if (nl_batch_count(batch) > 0)
        say_injected(change, nl_batch_count(batch) - refused);
    return 0;
}

static void change_undo(struct op *op, struct runtime *rt)
{
    const struct change *change = (const struct change *)op;

    for (size_t i = 0; i < change->wish_count; i++)
        route_wish_undo(rt, &change->wishes[i]);
}

static void change_answer(const struct op *op, const struct runtime *rt)
{
    const struct change *change = (const struct change *)op;
    size_t count = change->failure_count;
    AUTO_FREE Quilt__RouteFailure *rows = mem_array(count + 1, sizeof *rows);
    AUTO_FREE Quilt__RouteFailure **failures = mem_array(count + 1, sizeof(void *));
    Quilt__ChangeRoutesReply reply = QUILT__CHANGE_ROUTES_REPLY__INIT;

    for (size_t i = 0; i < count; i++) {
        failures[i] = &rows[i];
        quilt__route_failure__init(failures[i]);
        failures[i]->destination = change->failures[i].destination;
        failures[i]->error = change->failures[i].error;
    }
    reply.success = !op->error && count == 0;
    if (op->error)
        reply.error = op->error;
    reply.n_failures = count;
    reply.failures = failures;
    rpc_reply(op->call, &reply.base);
}

static void change_deinit(struct op *op)
{
    struct change *change = (struct change *)op;

    for (size_t i = 0; i < change->failure_count; i++)
        free(change->failures[i].error);
    free(change->failures);
    free(change->wishes);
}

const struct op_kind op_change_routes = {.size = sizeof(struct change),
                                         .is_alone = true,
                                         .decide = change_decide,
                                         .apply = change_apply,
                                         .undo = change_undo,
                                         .answer = change_answer,
                                         .deinit = change_deinit};
