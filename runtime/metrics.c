/* Figures for Prometheus. */
#include "runtime/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/figures.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/strbuf.h"
#include "lib/http/server.h"
#include "runtime/drops.h"
#include "runtime/fastpath.h"
#include "runtime/runtime.h"
#include "runtime/status.h"

#define TEXT_PLAIN "text/plain; charset=utf-8"

static const int64_t bucket_ms[] = {1, 2, 5, 10, 25, 50, 100, 1000};
static_assert(ARRAY_LEN(bucket_ms) == METRICS_BUCKET_COUNT, "a limit for each bucket");

void metrics_count_call(struct metrics *metrics, size_t method, bool is_ok, int64_t took_ms)
{
    size_t bucket = 0;

    metrics->calls[method][is_ok]++;
    if (strcmp(service_method_name(method), "AttachEndpoint") != 0)
        return;
    while (bucket < METRICS_BUCKET_COUNT && took_ms > bucket_ms[bucket])
        bucket++;
    metrics->attach_buckets[bucket]++;
    metrics->attach_sum_ms += (uint64_t)took_ms;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void by_object(struct strbuf *out, const char *name, const char *help,
                      const uint64_t values[KERNEL_OBJECT_COUNT])
{
    figures_add_head(out, name, "counter", help);
    for (size_t i = 0; i < KERNEL_OBJECT_COUNT; i++)
        strbuf_addf(out, "%s{object=\"%s\"} %" PRIu64 "\n", name, kernel_object_names[i],
                    values[i]);
}

static void add_calls(struct strbuf *out, const struct metrics *metrics)
{
    static const char name[] = "quilt_runtime_rpc_calls_total";
    static const char *const outcomes[] = {"failed", "ok"};

    figures_add_head(out, name, "counter", "Calls answered, by method and outcome.");
    for (size_t i = 0; i < SERVICE_METHOD_COUNT; i++) {
        for (size_t k = 0; k < ARRAY_LEN(outcomes); k++)
            strbuf_addf(out, "%s{method=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", name,
                        service_method_name(i), outcomes[k], metrics->calls[i][k]);
    }
}

static void add_attach(struct strbuf *out, const struct metrics *metrics)
{
    static const char name[] = "quilt_runtime_attach_seconds";
    uint64_t count = 0;

    figures_add_head(out, name, "histogram", "From the arrival of AttachEndpoint to its answer.");
    for (size_t i = 0; i < METRICS_BUCKET_COUNT; i++) {
        count += metrics->attach_buckets[i];
        strbuf_addf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)bucket_ms[i] / 1000,
                    count);
    }
    count += metrics->attach_buckets[METRICS_BUCKET_COUNT];
    strbuf_addf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    strbuf_addf(out, "%s_sum %g\n%s_count %" PRIu64 "\n", name,
                (double)metrics->attach_sum_ms / 1000, name, count);
}

static void add_door(struct strbuf *out, const struct rpc_figures *door)
{
    static const char name[] = "quilt_runtime_rpc_connections_cut_total";
    const struct figure figures[] = {
        {"quilt_runtime_rpc_connections", "gauge", "gRPC connections.", door->connections},
        {"quilt_runtime_rpc_denied_total", "counter", "Calls of callers who may not.",
         door->denied},
    };

    figures_add(out, figures, ARRAY_LEN(figures));
    figures_add_head(out, name, "counter", "gRPC connections cut off, by reason.");
    for (int i = 1; i < door->cut_count; i++)
        strbuf_addf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", name, door->cut_word(i), door->cuts[i]);
}

static uint64_t count_routes_there(const struct runtime *rt, const struct view *view)
{
    uint64_t count = 0;

    for (size_t i = 0; i < rt->state.routes.count; i++) {
        const struct route *route = &rt->state.routes.items[i];
        struct route_entry want;

        if (view_check_route(view, route, rt->state.cluster, &want) == ROUTE_THERE)
            count++;
    }
    return count;
}

