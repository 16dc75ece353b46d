/* Writes a difference into the kernel. */
#include "agent/overlay/apply.h"

#include <stdio.h>

#include "lib/base/error.h"
#include "lib/net/sysctl.h"

/* Bounds the memory of a batch. */
#define BATCH_MAX 512

struct apply {
    struct nl *nl;
    const struct overlay_want *want;
    int *ifindex;
    struct overlay_counts *counts;
    struct nl_batch *batch;
    int result; /* the first failure */
    char *text; /* its words; owned */
};

/* The larger of a device's setting and the host's holds. A loose filter is there to undo a strict
 * one: else it would look up a route for each packet, whose sender the firewall knows better. */
static const char *rp_filter_value(void)
{
    return sysctl_is("net/ipv4/conf/all/rp_filter", "1") ? "2" : "0";
}

int overlay_ensure_sysctls(struct overlay_counts *counts)
{
    const struct {
        const char *path;
        const char *value;
    } sysctls[] = {
        {"net/ipv6/conf/" MESH_DEVICE_NAME "/disable_ipv6", "1"},
        {"net/ipv4/conf/" MESH_DEVICE_NAME "/rp_filter", rp_filter_value()},
        /* All entries are permanent. A question would only fill the host's table of neighbours,
         * which all devices share, with whatever sender it claims. */
        {"net/ipv4/conf/" MESH_DEVICE_NAME "/arp_ignore", "8"},
    };

    for (size_t i = 0; i < ARRAY_LEN(sysctls); i++) {
        int r = sysctl_ensure(sysctls[i].path, sysctls[i].value);

        if (r == -ENOENT) /* a kernel without IPv6 */
            continue;
        if (r < 0)
            return r;
        counts->writes[OVERLAY_SYSCTL][OVERLAY_REPLACE] += (unsigned int)r;
    }
    return 0;
}

static void note_failure(struct apply *a, int r)
{
    a->counts->failures++;
    if (a->result < 0)
        return;
    a->result = r;
    a->text = mem_strdup(err_text());
}

static void note_write(struct apply *a, const struct overlay_change *change)
{
    a->counts->writes[change->object][change->verb]++;
}

/* ---- the device ---------------------------------------------------------------------------- */

static int create_device(struct apply *a)
{
    const struct vxlan_spec spec = overlay_want_device(a->want);
    struct link_info info;
    int r = vxlan_create(a->nl, &spec);

    if (r == 0)
        r = link_get(a->nl, spec.name, &info);
    if (r < 0)
        return r;
    *a->ifindex = info.ifindex;
    return overlay_ensure_sysctls(a->counts);
}

static int remove_device(struct apply *a)
{
    int r = link_delete(a->nl, *a->ifindex);

    if (r == 0)
        *a->ifindex = 0;
    return r;
}

static int change_address(struct apply *a, const struct overlay_change *change)
{
    const struct addr_entry entry = {.ifindex = *a->ifindex,
                                     .addr = change->addr,
                                     .prefix_len = change->prefix_len,
                                     .scope = RT_SCOPE_UNIVERSE};

    return change->verb == OVERLAY_REMOVE ? addr_delete(a->nl, &entry) : addr_add(a->nl, &entry);
}

static int change_device(struct apply *a, const struct overlay_change *change)
{
    switch (change->object) {
    case OVERLAY_DEVICE:
        return change->verb == OVERLAY_REMOVE ? remove_device(a) : create_device(a);
    case OVERLAY_ALIAS:
        return link_set_alias(a->nl, *a->ifindex, a->want->alias);
    case OVERLAY_MAC:
        return link_set_mac(a->nl, *a->ifindex, mac_from_ip4(a->want->subnet.addr));
    case OVERLAY_MTU:
        return link_set_mtu(a->nl, *a->ifindex, a->want->mtu_bytes);
    case OVERLAY_LINK:
        return vxlan_set_up(a->nl, *a->ifindex);
    case OVERLAY_ADDRESS:
        return change_address(a, change);
    case OVERLAY_SYSCTL:
    case OVERLAY_NEIGH:
    case OVERLAY_FDB:
    case OVERLAY_ROUTE:
    case OVERLAY_OBJECT_COUNT:
        break;
    }
    return 0;
}

