/* The state as JSON: how it lies on disk. Reading trusts nothing: a file may have been edited. */
#include <assert.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/base/random.h"
#include "lib/base/strbuf.h"
#include "runtime/state.h"

static_assert(STATE_BOOT_ID_SIZE == UUID_TEXT_SIZE, "a boot id is a UUID");

static json_t *prefix_json(struct ip4_prefix prefix)
{
    char text[IP4_PREFIX_TEXT_SIZE];

    return json_string(ip4_prefix_format(prefix, text));
}

static json_t *addr_json(uint32_t addr)
{
    char text[IP4_TEXT_SIZE];

    return json_string(ip4_format(addr, text));
}

/* The namespace's numbers are 64 bits wide and go as text: JSON readers elsewhere round. */
static json_t *endpoint_json(const struct endpoint *e)
{
    AUTO_FREE char *netns =
        mem_printf("%llu:%llu:%llu", (unsigned long long)e->netns.dev,
                   (unsigned long long)e->netns.ino, (unsigned long long)e->netns.cookie);

    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:I}", "id", e->id, "ifname", e->ifname, "netns",
                     e->netns_path, "netns_id", netns, "ip", addr_json(e->addr), "created_at",
                     (json_int_t)e->created_at_s);
}

static json_t *route_json(const struct route *route)
{
    json_t *json = json_pack("{s:o, s:s}", "destination", prefix_json(route->dst), "via_interface",
                             route->via);

    if (route->gateway)
        json_object_set_new(json, "gateway", addr_json(route->gateway));
    if (route->mtu_bytes)
        json_object_set_new(json, "mtu_bytes", json_integer(route->mtu_bytes));
    return json;
}

json_t *state_to_json(const struct state *state)
{
    json_t *endpoints = json_array(), *routes = json_array();
    json_t *json = json_pack("{s:i, s:s, s:o}", "format", STATE_FORMAT, "boot_id", state->boot_id,
                             "cluster_cidr", prefix_json(state->cluster));

    if (state_is_configured(state))
        json_object_set_new(json, "subnet", prefix_json(state->subnet));
    if (state->ipam.last)
        json_object_set_new(json, "last_ip", addr_json(state->ipam.last));
    json_object_set_new(json, "mtu_bytes", json_integer(state->mtu_bytes));
    for (size_t i = 0; i < state->endpoints.count; i++)
        json_array_append_new(endpoints, endpoint_json(&state->endpoints.items[i]));
    for (size_t i = 0; i < state->routes.count; i++)
        json_array_append_new(routes, route_json(&state->routes.items[i]));
    json_object_set_new(json, "endpoints", endpoints);
    json_object_set_new(json, "routes", routes);
    return json;
}

/* ---- what has changed ------------------------------------------------------------------------ */

static void add_route(struct strbuf *out, const struct route *route)
{
    char dst[IP4_PREFIX_TEXT_SIZE], gateway[IP4_TEXT_SIZE];

    if (out->data[out->len - 1] != '[')
        strbuf_adds(out, ",");
    strbuf_addf(out,
                "{\"destination\":\"%s\",\"via_interface\":", ip4_prefix_format(route->dst, dst));
    strbuf_add_json(out, route->via);
    if (route->gateway)
        strbuf_addf(out, ",\"gateway\":\"%s\"", ip4_format(route->gateway, gateway));
    if (route->mtu_bytes)
        strbuf_addf(out, ",\"mtu_bytes\":%u", route->mtu_bytes);
    strbuf_adds(out, "}");
}

static void add_removed(struct strbuf *out, const struct route *route)
{
    char dst[IP4_PREFIX_TEXT_SIZE];

    strbuf_addf(out, "%s\"%s\"", out->len > 0 ? "," : "", ip4_prefix_format(route->dst, dst));
}

/* Sorted tables, merged. */
static void compare_routes(const struct route_table *from, const struct route_table *to,
                           struct strbuf *put, struct strbuf *removed)
{
    size_t f = 0, t = 0;

    while (f < from->count || t < to->count) {
        const struct route *old = f < from->count ? &from->items[f] : NULL;
        const struct route *new = t < to->count ? &to->items[t] : NULL;
        int order = !old ? 1 : !new ? -1 : route_prefix_compare(old->dst, new->dst);

        if (order < 0)
            add_removed(removed, old);
        else if (order > 0 || !route_equal(old, new))
            add_route(put, new);
        f += order <= 0;
        t += order >= 0;
    }
}

