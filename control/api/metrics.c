/* What /metrics tells. */
#include "control/api/metrics.h"

#include <stdio.h>
#include <sys/resource.h>

#include "control/control.h"
#include "lib/base/file.h"
#include "lib/base/parse.h"

#define STATM_MAX_BYTES 256

void metrics_count(struct metrics *m, int route, unsigned int status)
{
    size_t row = route >= 0 && route < ROUTE_COUNT ? (size_t)route : ROUTE_COUNT;
    unsigned int hundreds = status / 100;

    if (hundreds >= 1 && hundreds <= STATUS_CLASSES)
        m->requests[row][hundreds - 1]++;
}

static void add_head(struct strbuf *out, const char *name, const char *type, const char *help)
{
    strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_one(struct strbuf *out, const char *name, const char *type, const char *help,
                    uint64_t value)
{
    add_head(out, name, type, help);
    strbuf_addf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void add_nodes(struct strbuf *out, const struct registry *r)
{
    static const char name[] = "quilt_control_nodes";

    add_head(out, name, "gauge", "Nodes by status.");
    strbuf_addf(out, "%s{status=\"up\"} %zu\n%s{status=\"down\"} %zu\n", name, r->up_count, name,
                r->count - r->up_count);
}

static void add_subnets(struct strbuf *out, const struct pool *pool)
{
    static const struct {
        const char *word;
        enum pool_state state;
    } rows[] = {{"free", POOL_FREE}, {"used", POOL_USED}, {"quarantined", POOL_QUARANTINED}};
    static const char name[] = "quilt_control_subnets";

    add_head(out, name, "gauge", "Subnets by state.");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        strbuf_addf(out, "%s{state=\"%s\"} %u\n", name, rows[i].word, pool->counts[rows[i].state]);
}

static void add_requests(struct strbuf *out, const struct metrics *m)
{
    static const char name[] = "quilt_control_http_requests_total";

    add_head(out, name, "counter", "HTTP requests answered, by route and class of status.");
    for (size_t route = 0; route <= ROUTE_COUNT; route++) {
        bool is_known = route < ROUTE_COUNT;

        for (unsigned int i = 0; i < STATUS_CLASSES; i++) {
            if (m->requests[route][i] == 0)
                continue;
            strbuf_addf(out, "%s{method=\"%s\",route=\"%s\",status=\"%uxx\"} %llu\n", name,
                        is_known ? control_routes[route].method : "",
                        is_known ? control_routes[route].pattern : "", i + 1,
                        (unsigned long long)m->requests[route][i]);
        }
    }
}

static void add_store(struct strbuf *out, const struct writer_stats *stats)
{
    static const char name[] = "quilt_control_commit_seconds";

    add_one(out, "quilt_control_store_changes_total", "counter", "Change sets stored.",
            stats->changes);
    add_one(out, "quilt_control_store_full_total", "counter",
            "Commits that the store had no room for.", stats->commits_full);
    add_head(out, name, "summary", "Time of durable commits; each stores a group of changes.");
    strbuf_addf(out, "%s_sum %lld.%06lld\n%s_count %llu\n", name,
                (long long)(stats->commit_us / 1000000), (long long)(stats->commit_us % 1000000),
                name, (unsigned long long)stats->commits);
}

/* statm: size, resident, ... in pages. */
static uint64_t resident_bytes(void)
{
    AUTO_FREE char *text = NULL;
    char *resident, *end;
    uint64_t pages = 0;
    size_t n;

    if (file_read("/proc/self/statm", STATM_MAX_BYTES, &text, &n) < 0)
        return 0;
    resident = strchr(text, ' ');
    end = resident ? strchr(resident + 1, ' ') : NULL;
    if (!end)
        return 0;
    *end = '\0';
    return parse_u64(resident + 1, UINT32_MAX, &pages) == 0 ? pages * (uint64_t)getpagesize() : 0;
}

static void add_process(struct strbuf *out)
{
    struct rusage usage = {0};

    add_head(out, "quilt_build_info", "gauge", "The version that runs.");
    strbuf_adds(out, "quilt_build_info{program=\"quilt-mesh-control\",version=\"" QUILT_VERSION
                     "\"} 1\n");
    add_one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    (void)getrusage(RUSAGE_SELF, &usage);
    add_head(out, "process_cpu_seconds_total", "counter", "User and system time.");
    usage.ru_utime.tv_sec += usage.ru_stime.tv_sec;
    usage.ru_utime.tv_usec += usage.ru_stime.tv_usec;
    usage.ru_utime.tv_sec += usage.ru_utime.tv_usec / 1000000;
    strbuf_addf(out, "process_cpu_seconds_total %lld.%06lld\n", (long long)usage.ru_utime.tv_sec,
                (long long)usage.ru_utime.tv_usec % 1000000);
}

void metrics_show(struct http_request *request, void *data)
{
    const struct control *c = data;
    AUTO_STRBUF struct strbuf out = {0};

    add_nodes(&out, &c->registry);
    add_subnets(&out, &c->registry.pool);
    add_one(&out, "quilt_control_doubt", "gauge",
            "1 while so many nodes are silent that nobody is marked down.",
            c->registry.monitor.is_doubting);
    add_one(&out, "quilt_control_revision", "gauge", "The revision of the latest change.",
            c->registry.revision);
    add_one(&out, "quilt_control_watchers", "gauge", "Followers of the event stream.",
            c->watchers.count);
    add_one(&out, "quilt_control_watchers_cut_total", "counter", "Followers that were too slow.",
            c->watchers.cut);
    add_one(&out, "quilt_control_heartbeats_total", "counter", "Heartbeats heard.",
            c->metrics.heartbeats);
    add_one(&out, "quilt_control_registrations_total", "counter", "Registrations stored.",
            c->metrics.registrations);
    add_requests(&out, &c->metrics);
    add_store(&out, writer_stats(c->writer));
    add_process(&out);
    http_reply_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", out.data);
}
