/* The planted faults, and the places where the simulator looks into the daemons: functions of
 * theirs that the linker leads through here (--wrap). */
#include <string.h>

#include "agent/control_client/machine.h"
#include "control/services/registry_tables.h"
#include "lib/base/list.h"
#include "tests/sim/sim.h"

static const char *const names[] = {
    [MUTATION_NONE] = "none",
    [MUTATION_ANSWER_BEFORE_COMMIT] = "answer-before-commit",
    [MUTATION_SKIP_QUARANTINE] = "skip-quarantine",
    [MUTATION_SHORT_QUARANTINE] = "short-quarantine",
    [MUTATION_LEASE_NOT_LOADED] = "quarantine-not-loaded",
    [MUTATION_TIMEOUT_TOO_SHORT] = "timeout-too-short",
    [MUTATION_NO_GRACE_AFTER_RESTART] = "no-grace-after-restart",
    [MUTATION_NO_FORGIVENESS] = "own-absence-not-forgiven",
    [MUTATION_NO_DOUBT] = "no-doubt",
    [MUTATION_NOBODY_DOWN] = "nobody-is-marked-down",
    [MUTATION_BEAT_WITHOUT_WATCH] = "beat-not-counted",
    [MUTATION_UP_WITHOUT_BEAT] = "up-without-beat",
    [MUTATION_DELETION_NOT_PUBLISHED] = "deletion-not-published",
    [MUTATION_CHANGE_NOT_PUBLISHED] = "change-not-published",
    [MUTATION_RESUME_SKIPS_ONE] = "resume-skips-one",
    [MUTATION_SNAPSHOT_LACKS_ONE] = "snapshot-lacks-one",
    [MUTATION_BOOKMARK_AHEAD] = "bookmark-ahead",
    [MUTATION_TOMBSTONE_IGNORED] = "tombstone-ignored",
    [MUTATION_NO_REMOVAL_GUARD] = "no-removal-guard",
    [MUTATION_GUARD_NEVER_YIELDS] = "guard-never-yields",
    [MUTATION_ANYBODY_IS_A_PEER] = "anybody-is-a-peer",
    [MUTATION_DOWN_PEERS_KEPT] = "down-peers-kept",
    [MUTATION_STREAM_FAILURE_IGNORED] = "broken-stream-not-renewed",
    [MUTATION_STALE_LIST_AS_NEW] = "stale-list-as-new",
    [MUTATION_REMEMBERED_AS_TOLD] = "remembered-as-told",
    [MUTATION_DOUBTED_AS_TOLD] = "doubted-as-told",
    [MUTATION_STATE_FILE_FORGETS_TOKEN] = "state-file-forgotten",
    [MUTATION_TOKEN_KEPT_TOO_LATE] = "token-kept-too-late",
    [MUTATION_TOKEN_NOT_SOUGHT] = "token-not-sought",
    [MUTATION_INSTANCE_IGNORED] = "instance-ignored",
    [MUTATION_TWIN_LET_IN] = "twin-let-in",
    [MUTATION_SILENCE_PROVES_NOTHING] = "silence-proves-nothing",
    [MUTATION_PROVED_TWIN_LET_IN] = "proved-twin-let-in",
    [MUTATION_LATE_COPY_TAKEN] = "late-copy-taken",
    [MUTATION_RESERVATION_NOT_HELD] = "reservation-not-held",
    [MUTATION_RESERVATION_NOT_LOADED] = "reservation-not-loaded",
    [MUTATION_ROUTES_REWRITTEN] = "kernel-rewritten",
    [MUTATION_WALL_CLOCK_DEADLINES] = "wall-clock-deadlines",
    [MUTATION_WITNESSES_NOT_HEARD] = "witnesses-not-heard",
    [MUTATION_ONE_WITNESS_IS_ENOUGH] = "one-witness-is-enough",
};
static_assert(ARRAY_LEN(names) == MUTATION_COUNT, "each mutation has its name");

const char *mutation_name(enum mutation mutation)
{
    return names[mutation];
}

static bool is(enum mutation mutation)
{
    return sim.config.mutation == mutation;
}

#define WRAP(type, name, ...)        \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

