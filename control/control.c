/* The control plane as a whole: starting, watching the clock, stopping. */
#include "control/control.h"

#include <string.h>
#include <unistd.h>

#include "control/api/tokens.h"
#include "control/certificates.h"
#include "control/operations.h"
#include "control/pki_given.h"
#include "control/services/registry_probes.h"
#include "control/store/sqlite.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/secret.h"

#define TICK_MIN_MS 20
#define TICK_MAX_MS 1000
/* Answers that are on their way when all is stored get out within this. */
#define STOP_GRACE_MS 100
/* Connections that are no node's: operators, probes, clients that come and go. */
#define SPARE_CONNECTIONS 512

/* ---- loading ------------------------------------------------------------------------------- */

static int load_cluster(struct control *c, const struct store_record *record)
{
    if (cluster_from_json(record->body, &c->cluster) < 0)
        return STORE_DAMAGED;
    c->cluster_revision = record->revision;
    registry_init(&c->registry, &c->cluster, c->config.node_timeout_ms);
    c->is_loaded = true;
    return cluster_check_options(&c->cluster, &c->config.cluster);
}

/* The cluster's own record is the oldest, so it comes first. */
static int load_record(const struct store_record *record, void *data)
{
    struct control *c = data;

    if (!c->is_loaded && strcmp(record->kind, CLUSTER_KIND) == 0)
        return load_cluster(c, record);
    if (!c->is_loaded) {
        (void)err_fail(EIO, "the record of the cluster is missing");
        return STORE_DAMAGED;
    }
    if (strcmp(record->kind, TOKEN_KIND) == 0)
        return tokens_load(&c->tokens, record);
    if (strcmp(record->kind, BARRED_KIND) == 0)
        return barred_load(&c->barred, record);
    return registry_load(&c->registry, record, control_now());
}

static int plan_founding(struct control *c, struct store_change *first)
{
    struct cluster cluster;
    int r = pki_check_unfounded(&c->config.pki, c->config.db_path);

    if (r != 0)
        return r == PKI_DAMAGED ? STORE_DAMAGED : r;
    random_uuid(c->founded_id);
    r = cluster_found(&c->config.cluster, c->founded_id, &cluster);
    if (r < 0)
        return r;
    if (pki_is_asked_for(&c->config.pki)) /* also when this start fails before it does */
        cluster.certs = CLUSTER_CERTS_WANTED;
    store_add_create(first, CLUSTER_KIND, CLUSTER_ID, NULL, cluster_to_json(&cluster));
    return 0;
}

static int open_store(struct control *c)
{
    struct store_change first = {.at_unix_s = clock_unix_s()};
    const char *path = c->config.db_path;
    enum store_sqlite_file file = store_sqlite_look(path);
    int r = file == STORE_SQLITE_NONE ? plan_founding(c, &first) : 0;

    if (r == 0)
        r = store_sqlite_open(path, first.op_count > 0 ? &first : NULL, &c->store);
    if (r == 0 && file == STORE_SQLITE_COPY)
        log_warn("this database is a backup that was put in place: nodes that were revoked and "
                 "tokens that were removed since it was made are good again, so do that again",
                 LOG_S("db_path", path));
    store_change_deinit(&first);
    return r;
}

static int check_loaded(struct control *c, uint64_t revision)
{
    int r = c->is_loaded ? registry_loaded(&c->registry, revision)
                         : err_fail(EIO, "it has no record of a cluster");

    return r == 0 ? 0 : store_sqlite_distrust(c->config.db_path);
}

static int load(struct control *c)
{
    uint64_t revision = 0;
    int r = open_store(c);

    if (r == 0)
        r = store_load(c->store, load_record, c, &revision);
    if (r == 0)
        r = check_loaded(c, revision);
    if (r == 0 && strcmp(c->founded_id, c->cluster.cluster_id) == 0)
        log_info("cluster founded", LOG_S("cluster_id", c->cluster.cluster_id));
    return r;
}

/* ---- the clock ----------------------------------------------------------------------------- */

static bool on_due(struct monitor_entry *entry, void *data)
{
    return operations_mark_down(data, CONTAINER_OF(entry, struct node, watch));
}

/* Its heartbeats do not come, but its witnesses reach it. */
static bool on_silent(struct monitor_entry *entry, void *data)
{
    struct control *c = data;
    struct node *node = CONTAINER_OF(entry, struct node, watch);

    return !registry_keep(&c->registry, node, control_now()) && on_due(entry, data);
}

