/* From what is heard to what is wanted. */
#include "agent/mesh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probing.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

/* A list that lacks many at once needs a second one so many syncs later: a minute of the default.
 */
#define CONFIRM_SYNCS 12
/* A confirming list that does not come is asked for again. */
#define CONFIRM_AGAIN_MS 5000
/* After a cluster is accepted: the other nodes that are to come over have so long. */
#define ACCEPT_PATIENCE_MS 600000
#define SAY_IGNORED_MAX 16

static struct api_register_reply *identity(struct agent *a)
{
    return &a->state.identity;
}

/* ---- what is wanted ------------------------------------------------------------------------ */

static void say_ignored(const struct peer *peer, const char *problem)
{
    char subnet[IP4_PREFIX_TEXT_SIZE];

    log_warn("peer is ignored", LOG_S("node_id", peer->node.node_id),
             LOG_S("hostname", peer->node.hostname),
             LOG_S("subnet", ip4_prefix_format(peer->node.subnet, subnet)),
             LOG_S("problem", problem));
}

/* A list may be all wrong: the first few are named, the others counted. */
static void say_verdicts(struct agent *a)
{
    size_t said = 0;
    struct peer *peer, *next;

    if (!a->peers.has_news)
        return;
    a->peers.has_news = false;
    HASH_ITER (hh, a->peers.by_id, peer, next) {
        const char *problem = peer_verdict_problem(peer->verdict);

        if (peer->verdict == peer->said)
            continue;
        peer->said = peer->verdict;
        if (problem && said++ < SAY_IGNORED_MAX)
            say_ignored(peer, problem);
    }
    if (said > SAY_IGNORED_MAX)
        log_warn("more peers are ignored, see /status", LOG_U("count", said - SAY_IGNORED_MAX));
}

static void want_overlay(struct agent *a)
{
    const struct api_cluster *cluster = &identity(a)->cluster;
    struct overlay_want want = {.vni = cluster->vni,
                                .port = cluster->vxlan_port,
                                .local = a->config->host_ip,
                                .subnet = identity(a)->subnet,
                                .is_partial = !peers_are_told(&a->peers)};

    say_verdicts(a);
    if (!a->has_identity || a->identity_problem)
        return;
    (void)snprintf(want.alias, sizeof want.alias, MESH_ALIAS_PREFIX "%s:overlay",
                   identity(a)->node_id);
    want.peers = peers_wanted(&a->peers, &want.peer_count);
    overlay_set_want(a->overlay, &want);
    if (a->fastpath)
        fastpath_set_want(a->fastpath, &want);
    overlay_want_deinit(&want);
}

static void say_found(const struct peer *peer)
{
    if (peer->found_bytes > 0)
        log_warn("larger packets do not get to a peer, and nobody says so; none are sent",
                 LOG_S("hostname", peer->node.hostname), LOG_U("largest_bytes", peer->found_bytes));
    else
        log_info("packets of every size get to a peer again",
                 LOG_S("hostname", peer->node.hostname));
}

void mesh_follow_sizes(struct agent *a)
{
    struct peer *peer, *next;

    HASH_ITER (hh, a->peers.by_id, peer, next) {
        if (peer->found_bytes == peer->said_bytes)
            continue;
        peer->said_bytes = peer->found_bytes;
        say_found(peer);
    }
    want_overlay(a);
    saving_soon(a);
}

static void judge_identity(struct agent *a)
{
    const struct api_register_reply *me = identity(a);
    char subnet[IP4_PREFIX_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];

    free(TAKE_PTR(a->identity_problem));
    if (me->subnet.len == me->cluster.node_prefix_len &&
        ip4_prefix_covers(me->cluster.cidr, me->subnet))
        return;
    a->identity_problem = mem_printf(
        "the control plane gave this node %s, which is no /%u inside %s; ask who runs it",
        ip4_prefix_format(me->subnet, subnet), me->cluster.node_prefix_len,
        ip4_prefix_format(me->cluster.cidr, cidr));
    log_error("identity", LOG_S("problem", a->identity_problem));
}

