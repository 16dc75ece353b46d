/* The agent's life: parts in order, and back. */
#include "agent/agent.h"

#include <linux/capability.h>
#include <malloc.h>

#include "agent/leave.h"
#include "agent/mesh.h"
#include "agent/probing.h"
#include "agent/status_server.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/options.h"
#include "lib/base/privilege.h"

/* Freed memory goes back to the system from here on; the agent is small and stays so. */
#define TRIM_BYTES (128 * 1024)

/* ---- between overlay and runtime ----------------------------------------------------------- */

static void on_routes(void *data, const struct overlay_change *changes, size_t count)
{
    struct agent *a = data;

    runtime_client_routes(a->runtime, changes, count);
}

static bool can_route(void *data)
{
    const struct agent *a = data;

    return runtime_client_is_ready(a->runtime);
}

static bool is_routing(void *data)
{
    const struct agent *a = data;

    return runtime_client_is_busy(a->runtime);
}

static void on_runtime_look(void *data)
{
    struct agent *a = data;

    overlay_look_at_routes(a->overlay);
}

static void on_heard_routes(void *data, size_t count)
{
    struct agent *a = data;

    overlay_heard_routes(a->overlay, count);
}

/* ---- ready --------------------------------------------------------------------------------- */

static void say_ready(struct agent *a)
{
    char host_ip[IP4_TEXT_SIZE], subnet[IP4_PREFIX_TEXT_SIZE];

    daemon_ready(&a->daemon, LOG_S("node_id", a->state.identity.node_id),
                 LOG_S("host_ip", ip4_format(a->config->host_ip, host_ip)),
                 LOG_S("subnet", ip4_prefix_format(a->state.identity.subnet, subnet)),
                 LOG_U("status_port", http_server_port(a->server)));
}

