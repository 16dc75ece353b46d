/* Pings in series and of many sizes, TCP, and an ear at the devices. */
#include "cli/doctor/try_paths.h"

#include <string.h>

#include "cli/doctor/tap.h"
#include "cli/doctor/tcp_probe.h"
#include "lib/api/mesh.h"
#include "lib/api/probe.h"
#include "lib/base/error.h"
#include "lib/base/random.h"

#define EXAMINED_MAX 16
/* Where every tenth packet is lost, a series of them shows it in all but one of 500. */
#define LOSS_TRIES 100
#define SIZE_TRIES 5
_Static_assert(EXAMINED_MAX *LOSS_TRIES <= PING_TARGETS_MAX, "a series of all at once");

/* What networks usually carry, less VXLAN's headers, and what is always carried. */
static const uint16_t sizes[] = {8950, 1450, 1442, 1430, 1412, 1400, 1380, 1370, 1350,
                                 1330, 1300, 1280, 1230, 1150, 1000, 800,  526};

/* ---- all of them: a small ping ------------------------------------------------------------- */

static const json_t *peer_of(const json_t *agent, uint32_t vtep)
{
    const json_t *peers = json_object_get(agent, "peers"), *peer;
    struct ip4_prefix subnet;
    size_t i;

    json_array_foreach (peers, i, peer)
        if (ip4_prefix_parse(facts_text(peer, "subnet"), &subnet) == 0 && subnet.addr == vtep)
            return peer;
    return NULL;
}

static int ping_all(struct facts *facts, uint16_t id_be, struct ping_target **ret_targets,
                    size_t *ret_count)
{
    AUTO_FREE struct ping_target *targets = report_ping_targets(facts->agent, ret_count);
    int r;

    if (*ret_count > PING_TARGETS_MAX)
        *ret_count = PING_TARGETS_MAX;
    r = *ret_count > 0 ? ping_run_as(MESH_DEVICE_NAME, id_be, targets, *ret_count) : 0;
    if (r == 0)
        *ret_targets = TAKE_PTR(targets);
    return r;
}

/* Where the way to one peer takes less than others, by its routes, its route says so and senders
 * are told. */
static uint32_t promised_bytes(const struct facts *facts, const json_t *peer)
{
    const struct link_info *overlay = facts_overlay(facts);
    uint32_t device_bytes = overlay ? overlay->mtu_bytes : 0;
    json_int_t way =
        json_integer_value(json_object_get(json_object_get(peer, "probe"), "wanted_bytes"));

    if (way <= MESH_OVERHEAD_BYTES || way - MESH_OVERHEAD_BYTES >= device_bytes)
        return device_bytes;
    return (uint32_t)(way - MESH_OVERHEAD_BYTES);
}

static int window_percent(const json_t *probe, const char *key)
{
    const json_t *percent = json_object_get(probe, key);

    return json_is_integer(percent) ? (int)json_integer_value(percent) : FACTS_UNKNOWN;
}

static void take_targets(struct facts *facts, const struct ping_target *targets, size_t count)
{
    facts->paths = mem_array(count + 1, sizeof *facts->paths);
    for (size_t i = 0; i < count; i++) {
        const json_t *peer = peer_of(facts->agent, targets[i].addr);
        const json_t *probe = json_object_get(peer, "probe");
        struct path *path = &facts->paths[facts->path_count++];

        *path = (struct path){.hostname = facts_text(peer, "hostname"),
                              .vtep = targets[i].addr,
                              .answers_ping = targets[i].has_answered,
                              .host_window_percent = window_percent(probe, "underlay_loss"),
                              .overlay_window_percent = window_percent(probe, "overlay_loss"),
                              .mtu_bytes = promised_bytes(facts, peer)};
        if (ip4_parse(facts_text(peer, "host_ip"), &path->host_ip) < 0)
            path->host_ip = 0;
    }
}

static bool is_silent(const struct path *path)
{
    return !path->answers_ping;
}

static bool is_lossy(const struct path *path)
{
    return path->overlay_window_percent >= API_PROBE_LOSS_PERCENT;
}

static bool is_any(const struct path *path)
{
    return true;
}

static void choose(struct facts *facts, bool (*is_chosen)(const struct path *), size_t *chosen)
{
    for (size_t i = 0; i < facts->path_count && *chosen < EXAMINED_MAX; i++) {
        struct path *path = &facts->paths[i];

        if (path->is_examined || !is_chosen(path))
            continue;
        path->is_examined = true;
        *chosen += 1;
    }
}

static void note_heard(struct facts *facts, struct tap *tap)
{
    for (size_t i = 0; i < facts->path_count; i++)
        facts->paths[i].is_heard =
            facts->paths[i].is_heard || tap_has_heard(tap, facts->paths[i].host_ip);
}

/* ---- some: how many get lost, and does the host answer where they do? ---------------------- */

static size_t take_examined(struct facts *facts, bool (*is_taken)(const struct path *),
                            struct path *ret_of[static EXAMINED_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < facts->path_count; i++)
        if (facts->paths[i].is_examined && is_taken(&facts->paths[i]))
            ret_of[count++] = &facts->paths[i];
    return count;
}