static void use_identity(struct agent *a)
{
    const struct api_register_reply *me = identity(a);
    struct peers_self self = {
        .host_ip = a->config->host_ip,
        .subnet = me->subnet,
        .cluster_cidr = me->cluster.cidr,
        .node_prefix_len = me->cluster.node_prefix_len,
    };

    a->has_identity = true;
    memcpy(self.node_id, me->node_id, sizeof self.node_id);
    judge_identity(a);
    peers_set_self(&a->peers, &self);
    if (a->runtime && !a->identity_problem)
        runtime_client_configure(a->runtime, me->subnet, me->cluster.cidr);
    want_overlay(a);
    probing_look(a);
}

/* ---- doubt --------------------------------------------------------------------------------- */

/* The other nodes are still coming over to a cluster that was accepted. */
static bool is_patient(const struct agent *a)
{
    return a->accepted_ms > 0 && clock_boot_ms() - a->accepted_ms < ACCEPT_PATIENCE_MS;
}

static int64_t confirm_ms(const struct agent *a)
{
    return is_patient(a) ? ACCEPT_PATIENCE_MS
                         : CONFIRM_SYNCS * a->state.identity.cluster.peer_sync_ms;
}

static void say_doubt(const struct agent *a)
{
    if (a->peers.is_alone)
        log_warn("the list of nodes has nobody but this one, keeping all others until they are "
                 "said to be gone; if it is right, run 'quiltctl node accept-cluster'",
                 LOG_U("missing", a->peers.missing_count));
    else
        log_warn("the list of nodes lacks many at once, keeping them until it is confirmed",
                 LOG_U("missing", a->peers.missing_count), LOG_I("confirm_ms", confirm_ms(a)));
}

static void follow_doubt(struct agent *a, bool was_doubting)
{
    int64_t at_ms = peers_confirm_at_ms(&a->peers, confirm_ms(a));

    if (a->peers.missing_count > 0 && !was_doubting)
        say_doubt(a);
    if (a->peers.missing_count == 0 && was_doubting) /* what is not among them may go, if not yet */
        want_overlay(a);
    if (at_ms == INT64_MAX)
        loop_timer_disarm(a->confirm);
    else if (!loop_timer_is_armed(a->confirm)) /* asked again already */
        loop_timer_set_at(a->confirm, at_ms);
}

static void on_confirm(void *data)
{
    struct agent *a = data;

    loop_timer_set_in(a->confirm, CONFIRM_AGAIN_MS);
    control_client_refresh(a->control);
}

/* ---- what is heard ------------------------------------------------------------------------- */

static void say_registered(const struct agent *a, bool is_news)
{
    const struct api_register_reply *me = &a->state.identity;
    char subnet[IP4_PREFIX_TEXT_SIZE];

    log_at(is_news ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "registered", LOG_S("node_id", me->node_id),
           LOG_S("subnet", ip4_prefix_format(me->subnet, subnet)));
}

/* What is known of the cluster only grows: the answer may have been overtaken by later news. A
 * first release's control plane tells nothing, and takes nothing away. */
static void take_origin(struct api_origin *known, const struct api_origin *told)
{
    if (told->cluster_id[0] && strcmp(known->cluster_id, told->cluster_id) != 0)
        *known = *told;
    else if (known->cluster_id[0] && told->revision > known->revision)
        known->revision = told->revision;
}

static void on_origin(void *data, const struct api_origin *origin)
{
    struct agent *a = data;
    bool was_known = identity(a)->origin.cluster_id[0];

    take_origin(&identity(a)->origin, origin);
    if (!was_known && identity(a)->origin.cluster_id[0])
        saving_soon(a);
}

static void on_intervals(void *data, const struct api_cluster *cluster)
{
    struct agent *a = data;

    log_info("the cluster's intervals are others now", LOG_I("heartbeat_ms", cluster->heartbeat_ms),
             LOG_I("peer_sync_ms", cluster->peer_sync_ms));
    identity(a)->cluster = *cluster;
    saving_soon(a);
}

static int64_t load_percent(void)
{
    double load;

    return getloadavg(&load, 1) == 1 ? (int64_t)(load * 100) : -1;
}

