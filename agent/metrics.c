/* What the agent says of itself: Prometheus text (exposition format 0.0.4). */
#include <inttypes.h>

#include "agent/status.h"
#include "lib/base/base32.h"
#include "lib/base/figures.h"

static void add_writes(struct strbuf *out, const struct overlay_counts *counts)
{
    figures_add_head(out, "quilt_agent_kernel_writes_total", "counter",
                     "Changes written to the kernel, by object and verb.");
    for (int o = 0; o < OVERLAY_OBJECT_COUNT; o++)
        for (int v = 0; v < OVERLAY_VERB_COUNT; v++)
            if (o != OVERLAY_ROUTE)
                strbuf_addf(
                    out, "quilt_agent_kernel_writes_total{object=\"%s\",verb=\"%s\"} %" PRIu64 "\n",
                    overlay_object_name((enum overlay_object)o),
                    overlay_verb_name((enum overlay_verb)v), counts->writes[o][v]);
}

static void add_repairs(struct strbuf *out, const struct overlay_counts *counts)
{
    figures_add_head(
        out, "quilt_agent_repairs_total", "counter",
        "Objects that had been altered or removed by others and were set right, by object.");
    for (int o = 0; o < OVERLAY_OBJECT_COUNT; o++)
        strbuf_addf(out, "quilt_agent_repairs_total{object=\"%s\"} %" PRIu64 "\n",
                    overlay_object_name((enum overlay_object)o), counts->repairs[o]);
}

static void add_mesh(struct strbuf *out, const struct status_view *view)
{
    const struct figure figures[] = {
        {"quilt_agent_peers", "gauge", "Other nodes known.", view->peer_count},
        {"quilt_agent_peers_wanted", "gauge", "Peers to be programmed.", view->wanted_count},
        {"quilt_agent_peers_programmed", "gauge", "Peers that have neighbour, FDB entry and route.",
         view->programmed_count},
        {"quilt_agent_peers_in_doubt", "gauge", "Peers kept although the latest list lacks them.",
         view->missing_count},
        {"quilt_agent_ready", "gauge", "1 when this node is part of the mesh.", view->is_ready},
        {"quilt_agent_reconciles_total", "counter", "Looks at the kernel.", view->overlay.looks},
        {"quilt_agent_kernel_write_failures_total", "counter", "Changes the kernel refused.",
         view->overlay.counts->failures},
    };

    figures_add(out, figures, ARRAY_LEN(figures));
    figures_add_head(out, "quilt_agent_reconcile_seconds_total", "counter",
                     "Time spent in those looks.");
    strbuf_addf(out, "quilt_agent_reconcile_seconds_total %.6f\n", view->overlay.look_seconds);
}

static void add_others(struct strbuf *out, const struct status_view *view)
{
    const struct control_client_status *control = &view->control;
    const struct figure figures[] = {
        {"quilt_agent_control_plane_connected", "gauge", "1 when the control plane answers.",
         control->is_connected},
        {"quilt_agent_control_plane_refused", "gauge",
         "1 when it is of another cluster, or has lost what this node knows.", control->is_foreign},
        {"quilt_agent_control_plane_barred", "gauge",
         "1 when it takes nothing that this node has to show.", control->is_barred},
        {"quilt_agent_stream_connected", "gauge", "1 when the event stream is up.",
         control->is_stream_up},
        {"quilt_agent_registrations_total", "counter", "Registrations answered.",
         control->registrations},
        {"quilt_agent_heartbeats_total", "counter", "Heartbeats answered.", control->heartbeats},
        {"quilt_agent_heartbeats_failed_total", "counter", "Heartbeats refused or not answered.",
         control->heartbeats_failed},
        {"quilt_agent_runtime_connected", "gauge", "1 when the runtime answers.",
         view->runtime.is_connected},
        {"quilt_agent_runtime_calls_total", "counter", "Calls to the runtime.",
         view->runtime.calls},
        {"quilt_agent_runtime_calls_failed_total", "counter", "Calls that failed.",
         view->runtime.calls_failed},
    };

    figures_add(out, figures, ARRAY_LEN(figures));
}

static void add_pins(struct strbuf *out, const struct tls_trust *trust)
{
    figures_add_head(out, "quilt_agent_ca_info", "gauge",
                     "A CA that the control plane is known by.");
    for (size_t i = 0; trust && i < tls_trust_count(trust); i++) {
        char pin[BASE32_LEN(SHA256_SIZE) + 1];

        base32_encode(tls_cert_facts(tls_trust_ca(trust, i))->spki.bytes, SHA256_SIZE, pin);
        strbuf_addf(out, "quilt_agent_ca_info{pin=\"%s\"} 1\n", pin);
    }
}

