/* Figures for Prometheus. */
#include "runtime/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/strbuf.h"
#include "lib/http/server.h"
#include "runtime/runtime.h"
#include "runtime/status.h"

#define TEXT_PLAIN "text/plain; charset=utf-8"
#define TEXT_METRICS "text/plain; version=0.0.4; charset=utf-8"

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

static void head(struct strbuf *out, const char *name, const char *type, const char *help)
{
    strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct strbuf *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "gauge", help);
    strbuf_addf(out, "%s %" PRIu64 "\n", name, value);
}

static void by_object(struct strbuf *out, const char *name, const char *help,
                      const uint64_t values[KERNEL_OBJECT_COUNT])
{
    head(out, name, "counter", help);
    for (size_t i = 0; i < KERNEL_OBJECT_COUNT; i++)
        strbuf_addf(out, "%s{object=\"%s\"} %" PRIu64 "\n", name, kernel_object_names[i],
                    values[i]);
}

static void add_calls(struct strbuf *out, const struct metrics *metrics)
{
    static const char name[] = "quilt_runtime_rpc_calls_total";
    static const char *const outcomes[] = {"failed", "ok"};

    head(out, name, "counter", "Calls answered, by method and outcome.");
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

    head(out, name, "histogram", "From the arrival of AttachEndpoint to its answer.");
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

/* "SIZE RESIDENT ..." in pages; proc_pid_statm(5). */
static void add_memory(struct strbuf *out)
{
    AUTO_FREE char *text = NULL;
    char *rest, *pages_text;
    size_t n;
    uint64_t pages;

    if (file_read("/proc/self/statm", 4096, &text, &n) < 0)
        return;
    rest = text;
    (void)strsep(&rest, " ");
    pages_text = strsep(&rest, " ");
    if (pages_text && parse_u64(pages_text, UINT32_MAX, &pages) == 0)
        gauge(out, "process_resident_memory_bytes", "Memory in use.",
              pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

static uint64_t count_routes_there(const struct runtime *rt, const struct view *view)
{
    uint64_t count = 0;

    for (size_t i = 0; i < rt->state.routes.count; i++) {
        struct route_entry want;

        if (view_check_route(view, &rt->state.routes.items[i], &want) == ROUTE_THERE)
            count++;
    }
    return count;
}

static void add_gauges(struct strbuf *out, const struct runtime *rt, const struct view *view)
{
    struct problems problems;

    status_find_problems(&rt->reconcile, view, &problems);
    gauge(out, "quilt_runtime_addresses_used", "Container addresses held by endpoints.",
          rt->state.ipam.used_count);
    gauge(out, "quilt_runtime_addresses_free", "Container addresses left.",
          ipam_free_count(&rt->state.ipam));
    gauge(out, "quilt_runtime_endpoints", "Endpoints attached.", rt->state.endpoints.count);
    gauge(out, "quilt_runtime_routes", "Routes injected.", rt->state.routes.count);
    gauge(out, "quilt_runtime_routes_in_kernel", "Routes injected that the kernel has.",
          count_routes_there(rt, view));
    gauge(out, "quilt_runtime_peers", "Hosts that VXLAN is taken from.", rt->reconcile.peer_count);
    gauge(out, "quilt_runtime_problems", "What GetStatus lists as wrong.", problems.count);
    problems_deinit(&problems);
}

static void get_metrics(struct http_request *request, void *data)
{
    struct runtime *rt = data;
    AUTO_STRBUF struct strbuf out = {0};
    struct view view;

    if (view_load(rt->kernel.nl, &view) < 0) {
        http_reply_problem(request, 503, "%s", err_text());
        return;
    }
    add_gauges(&out, rt, &view);
    view_deinit(&view);
    by_object(&out, "quilt_runtime_kernel_writes_total", "Changes made to the kernel.",
              rt->kernel.writes);
    by_object(&out, "quilt_runtime_repairs_total", "Objects found wrong and written again.",
              rt->reconcile.repairs);
    add_calls(&out, &rt->metrics);
    add_attach(&out, &rt->metrics);
    add_memory(&out);
    http_reply_text(request, 200, TEXT_METRICS, out.data);
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
    struct http_server_config config = {
        .routes = routes, .route_count = ARRAY_LEN(routes), .data = rt, .max_connections = 64};
    int r = parse_addr_port(addr_port, &config.addr, &config.port);

    if (r == 0)
        r = http_server_new(rt->daemon.loop, &config, &rt->metrics.http);
    return r < 0 ? err_wrap(r, "metrics") : 0;
}

void metrics_stop(struct metrics *metrics)
{
    http_server_free(metrics->http);
    metrics->http = NULL;
}