static bool is_same_but_routes(const struct state *a, const struct state *b)
{
    return strcmp(a->boot_id, b->boot_id) == 0 && ip4_prefix_equal(a->cluster, b->cluster) &&
           ip4_prefix_equal(a->subnet, b->subnet) && a->mtu_bytes == b->mtu_bytes &&
           a->ipam.last == b->ipam.last && endpoint_table_equal(&a->endpoints, &b->endpoints);
}

char *state_change_to_json(const struct state *from, const struct state *to)
{
    AUTO_STRBUF struct strbuf removed = {0};
    struct strbuf out = {0};

    if (!is_same_but_routes(from, to))
        return NULL;
    strbuf_adds(&out, "{\"routes\":[");
    compare_routes(&from->routes, &to->routes, &out, &removed);
    strbuf_addf(&out, "],\"removed\":[%s]}", removed.data ? removed.data : "");
    return strbuf_take(&out);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int get_prefix(const json_t *json, const char *key, struct ip4_prefix *ret)
{
    const char *text;
    int r = json_get_string(json, key, &text);

    if (r < 0)
        return r;
    r = ip4_prefix_parse(text, ret);
    return r < 0 ? err_wrap(r, "%s", key) : 0;
}

static int get_addr(const json_t *json, const char *key, uint32_t *ret)
{
    const char *text;
    int r = json_get_string(json, key, &text);

    if (r < 0)
        return r;
    r = ip4_parse(text, ret);
    return r < 0 ? err_wrap(r, "%s", key) : 0;
}

/* "DEV:INO:COOKIE" */
static int get_netns(const json_t *json, struct endpoint_netns *ret)
{
    uint64_t *const parts[] = {&ret->dev, &ret->ino, &ret->cookie};
    const char *text;
    AUTO_FREE char *copy = NULL;
    char *rest, *part;
    int r = json_get_string(json, "netns_id", &text);

    if (r < 0)
        return r;
    rest = copy = mem_strdup(text);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        part = strsep(&rest, ":");
        r = parse_u64(part ? part : "", UINT64_MAX, parts[i]);
        if (r < 0)
            return err_wrap(r, "netns_id");
    }
    return rest ? err_fail(EINVAL, "netns_id: '%.64s' has more than three parts", text) : 0;
}

/* The texts stay borrowed from the JSON. */
static int read_endpoint(const json_t *json, struct endpoint *ret)
{
    const char *id, *ifname, *path;
    int r = json_get_string(json, "id", &id);

    if (r == 0)
        r = json_get_string(json, "ifname", &ifname);
    if (r == 0)
        r = json_get_string(json, "netns", &path);
    if (r == 0)
        r = parse_id(id);
    if (r == 0)
        r = parse_ifname(ifname);
    if (r == 0)
        r = get_netns(json, &ret->netns);
    if (r == 0)
        r = get_addr(json, "ip", &ret->addr);
    if (r == 0)
        r = json_get_int(json, "created_at", 0, INT64_MAX, &ret->created_at_s);
    if (r < 0)
        return r;
    ret->id = (char *)(uintptr_t)id;
    ret->netns_path = (char *)(uintptr_t)path;
    memcpy(ret->ifname, ifname, strlen(ifname) + 1);
    return 0;
}

static int read_endpoints(const json_t *json, struct state *state)
{
    const json_t *list;
    json_t *item;
    size_t i;
    int r = json_get_array(json, "endpoints", &list);

    if (r < 0)
        return r;
    json_array_foreach (list, i, item) {
        struct endpoint e = {0};

        r = read_endpoint(item, &e);
        if (r == 0)
            r = state_adopt(state, &e);
        if (r < 0)
            return err_wrap(r, "endpoints[%zu]", i);
    }
    return 0;
}

/* A member that may be missing. */
static int optional(int r)
{
    return r == -ENOENT ? 0 : r;
}

static int read_route(const json_t *json, struct route *ret)
{
    const char *via;
    int64_t mtu_bytes = 0;
    int r = get_prefix(json, "destination", &ret->dst);

    if (r == 0)
        r = json_get_string(json, "via_interface", &via);
    if (r == 0)
        r = parse_ifname(via);
    if (r < 0)
        return r;
    memcpy(ret->via, via, strlen(via) + 1);
    r = optional(get_addr(json, "gateway", &ret->gateway));
    if (r == 0)
        r = optional(json_get_int(json, "mtu_bytes", 0, UINT16_MAX, &mtu_bytes));
    ret->mtu_bytes = (uint32_t)mtu_bytes;
    return r;
}