static void on_report(void *data, struct api_heartbeat *report)
{
    const struct agent *a = data;

    (void)snprintf(report->agent_version, sizeof report->agent_version, "%s", QUILT_VERSION);
    report->revision_applied = (int64_t)a->revision_applied;
    report->peers = (int64_t)peers_count(&a->peers);
    report->peers_wanted = (int64_t)a->peers.wanted_count;
    report->load_percent = load_percent();
}

static void on_tell(void *data, struct strbuf *out)
{
    probing_tell(data, out);
}

/* Whether it was needed or not: who gives another one later means this node to come back. */
static void note_access_token(struct agent *a)
{
    AUTO_ACCESS_TOKEN struct access_token token = {.pin_count = 0};

    if (!join_token_is_given(&a->config->token) ||
        join_token_read(&a->config->token, NULL, &token) < 0)
        return;
    memcpy(a->state.access_token, token.id, sizeof a->state.access_token);
}

static void on_trusted(void *data)
{
    saving_soon(data);
}

/* What is shown is on disk before, unless the state cannot be saved: then memory must do. */
static void on_disowned(void *data)
{
    struct agent *a = data;

    log_warn("this node is not taken for itself any more; it joins with another token and key",
             LOG_S("node_id", identity(a)->node_id));
    random_hex(a->state.new_token, (NODE_TOKEN_TEXT_SIZE - 1) / 2);
    saving_now(a);
    if (papers_are_own(a->papers) && papers_make_key(a->papers) < 0)
        log_error("no other key can be made", LOG_ERR());
}

static void on_registered(void *data, const struct api_register_reply *reply)
{
    struct agent *a = data;
    struct api_register_reply *me = identity(a), old = *me;
    bool is_same_node = a->has_identity && strcmp(me->node_id, reply->node_id) == 0;
    bool had_subnet = a->has_identity && !ip4_prefix_equal(me->subnet, reply->subnet);
    char before[IP4_PREFIX_TEXT_SIZE], now[IP4_PREFIX_TEXT_SIZE];

    *me = *reply;
    me->certificate = me->ca = NULL; /* borrowed, and kept elsewhere */
    me->origin = old.origin;
    take_origin(&me->origin, &reply->origin);
    if (is_same_node && reply->node_token[0] == '\0')
        memcpy(me->node_token, old.node_token, sizeof me->node_token);
    a->state.host_ip = a->config->host_ip;
    note_access_token(a);
    if (had_subnet)
        log_warn("this node's subnet has changed",
                 LOG_S("was", ip4_prefix_format(old.subnet, before)),
                 LOG_S("is", ip4_prefix_format(me->subnet, now)));
    say_registered(a, true);
    use_identity(a);
    saving_now(a);
    if (a->is_ready && !is_same_node)
        control_client_refresh(a->control);
}

/* What the peers were told may have changed them, and has begun, moved or ended a doubt. */
static void peers_heard(struct agent *a, bool is_changed, bool was_doubting)
{
    if (is_changed) {
        want_overlay(a);
        probing_look(a);
        saving_soon(a);
    }
    follow_doubt(a, was_doubting);
}

/* vtep, before_vtep: what may have another peer now; 0: none. */
static void node_heard(struct agent *a, const char *node_id, uint32_t vtep, uint32_t before_vtep,
                       bool was_doubting)
{
    want_overlay(a);
    probing_look_at(a, vtep);
    probing_look_at(a, before_vtep);
    saving_node_soon(a, node_id);
    follow_doubt(a, was_doubting);
}

static uint32_t vtep_of(const struct agent *a, const char *node_id)
{
    const struct peer *peer = peers_find(&a->peers, node_id);

    return peer ? peer->node.subnet.addr : 0;
}

static void on_list(void *data, const struct api_node *nodes, size_t count)
{
    struct agent *a = data;
    bool was_doubting = a->peers.missing_count > 0, was_told = peers_are_told(&a->peers);
    bool is_changed;
    int64_t now_ms = clock_boot_ms();

    if (nodes)
        is_changed = peers_take_list(&a->peers, nodes, count, now_ms, confirm_ms(a));
    else
        is_changed = peers_take_same_list(&a->peers, now_ms, confirm_ms(a));
    loop_timer_disarm(a->confirm);
    if (was_told != peers_are_told(&a->peers)) /* what is not among them may go from now on */
        want_overlay(a);
    peers_heard(a, is_changed, was_doubting);
}

