/* What the runtime remembers, and how requests change it. */
#include "runtime/state.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

void state_init(struct state *state, const char *boot_id)
{
    *state = (struct state){.cluster = MESH_CLUSTER_DEFAULT};
    (void)snprintf(state->boot_id, sizeof state->boot_id, "%s", boot_id);
}

void state_deinit(struct state *state)
{
    route_table_deinit(&state->routes);
    endpoint_table_deinit(&state->endpoints);
    ipam_deinit(&state->ipam);
    *state = (struct state){0};
}

void state_copy(struct state *state, const struct state *from)
{
    *state = *from;
    ipam_copy(&state->ipam, &from->ipam);
    endpoint_table_copy(&state->endpoints, &from->endpoints);
    route_table_copy(&state->routes, &from->routes);
}

bool state_is_configured(const struct state *state)
{
    return state->subnet.len != 0;
}

uint8_t state_node_len(const struct state *state)
{
    return state_is_configured(state) ? state->subnet.len : MESH_NODE_LEN_DEFAULT;
}

static bool route_fits(const struct state *state, const struct route *route)
{
    return route->dst.len == state->subnet.len && ip4_prefix_covers(state->cluster, route->dst) &&
           !ip4_prefix_equal(route->dst, state->subnet);
}

static void forget_unfit_routes(struct state *state)
{
    size_t kept = 0;

    for (size_t i = 0; i < state->routes.count; i++) {
        if (route_fits(state, &state->routes.items[i]))
            state->routes.items[kept++] = state->routes.items[i];
    }
    state->routes.count = kept;
}

/* Endpoints that were adopted before the subnet was known hold their addresses from now on. */
static void fill_pool(struct state *state)
{
    ipam_deinit(&state->ipam);
    ipam_init(&state->ipam, state->subnet);
    for (size_t i = 0; i < state->endpoints.count; i++)
        (void)ipam_take(&state->ipam, state->endpoints.items[i].addr);
}

static size_t count_outside(const struct state *state, struct ip4_prefix subnet)
{
    size_t count = 0;

    for (size_t i = 0; i < state->endpoints.count; i++) {
        if (!ip4_prefix_contains(subnet, state->endpoints.items[i].addr))
            count++;
    }
    return count;
}

int state_configure(struct state *state, struct ip4_prefix subnet, struct ip4_prefix cluster)
{
    char old[IP4_PREFIX_TEXT_SIZE];
    size_t in_the_way = state->endpoints.count;

    if (ip4_prefix_equal(subnet, state->subnet) && ip4_prefix_equal(cluster, state->cluster))
        return STATE_UNCHANGED;
    if (!state_is_configured(state))
        in_the_way = count_outside(state, subnet);
    if (in_the_way > 0)
        return err_fail(EBUSY, "%zu endpoint%s hold%s addresses of %s; detach %s first", in_the_way,
                        in_the_way == 1 ? "" : "s", in_the_way == 1 ? "s" : "",
                        state_is_configured(state) ? ip4_prefix_format(state->subnet, old)
                                                   : "another subnet",
                        in_the_way == 1 ? "it" : "them");
    state->subnet = subnet;
    state->cluster = cluster;
    fill_pool(state);
    forget_unfit_routes(state);
    return 0;
}

static int fail_take(const struct state *state, int outcome, uint32_t addr)
{
    char subnet[IP4_PREFIX_TEXT_SIZE], text[IP4_TEXT_SIZE];
    const struct endpoint *holder;

    ip4_prefix_format(state->subnet, subnet);
    ip4_format(addr, text);
    switch ((enum ipam_outcome)outcome) {
    case IPAM_OUTSIDE:
        return err_fail(ERANGE, "ip: '%s' is no container address of %s", text, subnet);
    case IPAM_TAKEN:
        holder = endpoint_table_find_addr(&state->endpoints, addr);
        return err_fail(EADDRINUSE, "ip: '%s' is held by endpoint %s/%s", text,
                        holder ? holder->id : "?", holder ? holder->ifname : "?");
    case IPAM_EXHAUSTED:
        break;
    }
    return err_fail(ENOSPC, "no address left in %s: all %u are held by endpoints", subnet,
                    ipam_size(&state->ipam));
}

