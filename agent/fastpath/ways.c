/* The ways to the peers. */
#include "agent/fastpath/ways.h"

#include <linux/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/sorted.h"
#include "lib/net/addr.h"

void ways_deinit(struct ways *ways)
{
    free(ways->links);
    free(ways->peers);
    free(ways->devices);
    *ways = (struct ways){0};
}

static int compare_links(const void *a, const void *b)
{
    int x = ((const struct link_info *)a)->ifindex, y = ((const struct link_info *)b)->ifindex;

    return (x > y) - (x < y);
}

/* NULL when there is none. */
static const struct link_info *find_link(const struct ways *ways, int ifindex)
{
    const struct link_info key = {.ifindex = ifindex};

    return sorted_find(&key, ways->links, ways->link_count, sizeof key, compare_links);
}

bool ways_has_device(const struct ways *ways, int ifindex)
{
    for (size_t i = 0; i < ways->device_count; i++)
        if (ways->devices[i] == ifindex)
            return true;
    return false;
}

struct mac ways_mac_of(const struct ways *ways, int ifindex)
{
    const struct link_info *link = find_link(ways, ifindex);

    return link ? link->mac : (struct mac){{0}};
}

/* Whether packets can be taken in and sent on by this device: Ethernet that is no tunnel. */
static bool can_use(const struct link_info *link)
{
    static const char *const tunnels[] = {"vxlan",     "geneve", "gretap", "ip6gretap", "erspan",
                                          "ip6erspan", "macsec", "ifb",    "batadv"};

    if (!link || link->type != ARPHRD_ETHER || !link->is_up)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(tunnels); i++)
        if (strcmp(link->kind, tunnels[i]) == 0)
            return false;
    return true;
}

static void add_device(struct ways *ways, int ifindex)
{
    if (!can_use(find_link(ways, ifindex)) || ways_has_device(ways, ifindex))
        return;
    ways->devices = mem_resize(ways->devices, ways->device_count + 1, sizeof *ways->devices);
    ways->devices[ways->device_count++] = ifindex;
}

static int add_host_device(struct ways *ways, struct nl *nl, uint32_t host_ip)
{
    AUTO_FREE struct addr_entry *entries = NULL;
    size_t count;
    int r = addr_dump(nl, 0, &entries, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        if (entries[i].addr == host_ip)
            add_device(ways, entries[i].ifindex);
    return 0;
}

/* No way at all is the kernel path's to tell. */
static struct fastpath_way find_way(struct ways *ways, const struct overlay_path *path)
{
    if (!path->has_way)
        return (struct fastpath_way){0};
    if (!path->fib.is_simple || !can_use(find_link(ways, path->fib.ifindex))) {
        ways->problem = path->fib.is_simple ? "an underlay device that is no plain Ethernet"
                                            : "an underlay route that is not a simple one";
        return (struct fastpath_way){0};
    }
    add_device(ways, path->fib.ifindex);
    return (struct fastpath_way){.ifindex = path->fib.ifindex,
                                 .next_hop = path->fib.gateway ? path->fib.gateway : path->host_ip,
                                 .mtu_bytes = path->mtu_bytes};
}

static void find_overlay(struct ways *ways)
{
    for (size_t i = 0; i < ways->link_count; i++)
        if (strcmp(ways->links[i].name, MESH_DEVICE_NAME) == 0)
            ways->overlay_mtu_bytes = ways->links[i].mtu_bytes;
}

/* Both are sorted. */
static void find_ways(struct ways *ways, const struct overlay_want *want,
                      const struct overlay_paths *paths)
{
    size_t k = 0;

    ways->peers = mem_array(want->peer_count + 1, sizeof *ways->peers);
    for (size_t i = 0; i < want->peer_count; i++) {
        while (paths->items[k].vtep != want->peers[i].vtep)
            k++;
        ways->peers[i] = find_way(ways, &paths->items[k]);
    }
}

static int look(struct nl *nl, const struct overlay_want *want, struct overlay_paths *paths,
                struct ways *ways)
{
    int r = link_dump(nl, NULL, &ways->links, &ways->link_count);

    if (r < 0)
        return r;
    sorted_sort(ways->links, ways->link_count, sizeof *ways->links, compare_links);
    find_overlay(ways);
    r = add_host_device(ways, nl, want->local);
    if (r == 0)
        r = overlay_paths_look(paths, nl);
    if (r == 0)
        find_ways(ways, want, paths);
    return r;
}

int ways_look(struct nl *nl, const struct overlay_want *want, struct overlay_paths *paths,
              struct ways *ret)
{
    struct ways ways = {0};
    int r = look(nl, want, paths, &ways);

    if (r < 0) {
        ways_deinit(&ways);
        return r;
    }
    *ret = ways;
    return 0;
}
