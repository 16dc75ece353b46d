/* Endpoints: which network namespaces are connected to the mesh, and with which address. Pure.
 */
#pragma once

#include <linux/if.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/api/mesh.h"
#include "lib/base/ip4.h"

/* What every container sees as its gateway: on its own link, never on a wire. */
#define ENDPOINT_GATEWAY ((uint32_t)0xa9fe0101) /* 169.254.1.1 */
#define ENDPOINT_GATEWAY_TEXT "169.254.1.1"
#define ENDPOINT_IFNAME_DEFAULT "eth0"
#define ENDPOINT_ALIAS_PREFIX MESH_ALIAS_PREFIX "endpoint:"

/* A path may come to name another namespace; these tell. The cookie is the kernel's 64-bit number
 * of a namespace, never used twice within a boot (inode numbers are); 0 where it has none. */
struct endpoint_netns {
    uint64_t dev;
    uint64_t ino;
    uint64_t cookie;
};

struct endpoint {
    char *id;
    char *netns_path; /* "": not known, adopted from the kernel */
    char ifname[IFNAMSIZ];
    uint32_t addr; /* host order */
    struct endpoint_netns netns;
    int64_t created_at_s;
};

/* In order of creation. (id, ifname) and addr are unique. A zeroed struct is an empty table. */
struct endpoint_table {
    struct endpoint *items;
    size_t count;
    size_t size;
};

void endpoint_table_deinit(struct endpoint_table *table);
void endpoint_table_copy(struct endpoint_table *table, const struct endpoint_table *from);
bool endpoint_table_equal(const struct endpoint_table *a, const struct endpoint_table *b);
/* The found one is borrowed until the table changes. */
struct endpoint *endpoint_table_find(const struct endpoint_table *table, const char *id,
                                     const char *ifname);
struct endpoint *endpoint_table_find_addr(const struct endpoint_table *table, uint32_t addr);
/* Copies it in; its key and address are not there yet. */
struct endpoint *endpoint_table_add(struct endpoint_table *table, const struct endpoint *endpoint);
void endpoint_table_remove(struct endpoint_table *table, const char *id, const char *ifname);

bool endpoint_netns_equal(const struct endpoint_netns *a, const struct endpoint_netns *b);

/* The name of our end: "qv" and the address in hex, "qv0a2a0105" for 10.42.1.5. */
void endpoint_host_ifname(uint32_t addr, char ret_name[static IFNAMSIZ]);
/* The address in such a name; false when it is not one. */
bool endpoint_host_ifname_parse(const char *name, uint32_t *ret_addr);

#define ENDPOINT_ALIAS_SIZE 256 /* IFALIASZ */
/* "quilt:endpoint:ID/IFNAME"; an id that is too long loses its end. */
void endpoint_alias(const char *id, const char *ifname, char ret_alias[static ENDPOINT_ALIAS_SIZE]);
/* Takes such an alias apart; false when it is not one or was cut. The id is owned by the caller. */
bool endpoint_alias_parse(const char *alias, char **ret_id, char ret_ifname[static IFNAMSIZ]);
