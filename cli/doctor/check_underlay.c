/* What is below the overlay: the address by which peers know this host, and its device. */
#include <string.h>

#include "cli/doctor/checks.h"
#include "lib/base/ip4.h"

/* Where the address belongs: the only device that it could be; else whoever mends it knows. */
static const char *likely_device(const struct facts *f)
{
    const char *name = NULL;

    for (size_t i = 0; i < f->link_count; i++) {
        const struct link_info *link = &f->links[i];

        if (strcmp(link->name, "lo") == 0 || facts_is_our_name(link->name))
            continue;
        if (name)
            return "DEVICE";
        name = link->name;
    }
    return name ? name : "DEVICE";
}

/* "192.168.1.11 on eth0, ..."; "" when there is none but loopback's. Caller frees. */
static char *list_addresses(const struct facts *f)
{
    struct strbuf out = {0};
    char text[IP4_TEXT_SIZE];

    strbuf_adds(&out, "");
    for (size_t i = 0; i < f->addr_count; i++) {
        const struct link_info *link = facts_link(f, f->addrs[i].ifindex);

        if (link && strcmp(link->name, "lo") != 0 && !facts_is_our_name(link->name))
            strbuf_addf(&out, "%s%s on %s", out.len > 0 ? ", " : "",
                        ip4_format(f->addrs[i].addr, text), link->name);
    }
    return strbuf_take(&out);
}

static void add_gone(const struct facts *f, struct findings *findings)
{
    const char *host_ip = facts_text(f->agent, "host_ip");
    AUTO_FREE char *others = list_addresses(f);

    findings_add(
        findings,
        (struct finding){
            .cause = "host-ip-gone",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("the address by which peers and control plane know this host, %s, "
                               "is on none of its devices: nothing of the mesh gets in or out",
                               host_ip),
            .shows = mem_printf("it has %s%s", others[0] ? "only " : "no address but loopback's",
                                others),
            .mend = mem_printf("ip addr add %s/PREFIX dev %s gives it back; if the host has "
                               "another address for good, start the agent with that as --host-ip",
                               host_ip, likely_device(f))});
}

static void add_down(const struct facts *f, const struct link_info *link, struct findings *findings)
{
    findings_add(
        findings,
        (struct finding){
            .cause = "underlay-down",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("%s, which has this host's address %s, is down: nothing of the "
                               "mesh gets in or out",
                               link->name, facts_text(f->agent, "host_ip")),
            .shows = mem_printf(
                link->is_up ? "%s is up and has no carrier" : "%s has been set down", link->name),
            .mend = link->is_up
                        ? mem_strdup("see to its cable, and to what it is plugged into")
                        : mem_printf("ip link set %s up; routes by a gateway went with it: let "
                                     "what configures the device set them again",
                                     link->name)});
}

/* What is for that node's host comes here, or there, as ARP has it. One that is down may have lost
 * its address for good. */
static void check_twice(const struct facts *f, struct findings *findings)
{
    const json_t *peers = json_object_get(f->agent, "peers"), *peer;
    char text[IP4_TEXT_SIZE];
    uint32_t addr;
    size_t i;

    json_array_foreach (peers, i, peer)
        for (size_t k = 0; k < f->addr_count; k++) {
            const struct link_info *link = facts_link(f, f->addrs[k].ifindex);

            if (!link || strcmp(facts_text(peer, "status"), "down") == 0 ||
                ip4_parse(facts_text(peer, "host_ip"), &addr) < 0 || f->addrs[k].addr != addr)
                continue;
            ip4_format(addr, text);
            findings_add(
                findings,
                (struct finding){
                    .cause = "address-twice",
                    .severity = SEVERITY_ERROR,
                    .what = mem_printf("this host has the address of another node, %s: what is for "
                                       "that may come here, and from here nothing gets there",
                                       facts_text(peer, "hostname")),
                    .shows = mem_printf("%s on %s", text, link->name),
                    .mend = mem_printf("if that node should have it: ip addr del %s/%u dev %s, and "
                                       "out of what configures this host's network",
                                       text, f->addrs[k].prefix_len, link->name)});
        }
}

void check_underlay(const struct facts *facts, struct findings *findings)
{
    const struct link_info *link = NULL;

    if (!facts_is_dry(facts))
        check_twice(facts, findings);
    switch (facts_underlay(facts, &link)) {
    case UNDERLAY_GONE:
        add_gone(facts, findings);
        break;
    case UNDERLAY_DOWN:
        if (facts_is_cut_off(facts))
            add_down(facts, link, findings);
        break;
    case UNDERLAY_WELL:
    case UNDERLAY_UNKNOWN:
        break;
    }
}
