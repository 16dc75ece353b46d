/* The ways to the peers. */
#include "agent/overlay/paths.h"

#include <stdlib.h>

#include "agent/overlay/underlay.h"
#include "lib/base/mem.h"
#include "lib/base/sorted.h"

void overlay_paths_deinit(struct overlay_paths *paths)
{
    free(paths->items);
    *paths = (struct overlay_paths){0};
}

/* Sorted lists, merged. */
void overlay_paths_follow(struct overlay_paths *paths, const struct overlay_want *want)
{
    struct overlay_path *items = mem_array(want->peer_count + 1, sizeof *items);
    size_t old = 0;

    for (size_t i = 0; i < want->peer_count; i++) {
        const struct overlay_peer *peer = &want->peers[i];

        while (old < paths->count && paths->items[old].vtep < peer->vtep)
            old++;
        if (old < paths->count && paths->items[old].vtep == peer->vtep &&
            paths->items[old].host_ip == peer->host_ip) {
            items[i] = paths->items[old];
            continue;
        }
        items[i] = (struct overlay_path){.vtep = peer->vtep, .host_ip = peer->host_ip};
        paths->has_unknown = true;
    }
    free(paths->items);
    paths->items = items;
    paths->count = want->peer_count;
}

/* ---- what changed -------------------------------------------------------------------------- */

static void forget(struct overlay_paths *paths, struct overlay_path *path)
{
    path->is_known = false;
    paths->forgotten++;
    paths->has_unknown = true;
}

bool overlay_paths_forget_device(struct overlay_paths *paths, int ifindex)
{
    bool is_any = false;

    for (size_t i = 0; i < paths->count; i++) {
        if (paths->items[i].fib.ifindex != ifindex)
            continue;
        forget(paths, &paths->items[i]);
        is_any = true;
    }
    return is_any;
}

bool overlay_paths_forget_route(struct overlay_paths *paths, struct ip4_prefix dst)
{
    bool is_any = false;

    for (size_t i = 0; i < paths->count; i++) {
        if (!ip4_prefix_contains(dst, paths->items[i].host_ip))
            continue;
        forget(paths, &paths->items[i]);
        is_any = true;
    }
    return is_any;
}

void overlay_paths_forget_all(struct overlay_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        forget(paths, &paths->items[i]);
}

void overlay_paths_forget_some(struct overlay_paths *paths)
{
    size_t some = paths->count < OVERLAY_PATHS_SWEPT ? paths->count : OVERLAY_PATHS_SWEPT;

    for (size_t i = 0; i < some; i++)
        forget(paths, &paths->items[(paths->swept + i) % paths->count]);
    paths->swept = paths->count > 0 ? (paths->swept + some) % paths->count : 0;
}

/* ---- what follows -------------------------------------------------------------------------- */

uint32_t overlay_paths_largest(const struct overlay_paths *paths)
{
    uint32_t largest_bytes = 0;

    for (size_t i = 0; i < paths->count; i++)
        if (paths->items[i].mtu_bytes > largest_bytes)
            largest_bytes = paths->items[i].mtu_bytes;
    return largest_bytes;
}

static uint32_t bytes_of(const struct overlay_path *path, uint32_t device_bytes)
{
    if (path->mtu_bytes == 0 || path->mtu_bytes > device_bytes)
        return device_bytes;
    return path->mtu_bytes < UNDERLAY_MTU_BYTES_MIN ? UNDERLAY_MTU_BYTES_MIN : path->mtu_bytes;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = ((const struct overlay_path *)a)->vtep, y = ((const struct overlay_path *)b)->vtep;

    return (x > y) - (x < y);
}

uint32_t overlay_paths_find(const struct overlay_paths *paths, const struct overlay_want *want,
                            uint32_t vtep)
{
    const struct overlay_path key = {.vtep = vtep};
    const struct overlay_path *path =
        sorted_find(&key, paths->items, paths->count, sizeof key, compare);

    if (!path || want->mtu_bytes == 0)
        return 0;
    return bytes_of(path, want->mtu_bytes + MESH_OVERHEAD_BYTES);
}

static uint32_t route_mtu(const struct overlay_path *path, const struct overlay_peer *peer,
                          uint32_t device_bytes)
{
    uint32_t bytes = bytes_of(path, device_bytes);

    if (peer->found_bytes != 0 && peer->found_bytes < bytes)
        bytes =
            peer->found_bytes < UNDERLAY_MTU_BYTES_MIN ? UNDERLAY_MTU_BYTES_MIN : peer->found_bytes;
    return bytes < device_bytes ? bytes - MESH_OVERHEAD_BYTES : 0;
}

void overlay_paths_narrow(struct overlay_paths *paths, struct overlay_want *want,
                          struct focus *changed)
{
    for (size_t i = 0; i < paths->count; i++) {
        struct overlay_path *path = &paths->items[i];
        uint32_t mtu_bytes =
            route_mtu(path, &want->peers[i], want->mtu_bytes + MESH_OVERHEAD_BYTES);

        want->peers[i].mtu_bytes = mtu_bytes;
        if (mtu_bytes != path->route_mtu_bytes)
            focus_add(changed, path->vtep);
        path->route_mtu_bytes = mtu_bytes;
    }
}
