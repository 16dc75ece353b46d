/* One look at the table of frames. Kernels before 6.16 remove a chain on a device with it, later
 * ones keep the chain and hook it to the next device of that name. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "runtime/frames.h"
#include "runtime/reconcile.h"

static const char guard_key[] = "firewall table " FRAMES_FAMILY " " FRAMES_TABLE;

static bool has_device(const struct link_info *links, size_t count, uint32_t addr)
{
    char name[IFNAMSIZ];

    endpoint_host_ifname(addr, name);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(links[i].name, name) == 0)
            return true;
    }
    return false;
}

/* What is missing, for the endpoints whose devices are there. */
static int add_missing(struct reconcile *rc, const json_t *listing, json_t *doors)
{
    const struct endpoint_table *table = &rc->state->endpoints;
    AUTO_FREE struct link_info *links = NULL;
    size_t count = 0;
    int r = table->count > 0 ? link_dump(rc->kernel->nl, "veth", &links, &count) : 0;

    for (size_t i = 0; r == 0 && i < table->count; i++) {
        uint32_t addr = table->items[i].addr;
        AUTO_JSON json_t *door = NULL;

        if (!has_device(links, count, addr) || frames_has_door(listing, addr))
            continue;
        door = frames_door(addr);
        json_array_extend(doors, door);
    }
    return r;
}

static void add_orphans(const struct reconcile *rc, const json_t *listing, json_t *gone)
{
    size_t count;
    AUTO_FREE uint32_t *doors = frames_list_doors(listing, &count);

    for (size_t i = 0; i < count; i++) {
        char name[IFNAMSIZ];

        if (endpoint_table_find_addr(&rc->state->endpoints, doors[i]))
            continue;
        endpoint_host_ifname(doors[i], name);
        json_array_append_new(gone, json_string(name));
    }
}

static int write_doors(struct reconcile *rc, const json_t *doors, const json_t *gone)
{
    int r;

    rc->kernel->writes[KERNEL_FIREWALL]++;
    reconcile_begin_write(rc);
    r = nft_chains_set(rc->kernel->nft, FRAMES_FAMILY, FRAMES_TABLE, doors, gone);
    reconcile_end_write(rc, 1);
    return r;
}

static int ensure_doors(struct reconcile *rc, const json_t *listing)
{
    AUTO_JSON json_t *doors = json_array(), *gone = json_array();
    int r = add_missing(rc, listing, doors);

    add_orphans(rc, listing, gone);
    if (r == 0 && (json_array_size(doors) > 0 || json_array_size(gone) > 0))
        r = write_doors(rc, doors, gone);
    return r;
}

static bool is_right(const json_t *listing, const json_t *want)
{
    AUTO_JSON json_t *have = listing ? frames_without_doors(listing) : NULL;

    return have && nft_ruleset_equal(have, want);
}

/* 0: the table is as it was; 1: it was written anew. */
static int ensure_table(struct reconcile *rc)
{
    AUTO_JSON json_t *want = frames_ruleset(), *listing = NULL;
    int r = nft_table_get(rc->kernel->nft, FRAMES_FAMILY, FRAMES_TABLE, &listing);

    if (r < 0 && r != -ENOENT)
        return r;
    if (is_right(listing, want))
        return ensure_doors(rc, listing);
    rc->kernel->writes[KERNEL_FIREWALL]++;
    r = nft_table_set(rc->kernel->nft, FRAMES_FAMILY, FRAMES_TABLE, want);
    if (r == 0)
        r = ensure_doors(rc, NULL);
    return r < 0 ? r : 1;
}

void reconcile_frames(struct reconcile *rc, int64_t now_ms)
{
    int r;

    if (!guard_allows(&rc->guard, guard_key, now_ms))
        return;
    r = ensure_table(rc);
    if (r != 0)
        reconcile_note(rc, KERNEL_FIREWALL, guard_key, r < 0 ? r : 0, now_ms);
    else
        guard_settle(&rc->guard, guard_key);
}

int reconcile_door(struct reconcile *rc, uint32_t addr)
{
    AUTO_JSON json_t *door = frames_door(addr), *gone = json_array();
    int r = write_doors(rc, door, gone);

    return r < 0 ? err_wrap(r, "frames of a container") : 0;
}
