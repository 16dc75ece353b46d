/* Other programs' firewalls that drop what is forwarded, and our own, when it is not there. */
#include "cli/doctor/checks.h"
#include "cli/doctor/ruleset.h"
#include "lib/api/mesh.h"

#include <string.h>

#define OUR_DEVICES "{ \"" MESH_DEVICE_NAME "\", \"" MESH_ENDPOINT_PREFIX "*\" }"

/* Both: what comes from a container, or goes to one, may do so past the overlay. */
#define DOCKER_LETS(way, device) "iptables -I DOCKER-USER " way " " device " -j ACCEPT"
#define DOCKER_LETS_OURS(way) \
    DOCKER_LETS(way, MESH_DEVICE_NAME) "; " DOCKER_LETS(way, MESH_ENDPOINT_PREFIX "+")

static char *mend_forward(const struct ruleset_place *place, struct ip4_prefix cluster)
{
    char text[IP4_PREFIX_TEXT_SIZE];

    if (place->has_docker_user)
        return mem_strdup(DOCKER_LETS_OURS("-i") "; " DOCKER_LETS_OURS("-o"));
    if (strcmp(place->table, "firewalld") == 0)
        return mem_printf("firewall-cmd --permanent --zone=trusted --add-source=%s; firewall-cmd "
                          "--reload",
                          ip4_prefix_format(cluster, text));
    return mem_printf("nft insert rule %s %s %s iifname " OUR_DEVICES " accept; "
                      "nft insert rule %s %s %s oifname " OUR_DEVICES " accept",
                      place->family, place->table, place->chain, place->family, place->table,
                      place->chain);
}

/* They go when the node leaves the mesh, and the runtime that is left has no subnet. */
static bool has_nothing_to_filter(const struct facts *f)
{
    return f->runtime && facts_text(f->runtime, "subnet")[0] == '\0';
}

/* The runtime puts them back at once, where there is one. */
static void check_filters(const struct facts *f, struct findings *findings)
{
    if (!f->firewall || f->has_filters || has_nothing_to_filter(f))
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "filters-gone",
            .severity = SEVERITY_ERROR,
            .what = mem_strdup("the mesh's own firewall table is gone: what containers and others "
                               "send is not filtered, and what leaves the mesh is not masqueraded"),
            .shows = mem_strdup("nft list table inet " MESH_TABLE_NAME " has no rule"),
            .mend = f->runtime ? mem_strdup("the runtime puts it back within a second; while it "
                                            "does not: journalctl -u quilt-runtime")
                               : mem_strdup("a start of the runtime brings it back: systemctl "
                                            "restart quilt-runtime")});
}

static void check_forward(const struct facts *facts, struct findings *findings)
{
    static const char *const how[] = {[RULESET_BY_RULE] = "has a rule that drops it",
                                      [RULESET_BY_POLICY] = "has the policy drop",
                                      [RULESET_BY_LAST_RULE] =
                                          "has a last rule that drops the rest"};
    struct ruleset_place place;

    if (!ruleset_find_forward_drop(facts->firewall, facts_cluster(facts), &place))
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "forward-policy-drop",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("the firewall table %s %s drops what is forwarded, and with "
                               "it what containers send and get (not what takes the eBPF path or "
                               "the short cut, which pass no such hook; but all from and to other "
                               "networks)",
                               place.family, place.table),
            .shows = mem_printf("chain %s %s, and no rule of the table "
                                "lets " MESH_DEVICE_NAME " or the cluster's network pass",
                                place.chain, how[place.how]),
            .mend = mend_forward(&place, facts_cluster(facts))});
}

void check_firewall(const struct facts *facts, struct findings *findings)
{
    if (facts_is_dry(facts))
        return;
    check_filters(facts, findings);
    check_forward(facts, findings);
}