static void ping_overlay(struct facts *facts, uint16_t id_be)
{
    struct ping_target targets[EXAMINED_MAX];
    struct path *of[EXAMINED_MAX];
    size_t count = take_examined(facts, is_any, of);

    for (size_t i = 0; i < count; i++)
        targets[i] = (struct ping_target){.addr = of[i]->vtep};
    if (count > 0 && ping_run_series(MESH_DEVICE_NAME, id_be, targets, count, LOSS_TRIES) < 0) {
        facts_add_blind(facts, "it was not tried how many packets to the peers get lost");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        of[i]->overlay = (struct tries){LOSS_TRIES, targets[i].answers};
        of[i]->answers_ping = of[i]->answers_ping || targets[i].has_answered;
    }
}

static bool has_lost(const struct path *path)
{
    return !path->answers_ping || path->overlay.answered < path->overlay.sent;
}

static void ping_hosts(struct facts *facts)
{
    struct ping_target targets[EXAMINED_MAX];
    struct path *of[EXAMINED_MAX];
    size_t count = take_examined(facts, has_lost, of);

    for (size_t i = 0; i < count; i++)
        targets[i] = (struct ping_target){.addr = of[i]->host_ip};
    if (count > 0 &&
        ping_run_series(NULL, (uint16_t)random_u64(), targets, count, LOSS_TRIES) < 0) {
        facts_add_blind(facts, "the hosts of peers that are silent, or lose packets, were not "
                               "tried");
        return;
    }
    for (size_t i = 0; i < count; i++)
        of[i]->host = (struct tries){LOSS_TRIES, targets[i].answers};
}

/* ---- those that answer: how large, and what ------------------------------------------------ */

/* Every size at once: what is too large is lost, and the rest is answered. */
static int try_sizes(struct path *path)
{
    struct ping_target targets[ARRAY_LEN(sizes) + 1];
    size_t count = 0;
    int r;

    targets[count++] =
        (struct ping_target){.addr = path->vtep, .size_bytes = (uint16_t)path->mtu_bytes};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        if (sizes[i] < path->mtu_bytes)
            targets[count++] = (struct ping_target){.addr = path->vtep, .size_bytes = sizes[i]};
    r = ping_run(MESH_DEVICE_NAME, targets, count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        if (targets[i].has_answered && targets[i].size_bytes > path->largest_bytes)
            path->largest_bytes = targets[i].size_bytes;
    return 0;
}

/* Of those that all of the largest are lost for and nothing else is, until the size of one is
 * known. */
static int try_ladders(struct path **of, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r;

        if (!tries_all_pass(of[i]->small) || !tries_all_fail(of[i]->large))
            continue;
        r = try_sizes(of[i]);
        if (r < 0 || of[i]->largest_bytes < of[i]->mtu_bytes)
            return r;
    }
    return 0;
}

/* The largest, beside small ones, of all peers at once, so that the ladder is for those who need
 * it. */
static int try_large(struct path **of, size_t count)
{
    struct ping_target targets[2 * EXAMINED_MAX];
    int r;

    for (size_t i = 0; i < count; i++) {
        targets[2 * i] = (struct ping_target){.addr = of[i]->vtep};
        targets[2 * i + 1] =
            (struct ping_target){.addr = of[i]->vtep, .size_bytes = (uint16_t)of[i]->mtu_bytes};
    }
    r = ping_run_series(MESH_DEVICE_NAME, (uint16_t)random_u64(), targets, 2 * count, SIZE_TRIES);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        of[i]->small = (struct tries){SIZE_TRIES, targets[2 * i].answers};
        of[i]->large = (struct tries){SIZE_TRIES, targets[2 * i + 1].answers};
        of[i]->largest_bytes = of[i]->large.answered > 0 ? of[i]->mtu_bytes : 0;
    }
    r = try_ladders(of, count);
    for (size_t i = 0; i < count; i++)
        of[i]->is_size_tried = r == 0 || of[i]->large.answered > 0;
    return r;
}

static int try_tcp(struct path **of, size_t count)
{
    struct tcp_target targets[EXAMINED_MAX];
    int r;

    for (size_t i = 0; i < count; i++)
        targets[i] = (struct tcp_target){.addr = of[i]->vtep};
    r = tcp_probe_run(MESH_DEVICE_NAME, targets, count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        of[i]->tcp = (struct tries){targets[i].sent, targets[i].answers};
        of[i]->summed = (struct tries){targets[i].summed_sent, targets[i].summed_answers};
    }
    return 0;
}

static bool is_answering(const struct path *path)
{
    return path->answers_ping;
}

static void examine_answering(struct facts *facts)
{
    struct path *of[EXAMINED_MAX];
    size_t count = take_examined(facts, is_answering, of);

    if (count == 0)
        return;
    if (try_large(of, count) < 0)
        facts_add_blind(facts, "large packets to the peers were not tried");
    if (try_tcp(of, count) < 0)
        facts_add_blind(facts, "TCP to the peers was not tried");
}

int try_paths(struct facts *facts)
{
    AUTO_FREE struct ping_target *targets = NULL;
    AUTO_TAP struct tap *tap = NULL;
    size_t count, chosen = 0;
    uint16_t id_be = (uint16_t)random_u64();
    int r = tap_open(MESH_VXLAN_PORT, id_be, &tap);

    if (r == 0)
        r = ping_all(facts, id_be, &targets, &count);
    if (r < 0)
        return r;
    take_targets(facts, targets, count);
    note_heard(facts, tap);
    choose(facts, is_silent, &chosen);
    choose(facts, is_lossy, &chosen);
    choose(facts, is_any, &chosen);
    ping_overlay(facts, id_be);
    note_heard(facts, tap);
    ping_hosts(facts);
    examine_answering(facts);
    return 0;
}
