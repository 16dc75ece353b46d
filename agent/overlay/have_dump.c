/* What the overlay is: asked from the kernel. */
#include "agent/overlay/have.h"
#include "lib/base/error.h"

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