/* ---- witnesses ----------------------------------------------------------------------------- */

WRAP(enum witness_verdict, witnesses_judge, const struct witnesses *witnesses,
     const struct witness_case *facts)
{
    if (is(MUTATION_WITNESSES_NOT_HEARD))
        return WITNESS_NOTHING;
    for (size_t i = 0; is(MUTATION_ONE_WITNESS_IS_ENOUGH) && i < witnesses->count; i++)
        if (witnesses->list[i].state == API_PROBE_LOST)
            return WITNESS_LOST;
    return __real_witnesses_judge(witnesses, facts);
}

/* ---- the control plane --------------------------------------------------------------------- */

WRAP(void, pool_quarantine, struct pool *pool, uint32_t index, int64_t until_ms)
{
    if (is(MUTATION_SKIP_QUARANTINE))
        pool_give_back(pool, index);
    else
        __real_pool_quarantine(pool, index,
                               is(MUTATION_SHORT_QUARANTINE) ? until_ms - 50000 : until_ms);
}

WRAP(void, pool_set_aside, struct pool *pool, uint32_t index)
{
    if (!is(MUTATION_RESERVATION_NOT_HELD))
        __real_pool_set_aside(pool, index);
}

WRAP(int, registry_load, struct registry *registry, const struct store_record *record,
     struct moment now)
{
    if (is(MUTATION_LEASE_NOT_LOADED) && strstr(record->body, "\"quarantined\""))
        return 0;
    if (is(MUTATION_RESERVATION_NOT_LOADED) && strcmp(record->kind, RESERVATION_KIND) == 0)
        return 0;
    if (is(MUTATION_NO_GRACE_AFTER_RESTART))
        now.boot_ms -= 25000;
    return __real_registry_load(registry, record, now);
}

WRAP(struct node *, registry_find_token, const struct registry *registry, const char *token_sha256)
{
    return is(MUTATION_TOKEN_NOT_SOUGHT) ? NULL
                                         : __real_registry_find_token(registry, token_sha256);
}

WRAP(enum registry_outcome, registry_plan_register, struct registry *registry,
     const struct api_register_request *request, const struct registry_visit *fresh,
     struct moment now, struct registry_change **ret_change, struct registry_grant *ret_grant)
{
    struct api_register_request less = *request;

    if (is(MUTATION_INSTANCE_IGNORED))
        less.instance_id = NULL;
    return __real_registry_plan_register(registry, &less, fresh, now, ret_change, ret_grant);
}

enum registry_outcome __real_registry_check_suitor(const struct registry *registry,
                                                   struct node *node,
                                                   const struct api_register_request *request,
                                                   struct moment now, int64_t *ret_wait_ms);

static enum registry_outcome judge_as_unproved(const struct registry *registry, struct node *node,
                                               const struct api_register_request *request,
                                               struct moment now, int64_t *ret_wait_ms)
{
    bool was_twin = node->suitor.is_twin;
    enum registry_outcome outcome;

    node->suitor.is_twin = false;
    outcome = __real_registry_check_suitor(registry, node, request, now, ret_wait_ms);
    node->suitor.is_twin = was_twin && outcome == REGISTRY_TWIN;
    return outcome;
}

/* What is judged of the request with these differences, which stand for a rule that is not kept. */
static enum registry_outcome judge_suitor(const struct registry *registry, struct node *node,
                                          const struct api_register_request *request,
                                          struct moment now, int64_t *ret_wait_ms)
{
    struct api_register_request other = *request;

    if (is(MUTATION_LATE_COPY_TAKEN))
        other.known.revision = UINT64_MAX;
    if (is(MUTATION_TWIN_LET_IN))
        other.home_id = node->facts.home_id;
    if (is(MUTATION_SILENCE_PROVES_NOTHING) && request->instance_id && !node->suitor.is_twin)
        now.boot_ms = node->watch.last_beat_ms;
    if (is(MUTATION_PROVED_TWIN_LET_IN))
        return judge_as_unproved(registry, node, request, now, ret_wait_ms);
    return __real_registry_check_suitor(registry, node, &other, now, ret_wait_ms);
}