/* A host IP that is not ours (yet) is not told to the mesh. */
static void on_looked(void *data)
{
    struct agent *a = data;
    struct overlay_status overlay;

    overlay_status(a->overlay, &overlay);
    probing_follow_paths(a);
    if (overlay.is_programmed && a->peers.missing_count == 0)
        a->revision_applied = a->state.identity.origin.revision;
    if (!a->is_control_started && overlay.is_host_ip_local && !a->leave) {
        a->is_control_started = true;
        control_client_start(a->control);
    }
    if (a->is_ready || !a->has_identity || a->identity_problem || !overlay.is_programmed)
        return;
    a->is_ready = true;
    say_ready(a);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void on_stop(void *data)
{
    struct agent *a = data;

    if (a->leave)
        return;
    if (a->config->leaves_on_stop) {
        leave_start(a, NULL);
        return;
    }
    loop_exit(a->daemon.loop, 0);
}

static int open_state(struct agent *a)
{
    const char *dir = a->config->state_dir;
    int r = state_file_open(dir, "agent", &a->file);

    if (r == -EWOULDBLOCK)
        return err_fail(EBUSY, "another agent is running with the state directory %s", dir);
    if (r < 0)
        return err_wrap(r, "use the state directory %s (see --state-dir)", dir);
    state_file_home(&a->file, a->home_id);
    return 0;
}

static void on_met(void *data, int ifindex, uint32_t addr, struct mac mac)
{
    struct agent *a = data;

    if (a->fastpath)
        fastpath_meet(a->fastpath, ifindex, addr, mac);
}

static void on_missed(void *data)
{
    struct agent *a = data;

    if (a->fastpath)
        fastpath_miss(a->fastpath);
}

static int start_overlay(struct agent *a)
{
    const struct overlay_config config = {
        .loop = a->daemon.loop,
        .is_dry = a->config->is_dry,
        .host_ip = a->config->host_ip,
        .routes = on_routes,
        .can_route = can_route,
        .is_routing = is_routing,
        .looked = on_looked,
        .met = on_met,
        .missed = on_missed,
        .data = a,
    };

    return overlay_new(&config, &a->overlay);
}

static int start_fastpath(struct agent *a)
{
    return a->config->is_dry ? 0 : fastpath_new(a->daemon.loop, a->config->fastpath, &a->fastpath);
}

static int start_runtime(struct agent *a)
{
    const struct rpc_client_tls tls = {.files = papers_keyring_files(a->papers),
                                       .is_own_node = true};
    const struct runtime_client_config config = {
        .loop = a->daemon.loop,
        .target = a->config->runtime_target,
        .tls = a->papers ? &tls : NULL,
        .via_interface = MESH_DEVICE_NAME,
        .look = on_runtime_look,
        .heard_routes = on_heard_routes,
        .data = a,
    };

    return a->config->is_dry ? 0 : runtime_client_new(&config, &a->runtime);
}

/* ---- certificates -------------------------------------------------------------------------- */

#define PAPERS_LOOK_MS 30000

/* Who has neither CAs, nor a memory of them or a certificate that tells of one, needs a token that
 * does. */
static int check_guide(const struct agent *a)
{
    struct sha256 unused[PAPERS_PINS_MAX];

    if (a->papers->trust || papers_pins(a->papers, unused) > 0)
        return 0;
    if (join_token_is_given(&a->config->token))
        return join_token_read(&a->config->token, NULL, NULL);
    (void)err_fail(EINVAL,
                   "nothing says which control plane to believe at %s: give an access token with "
                   "--token-file ('quiltctl token create' makes one), or a CA with --tls-ca",
                   a->config->control_urls[0]);
    return AGENT_WITHOUT_CA;
}

static void on_papers_due(void *data)
{
    struct agent *a = data;

    if (papers_refresh(a->papers))
        control_client_reconnect(a->control);
    loop_timer_set_in(a->papers_due, PAPERS_LOOK_MS);
}

static int start_papers(struct agent *a)
{
    const struct papers_config config = {.state_dir = a->config->state_dir,
                                         .remembered = &a->state.ca_pins,
                                         .ca_file = a->config->ca_file,
                                         .cert_file = a->config->cert_file,
                                         .key_file = a->config->key_file};
    int r = 0;

    if (!a->config->is_tls)
        return 0;
    r = papers_open(&config, &a->papers);
    if (r == 0)
        r = check_guide(a);
    if (r != 0 || (!config.ca_file && !config.cert_file))
        return r;
    r = loop_add_timer(a->daemon.loop, on_papers_due, a, &a->papers_due);
    if (r == 0)
        loop_timer_set_in(a->papers_due, PAPERS_LOOK_MS);
    return r;
}

static int start_control(struct agent *a)
{
    const struct http_client_config http =
        a->papers ? papers_files(a->papers) : (struct http_client_config){0};
    const struct control_client_config config = {
        .urls = a->config->control_urls,
        .url_count = a->config->control_url_count,
        .hostname = a->config->hostname,
        .host_ip = a->config->host_ip,
        .cpu_cores = a->config->cpu_cores,
        .ram_mb = a->config->ram_mb,
        .instance_id = a->instance_id,
        .home_id = a->home_id[0] ? a->home_id : NULL,
        .new_token = a->state.new_token,
        .identity = &a->state.identity,
        .papers = a->papers,
        .token = &a->config->token,
        .spent_token = a->state.access_token,
        .events = &mesh_events,
        .data = a,
    };
    int r = http_client_new(a->daemon.loop, &http, &a->http);

    return r < 0 ? r : control_client_new(a->daemon.loop, a->http, &config, &a->control);
}

/* Before anything is told to the mesh: an agent that cannot keep its overlay must not join. */
static int require_privilege(const struct agent *a)
{
    if (a->config->is_dry)
        return 0;
    return privilege_require(CAP_NET_ADMIN, "CAP_NET_ADMIN",
                             "run it as root, or with --dataplane none to change nothing");
}

int agent_init(struct agent *a, const struct agent_config *config)
{
    int r;

    *a = (struct agent){.config = config, .file = {.lock_fd = -1}};
    random_uuid(a->instance_id);
    r = require_privilege(a);
    if (r == 0)
        r = open_state(a);
    if (r == 0)
        r = daemon_init(&a->daemon, on_stop, a);
    if (r == 0)
        r = mesh_init(a);
    if (r == 0)
        r = mesh_load_state(a);
    if (r == 0)
        r = start_papers(a);
    if (r == 0)
        r = start_overlay(a);
    if (r == 0)
        r = start_fastpath(a);
    if (r == 0)
        r = start_runtime(a);
    if (r == 0)
        r = start_control(a);
    if (r == 0)
        r = probing_start(a);
    if (r == 0)
        r = status_server_new(a, &a->server);
    if (r != 0)
        return r;
    mesh_start_from_state(a);
    overlay_look(a->overlay);
    return 0;
}

void agent_deinit(struct agent *a)
{
    saving_finish(a);
    http_server_free(a->server);
    leave_free(a->leave);
    probing_stop(a);
    control_client_free(a->control);
    http_client_free(a->http);
    runtime_client_free(a->runtime);
    fastpath_free(a->fastpath);
    overlay_free(a->overlay);
    loop_source_free(a->papers_due);
    papers_free(a->papers);
    mesh_deinit(a);
    if (a->daemon.loop)
        daemon_deinit(&a->daemon);
    state_file_close(&a->file);
}

int agent_run(const struct agent_config *config)
{
    struct agent a;
    int code, r;

    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    log_info("starting", LOG_S("version", QUILT_VERSION), LOG_S("hostname", config->hostname),
             LOG_S("dataplane", config->dataplane));
    r = agent_init(&a, config);
    if (r != 0)
        log_error("cannot start", LOG_ERR());
    code = r == 0 ? daemon_run(&a.daemon) : r == AGENT_WITHOUT_CA ? EXIT_USAGE : EXIT_FAILURE;
    agent_deinit(&a);
    return code;
}
