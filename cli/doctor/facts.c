/* The smallest questions about the facts. */
#include "cli/doctor/facts.h"

#include <string.h>

#include "lib/api/mesh.h"
#include "lib/base/error.h"

void facts_deinit(struct facts *facts)
{
    free(facts->links);
    free(facts->addrs);
    free(facts->routes);
    free(facts->rules);
    free(facts->strays);
    json_decref(facts->firewall);
    free(facts->port_owner);
    free(facts->rp_filter_device);
    free(facts->underlay_device);
    free(facts->underlay_driver);
    free(facts->forwarding_file);
    free(facts->networkd_devices);
    free(facts->network_manager_devices);
    free(facts->paths);
    for (size_t i = 0; i < facts->blind_count; i++)
        free(facts->blind_spots[i].reason);
    free(facts->blind_spots);
    *facts = (struct facts){0};
}

void facts_add_blind_for(struct facts *facts, const char *what, const char *reason)
{
    facts->blind_spots =
        mem_resize(facts->blind_spots, facts->blind_count + 1, sizeof *facts->blind_spots);
    facts->blind_spots[facts->blind_count++] =
        (struct blind_spot){.what = what, .reason = mem_strdup(reason)};
}

void facts_add_blind(struct facts *facts, const char *what)
{
    facts_add_blind_for(facts, what, err_text());
}

bool facts_has_links(const struct facts *facts)
{
    return facts->link_count > 0;
}

const struct link_info *facts_overlay(const struct facts *facts)
{
    for (size_t i = 0; i < facts->link_count; i++)
        if (strcmp(facts->links[i].name, MESH_DEVICE_NAME) == 0)
            return &facts->links[i];
    return NULL;
}

bool facts_overlay_is_up(const struct facts *facts)
{
    const struct link_info *overlay = facts_overlay(facts);

    return overlay && overlay->is_up &&
           strncmp(overlay->alias, MESH_ALIAS_PREFIX, strlen(MESH_ALIAS_PREFIX)) == 0;
}

const struct link_info *facts_link(const struct facts *facts, int ifindex)
{
    for (size_t i = 0; i < facts->link_count; i++)
        if (facts->links[i].ifindex == ifindex)
            return &facts->links[i];
    return NULL;
}

enum facts_underlay facts_underlay(const struct facts *facts, const struct link_info **ret_link)
{
    enum facts_underlay found = UNDERLAY_GONE;
    uint32_t host_ip;

    if (!facts->has_addrs || !facts_has_links(facts) || facts_is_dry(facts) ||
        ip4_parse(facts_text(facts->agent, "host_ip"), &host_ip) < 0)
        return UNDERLAY_UNKNOWN;
    for (size_t i = 0; i < facts->addr_count; i++) {
        const struct link_info *link = facts_link(facts, facts->addrs[i].ifindex);

        if (facts->addrs[i].addr != host_ip)
            continue;
        if (!link)
            return UNDERLAY_UNKNOWN;
        *ret_link = link;
        if (link->is_up && link->has_carrier)
            return UNDERLAY_WELL;
        found = UNDERLAY_DOWN; /* unless another has it, too */
    }
    return found;
}

bool facts_is_cut_off(const struct facts *facts)
{
    const struct link_info *link;
    enum facts_underlay underlay = facts_underlay(facts, &link);

    return underlay == UNDERLAY_GONE ||
           (underlay == UNDERLAY_DOWN && !facts->passes_without_carrier);
}

bool facts_is_our_name(const char *name)
{
    return strcmp(name, MESH_DEVICE_NAME) == 0 ||
           strncmp(name, MESH_ENDPOINT_PREFIX, strlen(MESH_ENDPOINT_PREFIX)) == 0;
}

bool tries_all_pass(struct tries tries)
{
    return tries.sent > 1 && tries.answered == tries.sent;
}

bool tries_all_fail(struct tries tries)
{
    return tries.sent > 1 && tries.answered == 0;
}

const char *facts_route_kind(const struct route_entry *route)
{
    switch (route->type) {
    case RTN_BLACKHOLE:
        return "blackhole ";
    case RTN_UNREACHABLE:
        return "unreachable ";
    case RTN_PROHIBIT:
        return "prohibit ";
    case RTN_THROW:
        return "throw ";
    default:
        return "";
    }
}

const char *facts_text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

struct ip4_prefix facts_cluster(const struct facts *facts)
{
    struct ip4_prefix cluster;

    if (ip4_prefix_parse(facts_text(facts->agent, "cluster_cidr"), &cluster) == 0 ||
        ip4_prefix_parse(facts_text(facts->runtime, "cluster_cidr"), &cluster) == 0)
        return cluster;
    return MESH_CLUSTER_DEFAULT;
}

bool facts_is_dry(const struct facts *facts)
{
    return strcmp(facts_text(facts->agent, "dataplane"), "none") == 0;
}

bool facts_is_barred(const struct facts *facts)
{
    const json_t *control = json_object_get(facts->agent, "control_plane");

    return json_is_true(json_object_get(control, "barred"));
}
