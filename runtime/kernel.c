/* Make it so, writing only what differs. */
#include "runtime/kernel.h"

#include <assert.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/nft_elements.h"
#include "lib/net/sysctl.h"
#include "runtime/routes.h"

const char *const kernel_object_names[] = {"endpoint", "route", "firewall", "sysctl", "fastpath"};
static_assert(ARRAY_LEN(kernel_object_names) == KERNEL_OBJECT_COUNT, "a name for each object");

int kernel_open(struct kernel *kernel)
{
    int r;

    *kernel = (struct kernel){0};
    r = nl_open(&kernel->nl);
    if (r == 0)
        r = nft_new(&kernel->nft);
    if (r == 0)
        r = nft_elements_open(&kernel->elements);
    if (r < 0)
        kernel_close(kernel);
    return r;
}

void kernel_close(struct kernel *kernel)
{
    set_free(kernel->set);
    nl_close(kernel->elements);
    if (kernel->nft)
        nft_free(kernel->nft);
    if (kernel->nl)
        nl_close(kernel->nl);
    *kernel = (struct kernel){0};
}

/* A write that was tried counts: it is what we did to the kernel. */
static int wrote(struct kernel *kernel, enum kernel_object object, int r)
{
    kernel->writes[object]++;
    return r;
}

int kernel_ensure_mtu(struct kernel *kernel, struct nl *nl, struct link_info *info,
                      uint32_t mtu_bytes)
{
    int r;

    if (info->mtu_bytes == mtu_bytes)
        return 0;
    r = wrote(kernel, KERNEL_ENDPOINT, link_set_mtu(nl, info->ifindex, mtu_bytes));
    if (r < 0)
        return r;
    info->mtu_bytes = mtu_bytes;
    return 0;
}

int kernel_ensure_mac(struct kernel *kernel, struct nl *nl, struct link_info *info, struct mac mac)
{
    int r;

    if (mac_equal(info->mac, mac))
        return 0;
    r = wrote(kernel, KERNEL_ENDPOINT, link_set_mac(nl, info->ifindex, mac));
    if (r < 0)
        return r;
    info->mac = mac;
    return 0;
}

int kernel_ensure_up(struct kernel *kernel, struct nl *nl, struct link_info *info)
{
    int r;

    if (info->is_up)
        return 0;
    r = wrote(kernel, KERNEL_ENDPOINT, link_set_up(nl, info->ifindex, true));
    if (r < 0)
        return r;
    info->is_up = true;
    return 0;
}

int kernel_ensure_addr(struct kernel *kernel, struct nl *nl, const struct addr_entry *want)
{
    AUTO_FREE struct addr_entry *have = NULL;
    size_t count;
    int r = addr_dump(nl, want->ifindex, &have, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (have[i].addr == want->addr && have[i].prefix_len == want->prefix_len)
            return 0;
    }
    return wrote(kernel, KERNEL_ENDPOINT, addr_add(nl, want));
}

int kernel_ensure_neigh(struct kernel *kernel, struct nl *nl, const struct neigh_entry *want)
{
    struct neigh_entry have;
    int r = neigh_get(nl, want->ifindex, want->addr, &have);

    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0 && mac_equal(have.mac, want->mac) && have.is_permanent)
        return 0;
    return wrote(kernel, KERNEL_ENDPOINT, neigh_replace(nl, want));
}

const struct route_entry *kernel_foreign_route(const struct route_entry *routes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (routes[i].protocol != QUILT_ROUTE_PROTOCOL)
            return &routes[i];
    }
    return NULL;
}

int kernel_fail_foreign_route(const struct route_entry *foreign)
{
    char dst[IP4_PREFIX_TEXT_SIZE];

    return err_fail(EEXIST,
                    "a route to %s exists that is not ours (protocol %u, device %d); it is left "
                    "alone",
                    ip4_prefix_format(foreign->dst, dst), foreign->protocol, foreign->ifindex);
}

/* Who has the destination: by a lookup, or a listing where that cannot tell. */
static int find_routes(struct nl *nl, struct ip4_prefix dst, struct route_entry **ret_entries,
                       size_t *ret_count)
{
    struct route_entry entry;
    int r = dst.len > 0 ? route_find(nl, dst, &entry) : ROUTE_UNSURE;

    if (r == ROUTE_UNSURE)
        return route_get_exact(nl, dst, ret_entries, ret_count);
    if (r < 0)
        return r;
    *ret_entries = mem_array(1, sizeof **ret_entries);
    *ret_count = r == ROUTE_NONE ? 0 : 1;
    if (r == 0)
        **ret_entries = entry;
    return 0;
}

int kernel_ensure_route(struct kernel *kernel, struct nl *nl, const struct route_entry *want,
                        enum kernel_object object)
{
    AUTO_FREE struct route_entry *have = NULL;
    const struct route_entry *foreign;
    size_t count;
    int r = find_routes(nl, want->dst, &have, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (route_entry_equal(want, &have[i]))
            return 0;
    }
    foreign = kernel_foreign_route(have, count);
    if (foreign)
        return kernel_fail_foreign_route(foreign);
    return wrote(kernel, object, route_replace(nl, want));
}

int kernel_ensure_sysctl(struct kernel *kernel, const char *path, const char *value,
                         enum kernel_object object)
{
    int r = sysctl_ensure(path, value);

    if (r == -ENOENT)
        return 0;
    if (r > 0)
        kernel->writes[object]++;
    return r < 0 ? r : 0;
}