static void tell_doubt(struct control *c)
{
    const struct monitor *monitor = &c->registry.monitor;

    if (monitor->is_doubting == c->was_doubting)
        return;
    c->was_doubting = monitor->is_doubting;
    if (monitor->is_doubting)
        log_warn("so many nodes are silent that nobody is marked down",
                 LOG_U("silent", monitor_count_silent(monitor, clock_boot_ms())),
                 LOG_U("up", monitor->count));
    else
        log_info("nodes are heard again, silence counts again");
}

static void forgive_own_absence(struct control *c)
{
    struct monitor *monitor = &c->registry.monitor;
    int64_t lag_ms = loop_take_lag_ms(c->daemon.loop);

    if (lag_ms <= monitor_lag_limit_ms(monitor))
        return;
    log_warn("was held up, so silence is not counted for that time", LOG_I("lag_ms", lag_ms));
    monitor_forgive(monitor, lag_ms, clock_boot_ms());
    registry_doubt_witnesses(&c->registry, control_now());
}

static bool on_lost(struct monitor_entry *entry, void *data)
{
    struct control *c = data;
    const struct node *node = CONTAINER_OF(entry, struct node, watch);

    log_warn("a node is dead, say those that watch it", LOG_S("node_id", node->facts.api.node_id),
             LOG_S("hostname", node->facts.api.hostname));
    c->metrics.downs_witnessed++;
    return on_due(entry, data);
}

static void on_suspicion(void *data)
{
    struct control *c = data;

    if (c->is_stopping)
        return;
    forgive_own_absence(c);
    if (registry_check_suspects(&c->registry, control_now(), on_lost, c))
        loop_timer_set_in(c->suspicion, SUSPICION_MS);
}

static void set_tick(struct control *c)
{
    int64_t tick_ms = c->config.node_timeout_ms / 30;

    tick_ms = tick_ms < TICK_MIN_MS ? TICK_MIN_MS : tick_ms;
    loop_timer_set_in(c->tick, tick_ms > TICK_MAX_MS ? TICK_MAX_MS : tick_ms);
}

static void tell_subnets(struct control *c)
{
    unsigned int count = c->registry.pool.counts[POOL_FREE];

    if (!c->is_exhausted || count == 0)
        return;
    c->is_exhausted = false;
    log_info("there are subnets for new nodes again", LOG_U("free", count));
}

static void on_tick(void *data)
{
    struct control *c = data;

    if (c->is_stopping)
        return;
    forgive_own_absence(c);
    monitor_check(&c->registry.monitor, clock_boot_ms(), on_silent, c);
    if (c->registry.monitor.is_doubting)
        registry_mark_unknown(&c->registry, control_now());
    tell_doubt(c);
    operations_release_due(c);
    tell_subnets(c);
    ca_rotation_go_on(c);
    set_tick(c);
}

/* ---- the store's thread -------------------------------------------------------------------- */

void control_note_room(struct control *c, int outcome)
{
    bool is_full = outcome == STORE_FULL;

    if (c->is_full == is_full)
        return;
    c->is_full = is_full;
    if (is_full)
        log_warn("the store is full: changes are refused", LOG_S("db_path", c->config.db_path));
    else
        log_info("the store has room again", LOG_S("db_path", c->config.db_path));
}

/* A control plane that stops may go when all changes that were under way have been answered. */
static void go_if_idle(struct control *c)
{
    if (c->is_stopping && writer_pending(c->writer) == 0)
        loop_timer_set_in(c->stop_grace, STOP_GRACE_MS);
}

static void on_stored(struct store_change *set, void *data)
{
    struct control *c = data;

    set->on_outcome(set, c);
    go_if_idle(c);
}

/* What the store holds is unknown, so nothing that is in memory can be answered any more. The next
 * start reads the truth. */
static void on_broken(const char *text, void *data)
{
    struct control *c = data;

    log_error("the store failed; ending without answers, the next start reads what is stored",
              LOG_S("error", text));
    loop_exit(c->daemon.loop, EXIT_FAILURE);
}

/* ---- stopping ------------------------------------------------------------------------------ */

static void on_stop_grace(void *data)
{
    struct control *c = data;

    loop_exit(c->daemon.loop, EXIT_SUCCESS);
}