static void add_skew(struct strbuf *out, const struct control_client_status *control)
{
    figures_add_head(out, "quilt_agent_clock_skew_seconds", "gauge",
                     "The control plane's clock minus this host's.");
    strbuf_addf(out, "quilt_agent_clock_skew_seconds %" PRId64 "\n", control->clock_skew_s);
}

/* Without a certificate there is no sample: a time of 0 would be one that is long over. */
static void add_tls(struct strbuf *out, const struct status_view *view)
{
    const struct figure expiry = {"quilt_agent_certificate_expiry_timestamp_seconds", "gauge",
                                  "When this node's certificate expires, Unix time.",
                                  (uint64_t)view->tls->expires_at};
    const struct figure renewals = {"quilt_agent_certificate_renewals_total", "counter",
                                    "Certificates got to go on with.", view->control.renewals};

    if (view->tls->expires_at > 0)
        figures_add(out, &expiry, 1);
    figures_add(out, &renewals, 1);
    add_pins(out, view->tls->trust);
}

static void add_probe_counts(struct strbuf *out, const struct status_view *view)
{
    const struct figure figures[] = {
        {"quilt_agent_probes_sent_total", "counter", "Probes sent to peers.", view->probes->sent},
        {"quilt_agent_probes_answered_total", "counter", "Of them, those that were answered.",
         view->probes->answered},
        {"quilt_agent_probes_unexpected_total", "counter",
         "Answers to nothing that was asked, or that came too late.", view->probes->unexpected},
        {"quilt_agent_probes_replied_total", "counter", "Peers' probes that were answered.",
         view->responder->answered},
        {"quilt_agent_probes_refused_total", "counter",
         "Probes of no peer, or too many of one, that were not.", view->responder->refused},
        {"quilt_agent_probes_lost_peers", "gauge",
         "Peers that are watched, have answered, and do not any more.",
         probes_count_lost(view->probes)},
    };

    figures_add(out, figures, ARRAY_LEN(figures));
}

/* One figure of all peers that are probed: of a path, or of both (path NULL). */
struct probe_figure {
    const char *name, *help;
    const char *path;
    double scale;
    int64_t (*value)(const struct api_probe *probe);
};

static int64_t underlay_us(const struct api_probe *p)
{
    return p->underlay.mean_us;
}

static int64_t overlay_us(const struct api_probe *p)
{
    return p->overlay.mean_us;
}

static int64_t underlay_loss(const struct api_probe *p)
{
    return p->underlay.loss_percent;
}

static int64_t overlay_loss(const struct api_probe *p)
{
    return p->overlay.loss_percent;
}

static int64_t largest_bytes(const struct api_probe *p)
{
    return p->largest_bytes;
}

/* help NULL: of the same name as the one before. */
static const struct probe_figure probe_figures[] = {
    {"quilt_agent_probe_rtt_seconds", "Round trip to a peer, smoothed.", "underlay", 1e6,
     underlay_us},
    {"quilt_agent_probe_rtt_seconds", NULL, "overlay", 1e6, overlay_us},
    {"quilt_agent_probe_loss_ratio", "Share of the latest 64 probes that were not answered.",
     "underlay", 100, underlay_loss},
    {"quilt_agent_probe_loss_ratio", NULL, "overlay", 100, overlay_loss},
    {"quilt_agent_probe_largest_bytes", "The largest IP packet that gets through to a peer.",
     "underlay", 1, largest_bytes},
};

static void add_probe_figure(struct strbuf *out, const struct status_view *view,
                             const struct probe_figure *figure)
{
    if (figure->help)
        figures_add_head(out, figure->name, "gauge", figure->help);
    for (size_t i = 0; i < view->probes->count; i++) {
        struct api_probe probe = probes_describe(&view->probes->tracks[i], view->now_ms);
        int64_t value = figure->value(&probe);

        if (value >= 0)
            strbuf_addf(out, "%s{peer=\"%s\",path=\"%s\"} %g\n", figure->name, probe.node_id,
                        figure->path, (double)value / figure->scale);
    }
}

static void add_probes(struct strbuf *out, const struct status_view *view)
{
    add_probe_counts(out, view);
    for (size_t i = 0; i < ARRAY_LEN(probe_figures); i++)
        add_probe_figure(out, view, &probe_figures[i]);
}

void status_add_metrics(struct strbuf *out, const struct status_view *view)
{
    add_mesh(out, view);
    add_others(out, view);
    if (view->control.has_clock_skew)
        add_skew(out, &view->control);
    if (view->tls)
        add_tls(out, view);
    if (view->probes)
        add_probes(out, view);
    add_writes(out, view->overlay.counts);
    add_repairs(out, view->overlay.counts);
}
