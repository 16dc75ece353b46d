/* Pings of many sizes, TCP, and an ear at the devices. */
#include "cli/doctor/try_paths.h"

#include <string.h>

#include "cli/doctor/tap.h"
#include "cli/doctor/tcp_probe.h"
#include "lib/api/mesh.h"
#include "lib/base/error.h"
#include "lib/base/random.h"

#define EXAMINED_MAX 16

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

static void take_targets(struct facts *facts, const struct ping_target *targets, size_t count)
{
    facts->paths = mem_array(count + 1, sizeof *facts->paths);
    for (size_t i = 0; i < count; i++) {
        const json_t *peer = peer_of(facts->agent, targets[i].addr);
        struct path *path = &facts->paths[facts->path_count++];

        *path = (struct path){.hostname = facts_text(peer, "hostname"),
                              .vtep = targets[i].addr,
                              .answers_ping = targets[i].has_answered,
                              .mtu_bytes = promised_bytes(facts, peer)};
        if (ip4_parse(facts_text(peer, "host_ip"), &path->host_ip) < 0)
            path->host_ip = 0;
    }
}

static void choose(struct facts *facts, bool is_silent, size_t *chosen)
{
    for (size_t i = 0; i < facts->path_count && *chosen < EXAMINED_MAX; i++) {
        struct path *path = &facts->paths[i];

        if (path->answers_ping == is_silent)
            continue;
        path->is_examined = true;
        *chosen += 1;
    }
}

/* ---- the silent ones: does the host answer? ------------------------------------------------ */

static void ping_hosts(struct facts *facts)
{
    struct ping_target targets[EXAMINED_MAX];
    struct path *of[EXAMINED_MAX];
    size_t count = 0;

    for (size_t i = 0; i < facts->path_count; i++)
        if (facts->paths[i].is_examined && !facts->paths[i].answers_ping) {
            of[count] = &facts->paths[i];
            targets[count++] = (struct ping_target){.addr = facts->paths[i].host_ip};
        }
    if (count == 0)
        return;
    if (ping_run(NULL, targets, count) < 0) {
        facts_add_blind(facts, "the hosts of silent peers were not tried");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        of[i]->is_host_tried = true;
        of[i]->answers_host = targets[i].has_answered;
    }
}

/* ---- the others: how large, and what ------------------------------------------------------- */

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

/* Of those that the largest is lost for, until the size of one is known. */
static int try_ladders(struct path **of, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = of[i]->largest_bytes < of[i]->mtu_bytes ? try_sizes(of[i]) : 0;

        if (r < 0 || of[i]->largest_bytes < of[i]->mtu_bytes)
            return r;
    }
    return 0;
}

/* The largest alone, of all at once, so that the ladder is for those who need it. */
static int try_large(struct path **of, size_t count)
{
    struct ping_target targets[EXAMINED_MAX];
    int r;

    for (size_t i = 0; i < count; i++)
        targets[i] =
            (struct ping_target){.addr = of[i]->vtep, .size_bytes = (uint16_t)of[i]->mtu_bytes};
    r = ping_run(MESH_DEVICE_NAME, targets, count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        of[i]->largest_bytes = targets[i].has_answered ? of[i]->mtu_bytes : 0;
    r = try_ladders(of, count);
    for (size_t i = 0; i < count; i++)
        of[i]->is_size_tried = r == 0 || targets[i].has_answered;
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
        of[i]->answers_tcp = targets[i].answers;
        of[i]->answers_summed = targets[i].answers_summed;
    }
    return 0;
}

static void examine_answering(struct facts *facts)
{
    struct path *of[EXAMINED_MAX];
    size_t count = 0;

    for (size_t i = 0; i < facts->path_count; i++)
        if (facts->paths[i].is_examined && facts->paths[i].answers_ping)
            of[count++] = &facts->paths[i];
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
    choose(facts, true, &chosen);
    choose(facts, false, &chosen);
    for (size_t i = 0; i < facts->path_count; i++)
        facts->paths[i].is_heard = tap_has_heard(tap, facts->paths[i].host_ip);
    ping_hosts(facts);
    examine_answering(facts);
    return 0;
}
