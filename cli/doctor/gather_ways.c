/* How this host would send to the hosts of silent peers: the kernel is asked. */
#include "cli/doctor/gather.h"
#include "lib/base/error.h"

static void look_at(struct nl *nl, struct path *path)
{
    struct way *way = &path->way;
    struct route_path route;
    uint32_t next;

    way->is_known = true;
    way->error = route_lookup(nl, path->host_ip, &route);
    if (way->error < 0)
        return;
    way->ifindex = route.ifindex;
    way->gateway = route.gateway;
    next = route.gateway ? route.gateway : path->host_ip;
    way->has_hop = neigh_get(nl, route.ifindex, next, &way->hop) == 0;
    way->is_hop_silent = way->has_hop && neigh_is_silent(&way->hop);
}

void gather_ways(struct facts *f)
{
    AUTO_NL struct nl *nl = NULL;

    if (nl_open(&nl) < 0) {
        facts_add_blind(f, "the ways to the hosts of silent peers were not looked at");
        return;
    }
    for (size_t i = 0; i < f->path_count; i++)
        if (f->paths[i].is_examined && !f->paths[i].answers_ping)
            look_at(nl, &f->paths[i]);
}
