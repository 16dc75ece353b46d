/* The ways to the peers, from the kernel. */
#include <errno.h>

#include "agent/overlay/paths.h"
#include "lib/net/link.h"
#include "lib/net/route.h"

static bool is_no_way(int r)
{
    return r == -ENETUNREACH || r == -ENODEV;
}

/* Most go by one device: it is asked for once. */
static int ask(struct nl *nl, struct overlay_path *path, struct link_info *device)
{
    struct route_fib fib;
    int r = route_fib(nl, path->host_ip, &fib);

    if (r < 0)
        return r;
    path->fib = fib;
    if (fib.ifindex != device->ifindex && fib.ifindex != 0)
        r = link_get_by_index(nl, fib.ifindex, device);
    if (r < 0)
        return r;
    path->mtu_bytes = fib.mtu_bytes;
    if (fib.ifindex != 0 && (fib.mtu_bytes == 0 || fib.mtu_bytes > device->mtu_bytes))
        path->mtu_bytes = device->mtu_bytes;
    return 0;
}

/* While there is no way, as when a cable is out, what was known of it is as good as anything. */
int overlay_paths_look(struct overlay_paths *paths, struct nl *nl)
{
    struct link_info device = {0};

    for (size_t i = 0; paths->has_unknown && i < paths->count; i++) {
        struct overlay_path *path = &paths->items[i];
        int r;

        if (path->is_known)
            continue;
        r = ask(nl, path, &device);
        if (r < 0 && !is_no_way(r))
            return r;
        path->has_way = r == 0;
        path->is_known = true;
    }
    paths->has_unknown = false;
    return 0;
}
