/* What the overlay is: asked from the kernel. */
#include "agent/overlay/have.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

int overlay_have_dump(struct nl *nl, struct overlay_have *have)
{
    int ifindex = have->device.ifindex;
    int r;

    if (ifindex == 0)
        return 0;
    r = addr_dump(nl, ifindex, &have->addrs, &have->addr_count);
    if (r == 0)
        r = neigh_dump(nl, ifindex, &have->neighs, &have->neigh_count);
    if (r == 0)
        r = fdb_dump(nl, ifindex, &have->fdbs, &have->fdb_count);
    if (r == 0)
        r = route_dump(nl, QUILT_ROUTE_PROTOCOL, ifindex, &have->routes, &have->route_count);
    if (r < 0)
        return err_wrap(r, "look at " MESH_DEVICE_NAME);
    overlay_have_sort(have);
    return 0;
}

/* ---- some ---------------------------------------------------------------------------------- */

static bool is_absent(int r)
{
    return r == -ENOENT;
}

static int look_up_neigh(struct nl *nl, uint32_t vtep, struct overlay_have *have)
{
    int r = neigh_get(nl, have->device.ifindex, vtep, &have->neighs[have->neigh_count]);

    have->neigh_count += r == 0;
    return is_absent(r) ? 0 : r;
}

static int look_up_fdb(struct nl *nl, uint32_t vtep, struct overlay_have *have)
{
    int r = fdb_get(nl, have->device.ifindex, mac_from_ip4(vtep), &have->fdbs[have->fdb_count]);

    have->fdb_count += r == 0;
    return is_absent(r) ? 0 : r;
}

static int look_up_route(struct nl *nl, struct ip4_prefix dst, struct overlay_have *have)
{
    struct route_entry *entry = &have->routes[have->route_count];
    int r = route_find(nl, dst, entry);

    if (r == ROUTE_NONE)
        return 0;
    if (r == ROUTE_UNSURE)
        return OVERLAY_HAVE_UNSURE;
    have->route_count +=
        r == 0 && entry->protocol == QUILT_ROUTE_PROTOCOL && entry->ifindex == have->device.ifindex;
    return r;
}

int overlay_have_look_up(struct nl *nl, const uint32_t *vteps, size_t count, uint8_t prefix_len,
                         struct overlay_have *have)
{
    int r = 0;

    have->neighs = mem_array(count + 1, sizeof *have->neighs);
    have->fdbs = mem_array(count + 1, sizeof *have->fdbs);
    have->routes = mem_array(count + 1, sizeof *have->routes);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = look_up_neigh(nl, vteps[i], have);
        if (r == 0)
            r = look_up_fdb(nl, vteps[i], have);
        if (r == 0)
            r = look_up_route(nl, (struct ip4_prefix){vteps[i], prefix_len}, have);
    }
    overlay_have_sort(have);
    return r < 0 ? err_wrap(r, "look at " MESH_DEVICE_NAME) : r;
}