/* The oracle looks at the node as it was: who is let in is nobody's twin any more. */
WRAP(enum registry_outcome, registry_check_suitor, const struct registry *registry,
     struct node *node, const struct api_register_request *request, struct moment now,
     int64_t *ret_wait_ms)
{
    struct node before = *node;
    enum registry_outcome outcome = judge_suitor(registry, node, request, now, ret_wait_ms);

    if (outcome == REGISTRY_TWIN)
        before.suitor = node->suitor;
    if (request->instance_id)
        oracle_judged_suitor(&before, request->instance_id, outcome);
    return outcome;
}

WRAP(enum registry_outcome, registry_plan_down, struct registry *registry, struct node *node,
     struct moment now, struct registry_change **ret_change)
{
    enum registry_outcome outcome = REGISTRY_READY;

    if (!is(MUTATION_NOBODY_DOWN))
        outcome = __real_registry_plan_down(registry, node, now, ret_change);
    if (outcome == REGISTRY_CHANGE)
        oracle_judged_down(node);
    return outcome;
}

WRAP(enum registry_outcome, registry_plan_up_again, struct registry *registry, struct node *node,
     const struct registry_change *down, struct moment now, struct registry_change **ret_change)
{
    struct registry_change sooner = *down;

    if (is(MUTATION_UP_WITHOUT_BEAT))
        sooner.planned_at.boot_ms = INT64_MIN;
    return __real_registry_plan_up_again(registry, node, &sooner, now, ret_change);
}

WRAP(void, monitor_init, struct monitor *monitor, int64_t timeout_ms)
{
    __real_monitor_init(monitor, is(MUTATION_TIMEOUT_TOO_SHORT) ? timeout_ms - 3000 : timeout_ms);
}

static int64_t wrong_ms(void)
{
    return is(MUTATION_WALL_CLOCK_DEADLINES) ? sim_control_host()->wall_offset_s * 1000 : 0;
}

WRAP(void, monitor_beat, struct monitor *monitor, struct monitor_entry *entry, int64_t now_ms)
{
    if (!is(MUTATION_BEAT_WITHOUT_WATCH) || !entry->is_watched)
        __real_monitor_beat(monitor, entry, now_ms + wrong_ms());
}

WRAP(void, monitor_forgive, struct monitor *monitor, int64_t away_ms, int64_t now_ms)
{
    if (!is(MUTATION_NO_FORGIVENESS))
        __real_monitor_forgive(monitor, away_ms, now_ms);
}

WRAP(void, monitor_check, struct monitor *monitor, int64_t now_ms, monitor_due_fn fn, void *data)
{
    const struct monitor_entry *entry;

    if (!is(MUTATION_NO_DOUBT)) {
        __real_monitor_check(monitor, now_ms + wrong_ms(), fn, data);
        return;
    }
    DL_FOREACH(monitor->watched, entry)
    {
        if (now_ms - entry->last_beat_ms > monitor->timeout_ms)
            (void)fn((struct monitor_entry *)(uintptr_t)entry, data);
    }
}

WRAP(void, events_add_deletion, struct events *events, uint64_t revision, const char *node_id)
{
    if (!is(MUTATION_DELETION_NOT_PUBLISHED))
        __real_events_add_deletion(events, revision, node_id);
}

WRAP(void, events_add_node, struct events *events, uint64_t revision, const struct node *node)
{
    if (!is(MUTATION_CHANGE_NOT_PUBLISHED) || !sim_percent(20))
        __real_events_add_node(events, revision, node);
}

/* A ring that is overtaken now and then. */
WRAP(void, events_init, struct events *events, size_t size, size_t bytes_max, uint64_t revision)
{
    __real_events_init(events, sim_percent(50) ? (size_t)sim_between(4, 64) : size,
                       sim_percent(50) ? (size_t)sim_between(2000, 20000) : bytes_max, revision);
}

WRAP(bool, events_seek, const struct events *events, uint64_t revision, uint64_t present,
     uint64_t *ret_place)
{
    bool is_known = __real_events_seek(events, revision, present, ret_place);

    if (is_known && is(MUTATION_RESUME_SKIPS_ONE) && *ret_place < events->next)
        (*ret_place)++;
    return is_known;
}

