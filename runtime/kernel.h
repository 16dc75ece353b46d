/* The runtime's hands in the kernel: a netlink socket, an nftables handle, and "make it so"
 * functions that write only what differs and count what they wrote.
 *
 * Each returns 0, or negative with a text. nl says where: the host's socket or one that was opened
 * inside a container's namespace.
 */
#pragma once

#include "lib/base/loop.h"
#include "lib/bpf/set.h"
#include "lib/net/addr.h"
#include "lib/net/link.h"
#include "lib/net/neigh.h"
#include "lib/net/netlink.h"
#include "lib/net/nft.h"
#include "lib/net/route.h"

enum kernel_object {
    KERNEL_ENDPOINT, /* devices and what hangs on them, on both sides */
    KERNEL_ROUTE,    /* to other nodes */
    KERNEL_FIREWALL,
    KERNEL_SYSCTL,
    KERNEL_FASTPATH, /* records and programs */
    KERNEL_OBJECT_COUNT
};
extern const char *const kernel_object_names[KERNEL_OBJECT_COUNT];

struct kernel {
    struct nl *nl;
    struct nft *nft;
    struct nl *elements; /* of the firewall's set, lib/net/nft_elements.h */
    struct set *set;     /* the fast path's programs and maps; NULL: nobody has pinned any */
    uint64_t writes[KERNEL_OBJECT_COUNT];
};

int kernel_open(struct kernel *kernel);
void kernel_close(struct kernel *kernel);

/* *info is brought up to date. */
int kernel_ensure_mtu(struct kernel *kernel, struct nl *nl, struct link_info *info,
                      uint32_t mtu_bytes);
int kernel_ensure_mac(struct kernel *kernel, struct nl *nl, struct link_info *info, struct mac mac);
int kernel_ensure_up(struct kernel *kernel, struct nl *nl, struct link_info *info);

int kernel_ensure_addr(struct kernel *kernel, struct nl *nl, const struct addr_entry *want);
int kernel_ensure_neigh(struct kernel *kernel, struct nl *nl, const struct neigh_entry *want);

/* -EEXIST when somebody else's route has the destination; the text names its protocol. */
int kernel_ensure_route(struct kernel *kernel, struct nl *nl, const struct route_entry *want,
                        enum kernel_object object);
/* The first route in the list that is not of our protocol, or NULL. */
const struct route_entry *kernel_foreign_route(const struct route_entry *routes, size_t count);
int kernel_fail_foreign_route(const struct route_entry *foreign);

/* A setting that this kernel does not have is as good as right. */
int kernel_ensure_sysctl(struct kernel *kernel, const char *path, const char *value,
                         enum kernel_object object);
