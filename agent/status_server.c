/* The agent's own HTTP server. */
#include "agent/status_server.h"

#include "agent/leave.h"
#include "agent/mesh.h"
#include "agent/status.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/figures.h"
#include "lib/base/secret.h"

#define CONNECTIONS_MAX 64

/* A view with what it borrows. */
struct own_view {
    struct status_view view;
    struct status_tls tls;
    struct status_peer *peers;
};

static void own_view_deinit(struct own_view *own)
{
    free(own->peers);
}
#define AUTO_VIEW CLEANUP(own_view_deinit)

/* ---- a view of the agent ------------------------------------------------------------------- */

static struct status_peer view_peer(const struct agent *a, const struct peer *peer)
{
    bool is_wanted = peer->verdict == PEER_WANTED;
    struct status_peer view = {
        .node = &peer->node,
        .is_missing = peer->is_missing,
        .is_programmed = is_wanted && overlay_has_peer(a->overlay, peer->node.subnet.addr),
        .problem = peer_verdict_problem(peer->verdict),
        .probe = a->prober ? probes_find(prober_probes(a->prober), peer->node.node_id) : NULL,
    };

    if (is_wanted && !view.is_programmed && a->runtime)
        view.problem = runtime_client_route_problem(a->runtime, peer->node.subnet);
    return view;
}

static struct status_peer *view_peers(const struct agent *a, struct status_view *view)
{
    struct status_peer *peers = mem_array(peers_count(&a->peers) + 1, sizeof *peers);
    const struct peer *peer, *next;

    HASH_ITER (hh, a->peers.by_id, peer, next) {
        struct status_peer *item = &peers[view->peer_count++];

        *item = view_peer(a, peer);
        view->programmed_count += item->is_programmed;
        view->missing_count += item->is_missing;
    }
    view->wanted_count = a->peers.wanted_count;
    view->is_alone = a->peers.is_alone;
    return peers;
}

static struct status_tls view_tls(const struct papers *papers)
{
    return (struct status_tls){
        .expires_at = papers->cert ? tls_cert_facts(papers->cert)->not_after : 0,
        .trust = papers->trust,
    };
}

static void look_at(const struct agent *a, struct own_view *own)
{
    struct status_view *view = &own->view;

    *view = (struct status_view){
        .hostname = a->config->hostname,
        .host_ip = a->config->host_ip,
        .identity = a->has_identity ? &a->state.identity : NULL,
        .is_dry = a->config->is_dry,
        .identity_problem = a->identity_problem,
        .state_problem = a->saving.problem,
        .now_ms = clock_boot_ms(),
        .runtime_url = a->runtime ? a->config->runtime_target : NULL,
        .runtime = {.problem = ""},
    };
    control_client_status(a->control, &view->control);
    overlay_status(a->overlay, &view->overlay);
    if (a->fastpath)
        fastpath_status(a->fastpath, &view->fastpath);
    if (a->runtime)
        runtime_client_status(a->runtime, &view->runtime);
    view->is_ready = view->identity && !a->identity_problem && view->overlay.is_programmed &&
                     !view->control.is_foreign && !view->control.is_barred &&
                     !view->control.is_twin;
    if (a->papers) {
        own->tls = view_tls(a->papers);
        view->tls = &own->tls;
    }
    if (a->prober) {
        view->probes = prober_probes(a->prober);
        view->responder = prober_responder(a->prober);
        view->probe_problem = prober_problem(a->prober);
    }
    own->peers = view_peers(a, view);
    view->peers = own->peers;
}

/* ---- handlers ------------------------------------------------------------------------------ */

static void get_status(struct http_request *request, void *data)
{
    AUTO_VIEW struct own_view own = {.peers = NULL};
    AUTO_FREE char *json = NULL;

    look_at(data, &own);
    json = status_to_json(&own.view);
    http_reply_json(request, 200, json);
}

static void get_metrics(struct http_request *request, void *data)
{
    const struct agent *a = data;
    AUTO_VIEW struct own_view own = {.peers = NULL};
    AUTO_STRBUF struct strbuf out = {0};

    look_at(a, &own);
    status_add_metrics(&out, &own.view);
    if (a->fastpath)
        fastpath_add_metrics(a->fastpath, &out);
    figures_add_process(&out, "quilt-mesh-agent");
    http_reply_text(request, 200, FIGURES_CONTENT_TYPE, out.data);
}

static void get_readyz(struct http_request *request, void *data)
{
    AUTO_VIEW struct own_view own = {.peers = NULL};
    AUTO_FREE char *json = NULL;

    look_at(data, &own);
    json = status_to_ready_json(&own.view);
    http_reply_json(request, own.view.is_ready ? 200 : 503, json);
}

static void get_livez(struct http_request *request, void *data)
{
    http_reply_json(request, 200, "{\"status\":\"ok\"}");
}

static bool is_authorized(const struct agent *a, const struct http_request *request)
{
    const char *header = http_request_header(request, "Authorization");
    AUTO_SECRET char *right = mem_printf("Bearer %s", a->state.identity.node_token);

    return a->state.identity.node_token[0] && header && secret_equal(header, right);
}

/* What only the operator of this host may ask for; answers if it is refused. */
static bool is_admitted(const struct agent *a, struct http_request *request)
{
    if (a->leave)
        http_reply_problem(request, 409, "this node is leaving already");
    else if (!is_authorized(a, request))
        http_reply_problem(request, 403,
                           "needs the header Authorization: Bearer with the node's token, which is "
                           "in agent.json in the state directory");
    else
        return true;
    return false;
}

static void post_leave(struct http_request *request, void *data)
{
    if (is_admitted(data, request))
        leave_start(data, request);
}

static void post_accept_cluster(struct http_request *request, void *data)
{
    if (!is_admitted(data, request))
        return;
    http_reply_json(request, 200,
                    mesh_accept_cluster(data) ? "{\"accepted\":true}" : "{\"accepted\":false}");
}

static const struct http_route routes[] = {
    {"GET", "/status", get_status}, {"GET", "/metrics", get_metrics},
    {"GET", "/livez", get_livez},   {"GET", "/readyz", get_readyz},
    {"POST", "/leave", post_leave}, {"POST", "/accept-cluster", post_accept_cluster},
};

int status_server_new(struct agent *a, struct http_server **ret_server)
{
    const struct http_server_config config = {
        .addr = a->config->status_addr,
        .port = a->config->status_port,
        .routes = routes,
        .route_count = ARRAY_LEN(routes),
        .data = a,
        .max_connections = CONNECTIONS_MAX,
        .is_for_programs = true,
    };
    int r = http_server_new(a->daemon.loop, &config, ret_server);

    return r < 0 ? err_wrap(r, "serve the status (--status-addr)") : 0;
}
