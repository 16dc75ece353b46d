/* One look at the table of frames. Kernels before 6.16 remove a chain on a device with it, later
 * ones keep the chain and hook it to the next device of that name. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/xfrm.h"
#include "runtime/frames.h"
#include "runtime/reconcile.h"
#include "runtime/short_cut.h"

static const char guard_key[] = "firewall table " FRAMES_FAMILY " " FRAMES_TABLE;

/* ---- whether there is a short cut ------------------------------------------------------------ */

#define PROBE_TABLE FRAMES_TABLE "-probe"

/* A restart writes nothing to find out what it has found out before. */
static bool is_there(struct reconcile *rc)
{
    AUTO_JSON json_t *listing = NULL;

    return nft_table_get(rc->kernel->nft, FRAMES_FAMILY, FRAMES_TABLE, &listing) == 0 &&
           frames_has_short_cut(listing);
}

static int try_it(struct reconcile *rc)
{
    AUTO_JSON json_t *probe = frames_probe(PROBE_TABLE);

    return nft_table_try(rc->kernel->nft, FRAMES_FAMILY, PROBE_TABLE, probe);
}

/* Once it was made and removed in two steps, and a process could end between them. */
static void remove_left_probe(struct reconcile *rc)
{
    if (nft_table_delete(rc->kernel->nft, FRAMES_FAMILY, PROBE_TABLE) < 0)
        log_warn("a table that an earlier start left cannot be removed", LOG_ERR());
}

bool reconcile_can_short_cut(struct reconcile *rc)
{
    remove_left_probe(rc);
    if (rc->policy.is_all_tracked)
        return false;
    free(TAKE_PTR(rc->short_cut_refusal));
    rc->no_short_cut = NULL;
    if (is_there(rc) || try_it(rc) == 0)
        return true;
    log_info("nftables cannot send packets on here: the kernel path goes without its short cut",
             LOG_ERR());
    rc->short_cut_refusal = mem_printf("nftables cannot send packets on here: %s", err_text());
    return false;
}

/* A policy may want it encrypted, or nowhere: it is asked on the long way only. NULL: there is to
 * be a short cut. */
static const char *find_reason(const struct reconcile *rc)
{
    static const char uncounted[] = "policies of IPsec cannot be counted";
    uint32_t policies = 0;

    if (rc->policy.is_all_tracked)
        return "--conntrack all";
    if (!rc->can_short_cut)
        return rc->short_cut_refusal ? rc->short_cut_refusal : "nftables was not asked";
    if (xfrm_count_policies(&policies) < 0) {
        if (rc->no_short_cut != uncounted)
            log_warn("policies of IPsec cannot be counted, so there is no short cut", LOG_ERR());
        return uncounted;
    }
    return policies > 0 ? "this host has IPsec policies" : NULL;
}

void reconcile_judge_short_cut(struct reconcile *rc)
{
    const char *reason = find_reason(rc);
    bool has_short_cut = !reason;

    rc->no_short_cut = reason;
    if (has_short_cut == rc->has_short_cut)
        return;
    if (rc->has_run && reason)
        log_info("the kernel path goes without its short cut", LOG_S("reason", reason));
    else if (rc->has_run)
        log_info("the kernel path has its short cut again");
    rc->has_short_cut = has_short_cut;
    rc->is_frames_known = false;
}

const char *reconcile_why_no_short_cut(const struct reconcile *rc)
{
    if (!rc->has_short_cut)
        return rc->no_short_cut ? rc->no_short_cut : "the kernel was not looked at yet";
    if (rc->state->subnet.len == 0)
        return "this node has no subnet yet";
    return rc->is_short_cut_shut ? "its table cannot be kept right" : NULL;
}

/* ---- which devices lead to the endpoints ---------------------------------------------------- */

static struct member_list make_list(const struct member *items, size_t count, size_t room)
{
    struct member_list list = {.items = mem_array(count + room + 1, sizeof *list.items),
                               .count = count};

    if (count > 0)
        memcpy(list.items, items, count * sizeof *items);
    return list;
}

static bool follow(struct reconcile *rc, struct member_list next)
{
    members_sort(&next);
    return members_follow(&rc->members, &rc->devices, next);
}

static struct member as_device(uint32_t addr, int ifindex)
{
    return (struct member){.set = MEMBERS_DEVICES, .addr = addr, .to = (uint32_t)ifindex};
}

void reconcile_follow_devices(struct reconcile *rc, const struct view *view)
{
    const struct endpoint_table *table = &rc->state->endpoints;
    struct member_list next = make_list(NULL, 0, table->count);

    for (size_t i = 0; i < table->count; i++) {
        char name[IFNAMSIZ];
        const struct link_info *link;

        endpoint_host_ifname(table->items[i].addr, name);
        link = view_find_link(view, name);
        if (link && plug_is_ours(link))
            next.items[next.count++] = as_device(table->items[i].addr, link->ifindex);
    }
    if (follow(rc, next)) /* a device that is another one than before has no chain yet */
        rc->are_chains_known = false;
}

/* One more, or one that leads elsewhere now. */
int reconcile_put_device(struct reconcile *rc, uint32_t addr)
{
    struct member_list next;
    struct link_info link;
    char name[IFNAMSIZ];
    int r;

    endpoint_host_ifname(addr, name);
    r = link_get(rc->kernel->nl, name, &link);
    if (r < 0)
        return r;
    next = make_list(rc->devices.items, rc->devices.count, 1);
    for (size_t i = 0; i < next.count; i++) {
        if (next.items[i].addr == addr)
            next.items[i] = next.items[--next.count];
    }
    next.items[next.count++] = as_device(addr, link.ifindex);
    (void)follow(rc, next);
    return 0;
}

