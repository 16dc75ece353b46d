/* What the kernel has, compared with what is wanted. */
#include "runtime/view.h"

#include <errno.h>
#include <string.h>

#include "lib/api/mesh.h"
#include "lib/base/mem.h"
#include "lib/base/sorted.h"

static int compare_links(const void *a, const void *b)
{
    const struct link_info *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static int compare_neighs(const void *a, const void *b)
{
    const struct neigh_entry *x = a, *y = b;

    if (x->ifindex != y->ifindex)
        return x->ifindex < y->ifindex ? -1 : 1;
    return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void sort_neighs(struct view *view)
{
    sorted_sort(view->neighs, view->neigh_count, sizeof *view->neighs, compare_neighs);
}

void view_sort(struct view *view)
{
    sorted_sort(view->links, view->link_count, sizeof *view->links, compare_links);
    sort_neighs(view);
    routes_sort(view->routes, view->route_count);
}

static int load_neighs(struct nl *nl, const struct endpoint_table *endpoints, struct view *view)
{
    view->neighs = mem_array(endpoints->count + 1, sizeof *view->neighs);
    for (size_t i = 0; i < endpoints->count; i++) {
        uint32_t addr = endpoints->items[i].addr;
        char host_ifname[IFNAMSIZ];
        const struct link_info *link;
        int r;

        endpoint_host_ifname(addr, host_ifname);
        link = view_find_link(view, host_ifname);
        r = link ? neigh_get(nl, link->ifindex, addr, &view->neighs[view->neigh_count]) : -ENOENT;
        if (r < 0 && r != -ENOENT && r != -ENODEV)
            return r;
        view->neigh_count += r == 0;
    }
    return 0;
}

int view_load(struct nl *nl, const struct endpoint_table *endpoints, struct view *ret_view)
{
    struct view view = {0};
    int r = link_dump(nl, NULL, &view.links, &view.link_count);

    if (r == 0)
        r = route_dump(nl, QUILT_ROUTE_PROTOCOL, 0, &view.routes, &view.route_count);
    view_sort(&view); /* their devices are looked for */
    if (r == 0)
        r = load_neighs(nl, endpoints, &view);
    if (r < 0) {
        view_deinit(&view);
        return r;
    }
    sort_neighs(&view);
    *ret_view = view;
    return 0;
}

void view_deinit(struct view *view)
{
    free(view->links);
    free(view->routes);
    free(view->neighs);
    *view = (struct view){0};
}

struct link_info *view_find_link(const struct view *view, const char *name)
{
    struct link_info key = {0};

    if (strlen(name) >= sizeof key.name)
        return NULL;
    memcpy(key.name, name, strlen(name) + 1);
    return sorted_find(&key, view->links, view->link_count, sizeof key, compare_links);
}

struct link_info *view_find_overlay(const struct view *view)
{
    for (size_t i = 0; i < view->link_count; i++) {
        struct link_info *link = &view->links[i];

        if (strcmp(link->kind, "vxlan") == 0 && strcmp(link->name, MESH_DEVICE_NAME) == 0 &&
            strncmp(link->alias, MESH_ALIAS_PREFIX, strlen(MESH_ALIAS_PREFIX)) == 0)
            return link;
    }
    return NULL;
}

static bool has_neigh(const struct view *view, const struct neigh_entry *want)
{
    const struct neigh_entry *found =
        sorted_find(want, view->neighs, view->neigh_count, sizeof *want, compare_neighs);

    return found && mac_equal(found->mac, want->mac) && found->is_permanent;
}

enum endpoint_health view_check_endpoint(const struct view *view, const struct endpoint *endpoint,
                                         uint32_t mtu_bytes, struct link_info **ret_link)
{
    char host_ifname[IFNAMSIZ];
    struct link_info *link;
    struct route_entry route;
    struct neigh_entry neigh;

    endpoint_host_ifname(endpoint->addr, host_ifname);
    *ret_link = link = view_find_link(view, host_ifname);
    if (!link)
        return ENDPOINT_MISSING;
    if (!plug_is_ours(link))
        return ENDPOINT_FOREIGN;
    route = plug_host_route(endpoint->addr, link->ifindex);
    neigh = plug_host_neigh(endpoint->addr, link->ifindex);
    if (!link->is_up || !mac_equal(link->mac, plug_host_mac()) || !has_neigh(view, &neigh) ||
        !routes_have(view->routes, view->route_count, &route))
        return ENDPOINT_BROKEN;
    return link->mtu_bytes == mtu_bytes ? ENDPOINT_WHOLE : ENDPOINT_MTU;
}

enum route_health view_check_route(const struct view *view, const struct route *route,
                                   struct ip4_prefix cluster, struct route_entry *ret_entry)
{
    const struct link_info *link = view_find_link(view, route->via);

    *ret_entry = route_to_entry(route, cluster, link ? link->ifindex : 0);
    if (!link)
        return ROUTE_NO_DEVICE;
    if (!link->is_up)
        return ROUTE_DEVICE_DOWN;
    return routes_have(view->routes, view->route_count, ret_entry) ? ROUTE_THERE : ROUTE_MISSING;
}