static size_t count_problems(const struct runtime *rt, const struct view *view)
{
    struct problems problems;
    size_t count;

    status_find_problems(&rt->reconcile, view, &problems);
    count = problems.count;
    problems_deinit(&problems);
    return count;
}

static void add_gauges(struct strbuf *out, const struct runtime *rt, const struct view *view)
{
    const struct figure figures[] = {
        {"quilt_runtime_addresses_used", "gauge", "Container addresses held by endpoints.",
         rt->state.ipam.used_count},
        {"quilt_runtime_addresses_free", "gauge", "Container addresses left.",
         ipam_free_count(&rt->state.ipam)},
        {"quilt_runtime_endpoints", "gauge", "Endpoints attached.", rt->state.endpoints.count},
        {"quilt_runtime_routes", "gauge", "Routes injected.", rt->state.routes.count},
        {"quilt_runtime_routes_in_kernel", "gauge", "Routes injected that the kernel has.",
         count_routes_there(rt, view)},
        {"quilt_runtime_peers", "gauge", "Hosts that VXLAN is taken from.",
         rt->reconcile.members.counts[MEMBERS_PEERS]},
        {"quilt_runtime_short_cut", "gauge",
         "1 when the kernel path has its short cut past the host's hooks.",
         !reconcile_why_no_short_cut(&rt->reconcile)},
        {"quilt_runtime_problems", "gauge", "What GetStatus lists as wrong.",
         count_problems(rt, view)},
    };

    figures_add(out, figures, ARRAY_LEN(figures));
}

static void get_metrics(struct http_request *request, void *data)
{
    struct runtime *rt = data;
    AUTO_STRBUF struct strbuf out = {0};
    struct view view;

    if (view_load(rt->kernel.nl, &rt->state.endpoints, &view) < 0) {
        http_reply_problem(request, 503, "%s", err_text());
        return;
    }
    add_gauges(&out, rt, &view);
    view_deinit(&view);
    by_object(&out, "quilt_runtime_kernel_writes_total", "Changes made to the kernel.",
              rt->kernel.writes);
    by_object(&out, "quilt_runtime_repairs_total", "Objects found wrong and written again.",
              rt->reconcile.repairs);
    drops_add_metrics(&rt->kernel, &out);
    fastpath_add_metrics(&rt->kernel, &rt->state, &out);
    add_calls(&out, &rt->metrics);
    add_attach(&out, &rt->metrics);
    if (rt->rpc) {
        const struct rpc_figures door = rpc_server_figures(rt->rpc);

        add_door(&out, &door);
    }
    figures_add_process(&out, "quilt-runtime");
    http_reply_text(request, 200, FIGURES_CONTENT_TYPE, out.data);
}

/* ---- probes ---------------------------------------------------------------------------------- */

static void get_livez(struct http_request *request, void *data)
{
    http_reply_text(request, 200, TEXT_PLAIN, "ok\n");
}

static void get_readyz(struct http_request *request, void *data)
{
    const struct runtime *rt = data;

    if (rt->is_serving)
        http_reply_text(request, 200, TEXT_PLAIN, "ok\n");
    else
        http_reply_text(request, 503, TEXT_PLAIN, "stopping, or not started yet\n");
}

/* ---- life ------------------------------------------------------------------------------------ */

int metrics_start(struct runtime *rt, const char *addr_port)
{
    static const struct http_route routes[] = {
        {"GET", "/metrics", get_metrics},
        {"GET", "/livez", get_livez},
        {"GET", "/readyz", get_readyz},
    };
    struct http_server_config config = {.routes = routes,
                                        .route_count = ARRAY_LEN(routes),
                                        .data = rt,
                                        .max_connections = 64,
                                        .is_for_programs = true};
    int r = parse_addr_port(addr_port, &config.addr, &config.port);

    if (r == 0)
        r = http_server_new(rt->daemon.loop, &config, &rt->metrics.http);
    return r < 0 ? err_wrap(r, "serve the metrics (--metrics-addr)") : 0;
}

void metrics_stop(struct metrics *metrics)
{
    http_server_free(metrics->http);
    metrics->http = NULL;
}