static void on_node(void *data, const struct api_node *node)
{
    struct agent *a = data;
    bool was_doubting = a->peers.missing_count > 0;
    uint32_t before = vtep_of(a, node->node_id);

    if (peers_take_node(&a->peers, node))
        node_heard(a, node->node_id, node->subnet.addr, before, was_doubting);
    else
        follow_doubt(a, was_doubting);
}

static void on_deleted(void *data, const char *node_id)
{
    struct agent *a = data;
    bool was_doubting = a->peers.missing_count > 0;
    uint32_t before = vtep_of(a, node_id);

    if (peers_take_deleted(&a->peers, node_id))
        node_heard(a, node_id, 0, before, was_doubting);
    else
        follow_doubt(a, was_doubting);
}

const struct control_client_events mesh_events = {
    .registered = on_registered,
    .intervals = on_intervals,
    .report = on_report,
    .tell = on_tell,
    .trusted = on_trusted,
    .disowned = on_disowned,
    .origin = on_origin,
    .list = on_list,
    .node = on_node,
    .deleted = on_deleted,
};

static void accept_foreign(struct agent *a)
{
    log_warn("the cluster is accepted, registering with it",
             LOG_S("was", identity(a)->origin.cluster_id),
             LOG_U("was_revision", identity(a)->origin.revision));
    identity(a)->origin = (struct api_origin){0};
    a->accepted_ms = clock_boot_ms();
    saving_now(a);
    control_client_restart(a->control);
}

static void accept_list(struct agent *a)
{
    log_warn("the list of nodes is accepted, forgetting those that it lacks",
             LOG_U("missing", a->peers.missing_count));
    peers_heard(a, peers_believe_list(&a->peers), true);
}

bool mesh_accept_cluster(struct agent *a)
{
    struct control_client_status control;

    control_client_status(a->control, &control);
    if (control.is_foreign)
        accept_foreign(a);
    else if (a->peers.missing_count > 0 && !is_patient(a)) /* said twice, it means the same */
        accept_list(a);
    else
        return false;
    return true;
}

/* ---- start --------------------------------------------------------------------------------- */

static void say_loaded(const struct agent *a, int outcome)
{
    const char *dir = a->config->state_dir;

    if (outcome == STATE_FILE_DAMAGED)
        log_error("the state file and the one before it are damaged; starting without: nothing in "
                  "the kernel is changed before the control plane answers",
                  LOG_S("state_dir", dir), LOG_ERR());
    else if (outcome == STATE_FILE_PREVIOUS)
        log_warn("the state file is damaged, the one before it is used", LOG_S("state_dir", dir));
    else if (outcome == STATE_FILE_NONE)
        log_info("no state yet: a new node", LOG_S("state_dir", dir));
}

/* What was written before agents made their tokens has none; and who lost it makes another. It is
 * in the file before the control plane can hear of it, unless that cannot be written. */
static void make_token(struct agent *a)
{
    if (a->state.new_token[0])
        return;
    random_hex(a->state.new_token, (NODE_TOKEN_TEXT_SIZE - 1) / 2);
    saving_now(a);
}

static void use_known(struct agent *a)
{
    log_info("known from before", LOG_S("node_id", a->state.identity.node_id),
             LOG_U("peers", peers_count(&a->peers)));
    use_identity(a);
}

int mesh_load_state(struct agent *a)
{
    int outcome = saving_load(a);

    if (outcome > 0)
        say_loaded(a, outcome);
    return outcome < 0 ? outcome : 0;
}

void mesh_start_from_state(struct agent *a)
{
    if (a->state.identity.node_id[0])
        use_known(a);
    make_token(a);
}

int mesh_init(struct agent *a)
{
    int r = saving_init(a);

    a->state.identity.cluster = api_cluster_default();
    if (r == 0)
        r = loop_add_timer(a->daemon.loop, on_confirm, a, &a->confirm);
    return r;
}

void mesh_deinit(struct agent *a)
{
    loop_source_free(a->confirm);
    saving_deinit(a);
    peers_deinit(&a->peers);
    agent_state_deinit(&a->state);
    free(a->identity_problem);
}