/* ---- neighbours and forwarding entries: in batches ----------------------------------------- */

static void fill_neigh(struct apply *a, struct nlmsghdr *request,
                       const struct overlay_change *change)
{
    const struct neigh_entry entry = {
        .ifindex = *a->ifindex, .addr = change->addr, .mac = change->mac};

    if (change->verb == OVERLAY_REMOVE)
        neigh_fill_delete(request, &entry);
    else
        neigh_fill_replace(request, &entry);
}

static void fill_fdb(struct apply *a, struct nlmsghdr *request, const struct overlay_change *change)
{
    const struct fdb_entry entry = {
        .ifindex = *a->ifindex, .mac = change->mac, .remote = change->remote};

    if (change->verb == OVERLAY_REMOVE)
        fdb_fill_delete(request, &entry);
    else
        fdb_fill_replace(request, &entry);
}

static void name_change(const struct overlay_change *change, char *ret_name, size_t size)
{
    char addr[IP4_TEXT_SIZE], mac[MAC_TEXT_SIZE];

    if (change->object == OVERLAY_FDB)
        (void)snprintf(ret_name, size, "FDB entry %s to %s", mac_format(change->mac, mac),
                       ip4_format(change->remote, addr));
    else
        (void)snprintf(ret_name, size, "neighbour %s", ip4_format(change->addr, addr));
}

static void note_result(struct apply *a, const struct nl_change *result)
{
    const struct overlay_change *change = result->owner;
    char name[64];

    if (result->result == 0) {
        note_write(a, change);
        return;
    }
    if (change->verb == OVERLAY_REMOVE && result->result == -ENOENT)
        return;
    name_change(change, name, sizeof name);
    note_failure(a, err_fail(-result->result, "%s %s on " MESH_DEVICE_NAME ": %s",
                             overlay_verb_name(change->verb), name, result->text));
}

static void flush(struct apply *a)
{
    int r;

    if (nl_batch_count(a->batch) == 0)
        return;
    r = nl_batch_send(a->nl, a->batch);
    if (r < 0)
        note_failure(a, r);
    for (size_t i = 0; r == 0 && i < nl_batch_count(a->batch); i++)
        note_result(a, nl_batch_result(a->batch, i));
    nl_batch_free(a->batch);
    a->batch = nl_batch_new();
}

static void queue(struct apply *a, const struct overlay_change *change)
{
    struct nlmsghdr *request;

    if (nl_batch_count(a->batch) == BATCH_MAX)
        flush(a);
    request = nl_batch_next(a->batch, (void *)(uintptr_t)change);
    if (change->object == OVERLAY_NEIGH)
        fill_neigh(a, request, change);
    else
        fill_fdb(a, request, change);
}

/* ---- all ----------------------------------------------------------------------------------- */

/* Returns false when there is nothing to go on with. */
static bool write_change(struct apply *a, const struct overlay_change *change)
{
    int r;

    if (change->object == OVERLAY_NEIGH || change->object == OVERLAY_FDB) {
        queue(a, change);
        return true;
    }
    if (change->object == OVERLAY_ROUTE)
        return true;
    flush(a);
    r = change_device(a, change);
    if (r < 0)
        note_failure(a, err_wrap(r, "%s %s of " MESH_DEVICE_NAME, overlay_verb_name(change->verb),
                                 overlay_object_name(change->object)));
    else
        note_write(a, change);
    return r == 0 || change->object != OVERLAY_DEVICE;
}

int overlay_apply(struct nl *nl, const struct overlay_want *want,
                  const struct overlay_changes *changes, int *ifindex,
                  struct overlay_counts *counts)
{
    struct apply a = {
        .nl = nl, .want = want, .ifindex = ifindex, .counts = counts, .batch = nl_batch_new()};

    for (size_t i = 0; i < changes->count; i++)
        if (!write_change(&a, &changes->items[i]))
            break;
    flush(&a);
    nl_batch_free(a.batch);
    if (a.result < 0)
        (void)err_fail(-a.result, "%s", a.text);
    free(a.text);
    return a.result;
}
