/* Ways on which packets are lost now and then. One that is lost says nothing: some of the doctor's
 * own must be, and some of those that the agent sent before where that is known, so that neither an
 * outage that is over nor a firewall's limit for many pings at once is taken for it. */
#include <string.h>

#include "cli/doctor/checks.h"
#include "lib/api/mesh.h"

#define NAMES_MAX 5
/* Less, of the doctor's own, is noise. */
#define LOSS_PERCENT 3

enum leg { LEG_NONE, LEG_UNDERLAY, LEG_OVERLAY };

static unsigned int percent_lost(struct tries tries)
{
    return tries.sent > 0 ? (tries.sent - tries.answered) * 100 / tries.sent : 0;
}

/* What is never answered is not lost now and then. */
static bool loses(struct tries tries, int window_percent)
{
    return tries.answered > 0 && percent_lost(tries) >= LOSS_PERCENT && window_percent != 0;
}

/* What the underlay loses the overlay loses, too. */
static enum leg leg_of(const struct path *path)
{
    if (!path->is_examined)
        return LEG_NONE;
    if (loses(path->host, path->host_window_percent))
        return LEG_UNDERLAY;
    return loses(path->overlay, path->overlay_window_percent) ? LEG_OVERLAY : LEG_NONE;
}

static struct tries tries_of(const struct path *path, enum leg leg)
{
    return leg == LEG_UNDERLAY ? path->host : path->overlay;
}

/* "12 % to node2 (192.168.1.11), 9 % to node3 (192.168.1.12)", and which of them is worst. */
static char *names_text(const struct facts *f, enum leg leg, const struct path **ret_worst)
{
    struct strbuf names = {0};
    size_t count = 0;
    char text[IP4_TEXT_SIZE];

    *ret_worst = NULL;
    for (size_t i = 0; i < f->path_count; i++) {
        const struct path *path = &f->paths[i];
        unsigned int percent = percent_lost(tries_of(path, leg));

        if (leg_of(path) != leg)
            continue;
        if (!*ret_worst || percent > percent_lost(tries_of(*ret_worst, leg)))
            *ret_worst = path;
        if (count < NAMES_MAX)
            strbuf_addf(&names, "%s%u %% to %s (%s)", count > 0 ? ", " : "", percent,
                        path->hostname, ip4_format(path->host_ip, text));
        else if (count == NAMES_MAX)
            strbuf_adds(&names, ", ...");
        count++;
    }
    return strbuf_take(&names);
}

static void add_window(struct strbuf *out, const char *words, int percent)
{
    if (percent == FACTS_UNKNOWN)
        strbuf_addf(out, "%snot known", words);
    else
        strbuf_addf(out, "%s%d %%", words, percent);
}

static char *shows_text(const struct path *path)
{
    struct strbuf out = {0};

    strbuf_addf(&out, "%s: of %u pings over the overlay %u were answered, of %u of the host %u",
                path->hostname, path->overlay.sent, path->overlay.answered, path->host.sent,
                path->host.answered);
    add_window(&out, "; lost of the agent's latest probes: over the overlay ",
               path->overlay_window_percent);
    add_window(&out, ", of the host ", path->host_window_percent);
    return strbuf_take(&out);
}

static void add_underlay(const struct facts *f, const char *names, const struct path *worst,
                         struct findings *findings)
{
    const char *device = f->underlay_device ? f->underlay_device : "DEVICE";
    const char *own = facts_text(f->agent, "host_ip");
    char to[IP4_TEXT_SIZE];

    findings_add(
        findings,
        (struct finding){
            .cause = "packet-loss",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("the underlay, and so the overlay, loses packets (there or back): "
                               "%s",
                               names),
            .shows = shows_text(worst),
            .mend = mem_printf("find where, on both hosts: ping -c 200 -i 0.05%s%s %s; what counts "
                               "up meanwhile: ip -s link show dev %s; ethtool -S %s; tc -s qdisc "
                               "show dev %s; then see to cables, switch ports, links that are full",
                               own[0] ? " -I " : "", own, ip4_format(worst->host_ip, to), device,
                               device, device)});
}

static void add_overlay(const struct facts *f, const char *names, const struct path *worst,
                        struct findings *findings)
{
    const char *device = f->underlay_device ? f->underlay_device : "DEVICE";
    bool is_host_silent = tries_all_fail(worst->host);

    findings_add(
        findings,
        (struct finding){
            .cause = "packet-loss",
            .severity = SEVERITY_ERROR,
            .what = mem_printf(
                "the overlay (UDP 4789)%s loses packets (there or back): %s",
                is_host_silent || worst->host.sent == 0 ? "" : ", and not the underlay,", names),
            .shows = shows_text(worst),
            .mend = mem_printf(
                "%slook on both hosts, and between them, for what limits UDP %d: nft list "
                "ruleset; tc -s qdisc show dev %s; tc -s filter show dev %s ingress; and for what "
                "counts up meanwhile: ip -s link show dev " MESH_DEVICE_NAME "; ethtool -S %s",
                is_host_silent ? "let the hosts answer pings, to see whether the underlay loses "
                                 "them, too; "
                               : "",
                MESH_VXLAN_PORT, device, device, device)});
}

void check_loss(const struct facts *facts, struct findings *findings)
{
    const struct path *on_underlay, *on_overlay;
    AUTO_FREE char *underlay = names_text(facts, LEG_UNDERLAY, &on_underlay);
    AUTO_FREE char *overlay = names_text(facts, LEG_OVERLAY, &on_overlay);

    if (on_underlay)
        add_underlay(facts, underlay, on_underlay, findings);
    if (on_overlay)
        add_overlay(facts, overlay, on_overlay, findings);
}