/* Owned by the caller, also when it failed. */
static int read_routes(const json_t *json, struct route **ret_routes, size_t *ret_count)
{
    const json_t *list;
    json_t *item;
    size_t i;
    int r = json_get_array(json, "routes", &list);

    *ret_count = 0;
    if (r < 0)
        return r;
    *ret_routes = mem_array(json_array_size(list) + 1, sizeof **ret_routes);
    json_array_foreach (list, i, item) {
        struct route route = {0};

        r = read_route(item, &route);
        if (r < 0)
            return err_wrap(r, "routes[%zu]", i);
        (*ret_routes)[(*ret_count)++] = route;
    }
    return 0;
}

static int read_all_routes(const json_t *json, struct state *state)
{
    AUTO_FREE struct route *routes = NULL;
    size_t count;
    int r = read_routes(json, &routes, &count);

    if (r == 0)
        route_table_put_all(&state->routes, routes, count);
    return r;
}

static int read_header(const json_t *json, struct state *state)
{
    const char *boot_id;
    int64_t format, mtu_bytes;
    int r = json_get_int(json, "format", 1, INT64_MAX, &format);

    if (r == 0 && format != STATE_FORMAT)
        return err_fail(EINVAL, "format: %lld is not %d, written by another release?",
                        (long long)format, STATE_FORMAT);
    if (r == 0)
        r = json_get_string(json, "boot_id", &boot_id);
    if (r == 0)
        r = parse_uuid(boot_id);
    if (r == 0)
        r = json_get_int(json, "mtu_bytes", 0, UINT16_MAX, &mtu_bytes);
    if (r < 0)
        return r;
    state_init(state, boot_id);
    state->mtu_bytes = (uint32_t)mtu_bytes;
    r = get_prefix(json, "cluster_cidr", &state->cluster);
    if (r == 0)
        r = optional(get_prefix(json, "subnet", &state->subnet));
    return r;
}

static int read_pool(const json_t *json, struct state *state)
{
    uint32_t last = 0;
    int r = optional(get_addr(json, "last_ip", &last));

    if (r == 0 && state_is_configured(state) &&
        (state->subnet.len < IPAM_LEN_MIN || state->subnet.len > IPAM_LEN_MAX))
        r = err_fail(EINVAL, "subnet: a prefix of /%u is out of range", state->subnet.len);
    if (r < 0)
        return r;
    if (state_is_configured(state))
        ipam_init(&state->ipam, state->subnet);
    r = read_endpoints(json, state);
    state->ipam.last = last;
    return r;
}

int state_from_json(const json_t *json, struct state *ret_state)
{
    struct state state = {0};
    int r = read_header(json, &state);

    if (r == 0)
        r = read_pool(json, &state);
    if (r == 0)
        r = read_all_routes(json, &state);
    if (r < 0) {
        state_deinit(&state);
        return r == -ENOENT ? -EINVAL : r;
    }
    *ret_state = state;
    return 0;
}

static int read_removed(const json_t *json, struct ip4_prefix **ret_removed, size_t *ret_count)
{
    const json_t *list;
    json_t *item;
    size_t i;
    int r = json_get_array(json, "removed", &list);

    *ret_count = 0;
    if (r < 0)
        return r;
    *ret_removed = mem_array(json_array_size(list) + 1, sizeof **ret_removed);
    json_array_foreach (list, i, item) {
        const char *text = json_string_value(item);

        r = ip4_prefix_parse(text ? text : "", &(*ret_removed)[i]);
        if (r < 0)
            return err_wrap(r, "removed[%zu]", i);
        (*ret_count)++;
    }
    return 0;
}

int state_change_from_json(const json_t *json, struct state *state)
{
    AUTO_FREE struct ip4_prefix *removed = NULL;
    AUTO_FREE struct route *routes = NULL;
    size_t removed_count, count;
    int r = read_removed(json, &removed, &removed_count);

    if (r == 0)
        r = read_routes(json, &routes, &count);
    if (r < 0)
        return -EINVAL;
    for (size_t i = 0; i < removed_count; i++)
        (void)route_table_remove(&state->routes, removed[i]);
    route_table_put_all(&state->routes, routes, count);
    return 0;
}
