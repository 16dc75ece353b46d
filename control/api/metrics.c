/* What /metrics tells. */
#include "control/api/metrics.h"

#include "control/control.h"
#include "lib/base/figures.h"

void metrics_count(struct metrics *m, int route, unsigned int status)
{
    size_t row = route >= 0 && route < ROUTE_COUNT ? (size_t)route : ROUTE_COUNT;
    unsigned int hundreds = status / 100;

    if (hundreds >= 1 && hundreds <= STATUS_CLASSES)
        m->requests[row][hundreds - 1]++;
}

static void add_nodes(struct strbuf *out, const struct registry *r)
{
    static const char name[] = "quilt_control_nodes";

    figures_add_head(out, name, "gauge", "Nodes by status.");
    strbuf_addf(out, "%s{status=\"up\"} %zu\n%s{status=\"down\"} %zu\n", name, r->up_count, name,
                r->count - r->up_count);
}

static void add_subnets(struct strbuf *out, const struct pool *pool)
{
    static const struct {
        const char *word;
        enum pool_state state;
    } rows[] = {{"free", POOL_FREE},
                {"reserved", POOL_RESERVED},
                {"used", POOL_USED},
                {"quarantined", POOL_QUARANTINED}};
    static const char name[] = "quilt_control_subnets";

    figures_add_head(out, name, "gauge", "Subnets by state.");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        strbuf_addf(out, "%s{state=\"%s\"} %u\n", name, rows[i].word, pool->counts[rows[i].state]);
}

static void add_requests(struct strbuf *out, const struct metrics *m)
{
    static const char name[] = "quilt_control_http_requests_total";

    figures_add_head(out, name, "counter", "HTTP requests answered, by route and class of status.");
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
    const struct figure figures[] = {
        {"quilt_control_store_changes_total", "counter", "Change sets stored.", stats->changes},
        {"quilt_control_store_full_total", "counter", "Commits that the store had no room for.",
         stats->commits_full},
    };

    figures_add(out, figures, ARRAY_LEN(figures));
    figures_add_head(out, name, "summary",
                     "Time of durable commits; each stores a group of changes.");
    strbuf_addf(out, "%s_sum %lld.%06lld\n%s_count %llu\n", name,
                (long long)(stats->commit_us / 1000000), (long long)(stats->commit_us % 1000000),
                name, (unsigned long long)stats->commits);
}

static void add_certificates(struct strbuf *out, const struct pki *pki)
{
    const struct figure figures[] = {
        {"quilt_control_certificate_expiry_timestamp_seconds", "gauge",
         "When the certificate that the server shows expires, Unix time.",
         (uint64_t)pki_shown(pki)->not_after},
        {"quilt_control_ca_certificate_expiry_timestamp_seconds", "gauge",
         "When the cluster's own CA expires, which signs for the nodes, Unix time.",
         (uint64_t)tls_cert_facts(tls_ca_cert(pki->files->ca))->not_after},
    };

    figures_add(out, figures, ARRAY_LEN(figures));
}

void metrics_show(struct http_request *request, void *data)
{
    const struct control *c = data;
    const struct figure figures[] = {
        {"quilt_control_doubt", "gauge",
         "1 while so many nodes are silent that nobody is marked down.",
         c->registry.monitor.is_doubting},
        {"quilt_control_revision", "gauge", "The revision of the latest change.",
         c->registry.revision},
        {"quilt_control_watchers", "gauge", "Followers of the event stream.", c->watchers.count},
        {"quilt_control_watchers_cut_total", "counter", "Followers that were too slow.",
         c->watchers.cut},
        {"quilt_control_nodes_unknown", "gauge",
         "Nodes that count as up but have not been heard since the start, or since a doubt.",
         c->registry.unknown_count},
        {"quilt_control_downs_total", "counter", "Nodes marked down for their silence.",
         c->metrics.downs},
        {"quilt_control_downs_witnessed_total", "counter",
         "Of them, those that other nodes had lost; before their time was over.",
         c->metrics.downs_witnessed},
        {"quilt_control_put_off_total", "counter",
         "Changes that were told to come again, because too many waited.", c->metrics.put_off},
        {"quilt_control_heartbeats_total", "counter", "Heartbeats heard.", c->metrics.heartbeats},
        {"quilt_control_registrations_total", "counter", "Registrations stored.",
         c->metrics.registrations},
        {"quilt_control_identity_conflicts_total", "counter",
         "Registrations as a node that another agent runs as.", c->metrics.twins},
        {"quilt_control_denials_total", "counter", "Requests of somebody who may not.",
         c->metrics.denials},
        {"quilt_control_paced_total", "counter",
         "Requests of an identity that had made too many already.", c->metrics.paced},
        {"quilt_control_connections_displaced_total", "counter",
         "Connections that had to make room for others.", http_server_displaced(c->server)},
        {"quilt_control_tokens", "gauge", "Access tokens.", c->tokens.count},
    };
    AUTO_STRBUF struct strbuf out = {0};

    add_nodes(&out, &c->registry);
    add_subnets(&out, &c->registry.pool);
    figures_add(&out, figures, ARRAY_LEN(figures));
    if (c->pki)
        add_certificates(&out, c->pki);
    add_requests(&out, &c->metrics);
    add_store(&out, writer_stats(c->writer));
    figures_add_process(&out, "quilt-mesh-control");
    http_reply_text(request, 200, FIGURES_CONTENT_TYPE, out.data);
}
