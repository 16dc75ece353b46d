/* The agent's probes. */
#include "agent/probing.h"

#include <string.h>

#include "agent/mesh.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

/* Many changes are looked at together. */
#define LOOK_DELAY_MS 200

static struct probe_target target_of(const struct agent *a, const struct peer *peer)
{
    struct probe_target target = {
        .host_ip = peer->node.host_ip,
        .vtep = peer->node.subnet.addr,
        .distance = probe_ring_distance(a->state.identity.node_id, peer->node.node_id),
        .ip_bytes = overlay_path_bytes(a->overlay, peer->node.subnet.addr),
    };

    memcpy(target.node_id, peer->node.node_id, sizeof target.node_id);
    return target;
}

static void look_at_all(struct agent *a)
{
    struct probe_target *targets = mem_array(peers_count(&a->peers) + 1, sizeof *targets);
    const struct peer *peer, *next;
    size_t count = 0;

    HASH_ITER (hh, a->peers.by_id, peer, next) {
        if (peer->verdict == PEER_WANTED)
            targets[count++] = target_of(a, peer);
    }
    prober_set_peers(a->prober, a->state.identity.subnet.addr, targets, count);
}

/* False: who is to be probed may be others now, which takes a look at all. */
static bool look_at_one(struct agent *a, uint32_t vtep)
{
    const struct peer *peer = peers_find_wanted(&a->peers, vtep);
    struct probe_target target;

    if (!peer)
        return prober_drop_peer(a->prober, vtep);
    target = target_of(a, peer);
    return prober_put_peer(a->prober, &target);
}

static void on_look(void *data)
{
    struct agent *a = data;
    struct focus focus = a->probe_due;

    a->probe_due = (struct focus){0};
    for (size_t i = 0; !focus.is_all && i < focus.count; i++)
        focus.is_all = !look_at_one(a, focus.vteps[i]);
    if (focus.is_all)
        look_at_all(a);
}

static void look_soon(struct agent *a)
{
    if (a->prober && a->has_identity && !loop_timer_is_armed(a->probe_look))
        loop_timer_set_in(a->probe_look, LOOK_DELAY_MS);
}

void probing_look(struct agent *a)
{
    a->probe_due.is_all = true;
    look_soon(a);
}

void probing_look_at(struct agent *a, uint32_t vtep)
{
    if (vtep == 0)
        return;
    focus_add(&a->probe_due, vtep);
    look_soon(a);
}

void probing_follow_paths(struct agent *a)
{
    uint64_t changes = overlay_path_changes(a->overlay);

    if (changes == a->probe_paths)
        return;
    a->probe_paths = changes;
    probing_look(a);
}

static void on_changed(void *data)
{
    struct agent *a = data;

    control_client_beat_soon(a->control);
}

/* A search that has not ended says nothing: what was found before holds. */
static void on_sized(void *data)
{
    struct agent *a = data;
    const struct probes *probes = prober_probes(a->prober);
    bool is_changed = false;

    for (size_t i = 0; i < probes->count; i++) {
        const struct probe_track *track = &probes->tracks[i];
        const struct ladder *ladder = &track->ladder;

        if (ladder->largest_bytes > 0)
            is_changed |= peers_note_found(&a->peers, track->target.node_id,
                                           ladder_is_short(ladder) ? ladder->largest_bytes : 0);
    }
    if (is_changed)
        mesh_follow_sizes(a);
}

void probing_tell(struct agent *a, struct strbuf *out)
{
    if (a->prober)
        probes_tell(prober_probes(a->prober), clock_boot_ms(), out);
}

int probing_start(struct agent *a)
{
    const struct prober_config config = {.loop = a->daemon.loop,
                                         .host_ip = a->config->host_ip,
                                         .changed = on_changed,
                                         .sized = on_sized,
                                         .data = a};
    int r;

    if (a->config->is_dry)
        return 0;
    r = loop_add_timer(a->daemon.loop, on_look, a, &a->probe_look);
    return r == 0 ? prober_new(&config, &a->prober) : r;
}

void probing_stop(struct agent *a)
{
    prober_free(TAKE_PTR(a->prober));
    loop_source_free(TAKE_PTR(a->probe_look));
}
