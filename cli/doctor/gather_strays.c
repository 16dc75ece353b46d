/* Packets of the mesh that routing rules lead astray: the kernel is asked for samples. */
#include <netinet/in.h>

#include "cli/doctor/gather.h"
#include "lib/api/mesh.h"
#include "lib/base/error.h"
#include "lib/net/rule.h"

static bool has_added_rule(const struct facts *f)
{
    for (size_t i = 0; i < f->rule_count; i++)
        if (rule_is_added(&f->rules[i]))
            return true;
    return false;
}

/* ifindex: where it should leave; 0: anywhere. */
static void try_packet(struct nl *nl, struct facts *f, struct rule_question asked, int ifindex)
{
    struct rule_answer answer = rule_ask(nl, &asked);

    if (answer.error == 0 && (ifindex == 0 || answer.ifindex == ifindex))
        return;
    f->strays = mem_resize(f->strays, f->stray_count + 1, sizeof *f->strays);
    f->strays[f->stray_count++] =
        (struct stray){.asked = asked, .answer = answer, .is_underlay = ifindex == 0};
}

/* VXLAN to each peer's host. By which device, is the host's own affair. */
static void try_hosts(struct nl *nl, struct facts *f)
{
    const json_t *peers = json_object_get(f->agent, "peers"), *peer;
    struct rule_question asked = {.protocol = IPPROTO_UDP, .port = MESH_VXLAN_PORT};
    size_t i;

    if (ip4_parse(facts_text(f->agent, "host_ip"), &asked.from) < 0)
        asked.from = 0;
    json_array_foreach (peers, i, peer)
        if (ip4_parse(facts_text(peer, "host_ip"), &asked.to) == 0)
            try_packet(nl, f, asked, 0);
}

static const struct route_entry *first_route(const struct facts *f, bool is_to_container)
{
    for (size_t i = 0; i < f->route_count; i++) {
        const struct link_info *link = facts_link(f, f->routes[i].ifindex);

        if (f->routes[i].protocol == QUILT_ROUTE_PROTOCOL && link &&
            facts_is_our_name(link->name) && (link != facts_overlay(f)) == is_to_container)
            return &f->routes[i];
    }
    return NULL;
}

/* To each peer: from this host, and from one of its containers. */
static void try_peer(struct nl *nl, struct facts *f, const struct route_entry *peer,
                     const struct route_entry *container)
{
    struct rule_question asked = {.to = peer->dst.addr};

    try_packet(nl, f, asked, peer->ifindex);
    if (!container)
        return;
    asked.to = peer->dst.addr + 1;
    asked.from = container->dst.addr;
    asked.in_ifindex = container->ifindex;
    try_packet(nl, f, asked, peer->ifindex);
}

static void try_overlay(struct nl *nl, struct facts *f)
{
    const struct route_entry *container = first_route(f, true), *peer = first_route(f, false);

    if (!peer)
        return;
    for (size_t i = 0; i < f->route_count; i++)
        if (f->routes[i].protocol == QUILT_ROUTE_PROTOCOL && f->routes[i].ifindex == peer->ifindex)
            try_peer(nl, f, &f->routes[i], container);
    if (container)
        try_packet(nl, f,
                   (struct rule_question){.from = peer->dst.addr + 1,
                                          .to = container->dst.addr,
                                          .in_ifindex = peer->ifindex},
                   container->ifindex);
}

void gather_strays(struct nl *nl, struct facts *f)
{
    if (rule_dump(nl, &f->rules, &f->rule_count) < 0) {
        f->rule_count = 0;
        facts_add_blind(f, "the routing rules were not looked at");
    }
    if (!has_added_rule(f) || facts_is_dry(f))
        return;
    if (!facts_is_cut_off(f))
        try_hosts(nl, f);
    try_overlay(nl, f);
}