/* ---- chains on devices ----------------------------------------------------------------------- */

static void add_if_missing(const json_t *listing, json_t *doors, json_t *door)
{
    if (!frames_has_door(listing, door))
        json_array_extend(doors, door);
    json_decref(door);
}

static bool is_overlay_door_wanted(const struct firewall_spec *spec)
{
    return spec->has_short_cut && spec->has_overlay;
}

/* What is missing, for the endpoints whose devices are there. */
static void add_missing(const struct reconcile *rc, const struct firewall_spec *spec,
                        const json_t *listing, json_t *doors)
{
    for (size_t i = 0; i < rc->devices.count; i++)
        add_if_missing(listing, doors, frames_door(spec, rc->devices.items[i].addr));
    if (is_overlay_door_wanted(spec))
        add_if_missing(listing, doors, frames_overlay_door(spec));
}

static void add_orphans(const struct reconcile *rc, const struct firewall_spec *spec,
                        const json_t *listing, json_t *gone)
{
    AUTO_JSON json_t *doors = frames_list_doors(listing);
    json_t *name;
    size_t i;

    json_array_foreach (doors, i, name) {
        uint32_t addr;
        bool is_wanted = endpoint_host_ifname_parse(json_string_value(name), &addr)
                             ? endpoint_table_find_addr(&rc->state->endpoints, addr) != NULL
                             : is_overlay_door_wanted(spec);

        if (!is_wanted)
            json_array_append(gone, name);
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

static int ensure_doors(struct reconcile *rc, const struct firewall_spec *spec,
                        const json_t *listing)
{
    AUTO_JSON json_t *doors = json_array(), *gone = json_array();

    add_missing(rc, spec, listing, doors);
    add_orphans(rc, spec, listing, gone);
    if (json_array_size(doors) == 0 && json_array_size(gone) == 0)
        return 0;
    return write_doors(rc, doors, gone);
}

/* ---- the table ------------------------------------------------------------------------------- */

static int load(struct reconcile *rc, json_t **ret_listing)
{
    int r = nft_table_get(rc->kernel->nft, FRAMES_FAMILY, FRAMES_TABLE, ret_listing);

    return r == -ENOENT ? 0 : r;
}

static bool is_right(const json_t *listing, const json_t *want)
{
    AUTO_JSON json_t *have = listing ? frames_without_doors(listing) : NULL;

    return have && nft_ruleset_equal(have, want);
}

static int write_table(struct reconcile *rc, const json_t *want)
{
    int r;

    rc->kernel->writes[KERNEL_FIREWALL]++;
    reconcile_begin_write(rc);
    r = nft_table_set(rc->kernel->nft, FRAMES_FAMILY, FRAMES_TABLE, want);
    reconcile_end_write(rc, 1);
    return r;
}

/* 0: the table is as it was; 1: it was written anew. */
static int ensure_table(struct reconcile *rc, const struct firewall_spec *spec)
{
    AUTO_JSON json_t *want = frames_ruleset(spec), *listing = NULL;
    int r = load(rc, &listing);

    if (r < 0)
        return r;
    if (is_right(listing, want))
        return ensure_doors(rc, spec, listing);
    add_missing(rc, spec, NULL, want);
    r = write_table(rc, want);
    return r < 0 ? r : 1;
}

/* Better no short cut than an old one, also where there is to be none any more. There may be no
 * table. */
static void shut(struct reconcile *rc)
{
    AUTO_JSON json_t *maps = NULL;

    if (rc->is_frames_known || rc->is_short_cut_shut)
        return;
    maps = short_cut_empty_maps();
    rc->kernel->writes[KERNEL_FIREWALL]++;
    if (nft_sets_fill(rc->kernel->nft, FRAMES_FAMILY, FRAMES_TABLE, maps) < 0)
        log_debug("shut the short cut", LOG_ERR());
    rc->is_short_cut_shut = true;
}

static bool is_current(struct reconcile *rc)
{
    return rc->is_frames_known && rc->are_chains_known && reconcile_firewall_is_current(rc);
}

/* That it is written because the overlay or the subnet came is no repair. */
void reconcile_frames(struct reconcile *rc, bool is_whole, int64_t now_ms)
{
    struct firewall_spec spec;
    int r;

    if (is_current(rc))
        return;
    if (!guard_allows(&rc->guard, guard_key, now_ms)) {
        shut(rc);
        return;
    }
    spec = reconcile_spec(rc);
    r = ensure_table(rc, &spec);
    free((void *)spec.peers);
    rc->is_frames_known = rc->are_chains_known = r >= 0;
    rc->is_short_cut_shut &= r < 0;
    if (r < 0 || (r == 1 && is_whole))
        reconcile_note(rc, KERNEL_FIREWALL, guard_key, r < 0 ? r : 0, now_ms);
    else
        guard_settle(&rc->guard, guard_key);
    if (r < 0)
        shut(rc);
}

int reconcile_door(struct reconcile *rc, uint32_t addr)
{
    const struct firewall_spec spec = reconcile_spec_of_rules(rc);
    AUTO_JSON json_t *door = frames_door(&spec, addr), *gone = json_array();
    int r = write_doors(rc, door, gone);

    if (r < 0)
        rc->are_chains_known = false;
    return r < 0 ? err_wrap(r, "frames of a container") : 0;
}