static int take_address(struct state *state, uint32_t wanted, int64_t now_ms, uint32_t *ret_addr)
{
    int r =
        wanted ? ipam_take(&state->ipam, wanted) : ipam_take_next(&state->ipam, now_ms, ret_addr);

    if (r > 0)
        return fail_take(state, r, wanted);
    if (wanted)
        *ret_addr = wanted;
    return 0;
}

/* One endpoint a namespace: the answers of a second one would leave by the first one's default
 * route and be dropped as forged. */
static int check_namespace(const struct state *state, const struct endpoint *wanted)
{
    for (size_t i = 0; i < state->endpoints.count; i++) {
        const struct endpoint *e = &state->endpoints.items[i];

        if (!endpoint_netns_equal(&e->netns, &wanted->netns))
            continue;
        if (strcmp(e->id, wanted->id) == 0 && strcmp(e->ifname, wanted->ifname) == 0)
            continue;
        return err_fail(EBUSY, "netns: '%s' is connected already, as endpoint %s/%s",
                        wanted->netns_path, e->id, e->ifname);
    }
    return 0;
}

/* The known endpoint takes the request's namespace and, when one is asked for, address. */
static int update_endpoint(struct state *state, struct endpoint *known,
                           const struct endpoint *wanted, int64_t now_ms)
{
    if (wanted->addr != 0 && wanted->addr != known->addr) {
        uint32_t addr;
        int r = take_address(state, wanted->addr, now_ms, &addr);

        if (r < 0)
            return r;
        ipam_release(&state->ipam, known->addr, now_ms);
        known->addr = addr;
    }
    free(known->netns_path);
    known->netns_path = mem_strdup(wanted->netns_path);
    known->netns = wanted->netns;
    return 0;
}

int state_attach(struct state *state, const struct endpoint *wanted, int64_t now_ms,
                 const struct endpoint **ret_endpoint)
{
    struct endpoint *known = endpoint_table_find(&state->endpoints, wanted->id, wanted->ifname);
    struct endpoint created = *wanted;
    int r;

    if (!state_is_configured(state))
        return err_fail(ENOTCONN, "this node has no subnet yet (ConfigureNodeSubnet gives it one)");
    r = check_namespace(state, wanted);
    if (r < 0)
        return r;
    if (known)
        r = update_endpoint(state, known, wanted, now_ms);
    else
        r = take_address(state, wanted->addr, now_ms, &created.addr);
    if (r < 0)
        return r;
    *ret_endpoint = known ? known : endpoint_table_add(&state->endpoints, &created);
    return 0;
}

void state_detach(struct state *state, const char *id, const char *ifname, int64_t now_ms)
{
    const struct endpoint *known = endpoint_table_find(&state->endpoints, id, ifname);

    if (!known)
        return;
    ipam_release(&state->ipam, known->addr, now_ms);
    endpoint_table_remove(&state->endpoints, id, ifname);
}

int state_adopt(struct state *state, const struct endpoint *endpoint)
{
    if (endpoint_table_find(&state->endpoints, endpoint->id, endpoint->ifname))
        return err_fail(EEXIST, "endpoint %s/%s is known already", endpoint->id, endpoint->ifname);
    if (endpoint_table_find_addr(&state->endpoints, endpoint->addr))
        return err_fail(EEXIST, "the address of endpoint %s/%s is another's", endpoint->id,
                        endpoint->ifname);
    (void)ipam_take(&state->ipam, endpoint->addr);
    (void)endpoint_table_add(&state->endpoints, endpoint);
    return 0;
}

size_t state_begin_boot(struct state *state, const char *boot_id)
{
    size_t released = state->endpoints.count;
    uint32_t last = state->ipam.last;

    if (strcmp(state->boot_id, boot_id) == 0)
        return 0;
    (void)snprintf(state->boot_id, sizeof state->boot_id, "%s", boot_id);
    endpoint_table_deinit(&state->endpoints);
    if (state_is_configured(state))
        fill_pool(state);
    state->ipam.last = last;
    return released;
}