WRAP(struct http_body *, events_make_snapshot, const struct registry *registry, unsigned int kinds)
{
    struct registry less = *registry;
    struct node *last = less.first ? less.first->prev : NULL;
    struct http_body *body;

    if (!is(MUTATION_SNAPSHOT_LACKS_ONE) || !last || last == less.first)
        return __real_events_make_snapshot(registry, kinds);
    DL_DELETE(less.first, last);
    body = __real_events_make_snapshot(&less, kinds);
    DL_APPEND(less.first, last);
    return body;
}

WRAP(struct http_body *, events_make_bookmark, uint64_t revision)
{
    return __real_events_make_bookmark(is(MUTATION_BOOKMARK_AHEAD) ? revision + 1 : revision);
}

/* ---- the agents ---------------------------------------------------------------------------- */

bool __real_peers_take_deleted(struct peers *peers, const char *node_id);

static bool is_listed(const char *node_id, const struct api_node *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(nodes[i].node_id, node_id) == 0)
            return true;
    return false;
}

static void remove_missing(struct peers *peers, const struct api_node *nodes, size_t count)
{
    struct peer *peer, *next;

    HASH_ITER (hh, peers->by_id, peer, next) {
        if (!is_listed(peer->node.node_id, nodes, count))
            (void)__real_peers_take_deleted(peers, peer->node.node_id);
    }
}

WRAP(bool, peers_take_list, struct peers *peers, const struct api_node *nodes, size_t count,
     int64_t now_ms, int64_t confirm_ms)
{
    bool is_changed;

    if (!is(MUTATION_NO_REMOVAL_GUARD))
        return __real_peers_take_list(peers, nodes, count, now_ms,
                                      is(MUTATION_GUARD_NEVER_YIELDS) ? INT64_MAX / 2 : confirm_ms);
    remove_missing(peers, nodes, count);
    is_changed = __real_peers_take_list(peers, nodes, count, now_ms, confirm_ms);
    return is_changed || count == 0;
}

WRAP(bool, peers_take_deleted, struct peers *peers, const char *node_id)
{
    return !is(MUTATION_TOMBSTONE_IGNORED) && __real_peers_take_deleted(peers, node_id);
}

WRAP(bool, peers_take_node, struct peers *peers, const struct api_node *node)
{
    struct api_node kept = *node;

    kept.is_up = kept.is_up || is(MUTATION_DOWN_PEERS_KEPT);
    return __real_peers_take_node(peers, &kept);
}

WRAP(bool, peers_are_told, const struct peers *peers)
{
    return __real_peers_are_told(peers) || (is(MUTATION_REMEMBERED_AS_TOLD) && peers->by_id) ||
           (is(MUTATION_DOUBTED_AS_TOLD) && peers->list_serial > 0);
}

WRAP(void, peers_set_self, struct peers *peers, const struct peers_self *self)
{
    struct peers_self nobody = *self;

    if (is(MUTATION_ANYBODY_IS_A_PEER)) {
        nobody.cluster_cidr = (struct ip4_prefix){0};
        nobody.subnet = (struct ip4_prefix){0};
        nobody.host_ip = 0;
    }
    __real_peers_set_self(peers, &nobody);
}

WRAP(void, control_machine_done, struct control_machine *machine, enum control_job job,
     enum control_result result, size_t url_index, int64_t now_ms, uint64_t random)
{
    __real_control_machine_done(machine, job, result, url_index, now_ms, random);
    if (!is(MUTATION_STREAM_FAILURE_IGNORED) || job != CONTROL_STREAM || result != CONTROL_AWAY)
        return;
    machine->due_ms[CONTROL_STREAM] = INT64_MAX;
    machine->due_ms[CONTROL_POLL] = INT64_MAX;
}

WRAP(int, overlay_diff, const struct overlay_want *want, const struct overlay_have *have,
     struct overlay_changes *ret_changes)
{
    struct overlay_have torn = *have;

    if (is(MUTATION_ROUTES_REWRITTEN))
        torn.device.mtu_bytes--;
    return __real_overlay_diff(want, &torn, ret_changes);
}