static void on_stop(void *data)
{
    struct control *c = data;

    c->is_stopping = true;
    http_server_drain(c->server);
    watchers_wake(&c->watchers);
    go_if_idle(c);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void on_request_done(void *data, int route, unsigned int status)
{
    struct control *c = data;

    metrics_count(&c->metrics, route, status);
}

static int start_server(struct control *c)
{
    const unsigned int node_connections = 2 * c->registry.pool.count; /* stream and beat */
    const struct http_tls_config tls = c->pki ? certificates_files(c) : (struct http_tls_config){0};
    const struct http_server_config config = {
        .addr = c->config.listen_addr,
        .port = c->config.listen_port,
        .routes = c->routes,
        .route_count = ROUTE_COUNT,
        .tls = c->pki ? &tls : NULL,
        .data = c,
        .max_connections = node_connections + SPARE_CONNECTIONS,
        /* Whoever takes all it can get leaves room for the others. */
        .max_per_address = node_connections + SPARE_CONNECTIONS / 2,
        .on_done = on_request_done,
    };

    int r;

    routes_fill(c->routes);
    r = http_server_new(c->daemon.loop, &config, &c->server);
    if (r < 0)
        return err_wrap(r, "serve the REST API (--listen)");
    if (c->pki)
        certificates_note_shown(c);
    return 0;
}

static int start(struct control *c)
{
    const struct writer_callbacks callbacks = {on_stored, on_broken, c};
    int r;

    r = start_server(c);
    if (r == 0)
        r = certificates_begin(c);
    if (r != 0)
        return r;
    events_init(&c->events, EVENTS_KEPT, EVENTS_BYTES_MAX, c->registry.revision);
    r = writer_new(c->daemon.loop, c->store, &callbacks, &c->writer);
    if (r == 0)
        r = health_init(&c->health, c);
    if (r == 0)
        r = watchers_init(&c->watchers, c);
    if (r == 0)
        r = loop_add_timer(c->daemon.loop, on_stop_grace, c, &c->stop_grace);
    if (r == 0)
        r = loop_add_timer(c->daemon.loop, on_tick, c, &c->tick);
    if (r == 0)
        r = loop_add_timer(c->daemon.loop, on_suspicion, c, &c->suspicion);
    if (r == 0)
        r = certificates_watch(c);
    if (r == 0)
        set_tick(c);
    return r;
}

int control_init(struct control *c, const struct control_config *config)
{
    int r;

    *c = (struct control){.config = *config};
    r = daemon_init(&c->daemon, on_stop, c);
    (void)gethostname(c->hostname, sizeof c->hostname - 1);
    c->guesses.salt = c->told_denials.salt = random_u64();
    if (r == 0)
        r = pki_given_check(&config->pki); /* a start that is refused founds no cluster */
    if (r == 0)
        r = load(c);
    if (r == 0)
        r = certificates_load(c);
    return r != 0 ? r : start(c);
}

/* The server goes first: it tells those who wait that nobody will answer. Then the store's thread,
 * so that nothing is in two hands when the registry frees what was under way. */
void control_deinit(struct control *c)
{
    http_server_free(c->server);
    http_body_unref(c->list);
    http_body_unref(c->beat_answer.body);
    loop_source_free(c->renewal);
    loop_source_free(c->tick);
    loop_source_free(c->suspicion);
    loop_source_free(c->stop_grace);
    watchers_deinit(&c->watchers);
    health_deinit(&c->health);
    writer_free(c->writer);
    backup_deinit(&c->backup);
    operations_free_all(&c->registry);
    tokens_api_free_all(c);
    events_deinit(&c->events);
    if (c->is_loaded)
        registry_deinit(&c->registry);
    tokens_deinit(&c->tokens);
    barred_deinit(&c->barred);
    secret_free(c->first_token);
    pki_free(c->pki);
    store_free(c->store);
    daemon_deinit(&c->daemon);
}

static void say_ready(struct control *c)
{
    char addr[IP4_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];
    AUTO_FREE char *listen =
        mem_printf("%s:%u", ip4_format(c->config.listen_addr, addr), http_server_port(c->server));

    if (!c->pki && !ip4_is_loopback(c->config.listen_addr))
        log_warn("plain HTTP beyond this host: whoever reaches this address can change the cluster",
                 LOG_S("listen", listen));
    daemon_ready(&c->daemon, LOG_S("listen", listen), LOG_B("tls", c->pki != NULL),
                 LOG_S("db_path", c->config.db_path), LOG_S("cluster_id", c->cluster.cluster_id),
                 LOG_S("cluster_cidr", ip4_prefix_format(c->cluster.cidr, cidr)),
                 LOG_U("nodes", c->registry.count), LOG_U("nodes_up", c->registry.up_count),
                 LOG_U("revision", c->registry.revision));
    certificates_print_join_line(c);
}

int control_run(const struct control_config *config)
{
    struct control c;
    int r = control_init(&c, config);
    int exit_code = r == STORE_DAMAGED ? EXIT_DAMAGED : EXIT_FAILURE;

    if (r == 0) {
        say_ready(&c);
        exit_code = daemon_run(&c.daemon);
    } else {
        log_error("cannot start", LOG_ERR());
    }
    control_deinit(&c);
    return exit_code;
}
