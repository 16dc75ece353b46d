/* The fast path's figures. */
#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>

#include "agent/fastpath/internal.h"
#include "lib/base/error.h"
#include "lib/base/figures.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/bpf/map.h"

static const char *const reasons[] = {
    [FASTPATH_PASS_ODD] = "odd",           [FASTPATH_PASS_OPTIONS] = "options",
    [FASTPATH_PASS_FRAGMENT] = "fragment", [FASTPATH_PASS_TTL] = "ttl",
    [FASTPATH_PASS_FORGED] = "forged",     [FASTPATH_PASS_VXLAN] = "vxlan",
    [FASTPATH_PASS_NO_PEER] = "no_peer",   [FASTPATH_PASS_NO_WAY] = "no_way",
    [FASTPATH_PASS_OVERSIZE] = "oversize", [FASTPATH_PASS_NO_TARGET] = "no_target",
    [FASTPATH_PASS_CHECKSUM] = "checksum", [FASTPATH_PASS_ECN] = "ecn",
    [FASTPATH_PASS_NO_ROOM] = "no_room",
};
static_assert(ARRAY_LEN(reasons) == FASTPATH_PASS_COUNT, "a word for each reason");

#define COUNTERS (sizeof(struct fastpath_counts) / sizeof(uint64_t))

struct peer_counts {
    uint32_t vtep;
    uint64_t counters[COUNTERS];
};

static void add_passes(struct strbuf *out, const struct fastpath *fp)
{
    static const char name[] = "quilt_agent_fastpath_passed_total";

    figures_add_head(out, name, "counter",
                     "Packets of the mesh that were left to the kernel path, by reason.");
    for (uint32_t i = 0; i < FASTPATH_PASS_COUNT; i++) {
        uint64_t count;

        if (map_sum(fp->set->maps[SET_PASSES], i, &count, 1) == 0)
            strbuf_addf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", name, reasons[i], count);
    }
}

/* In the order of struct fastpath_counts. */
static const struct {
    const char *name, *help;
} directions[] = {
    {"quilt_agent_fastpath_tx_packets_total", "Packets sent to a peer by the fast path."},
    {"quilt_agent_fastpath_tx_bytes_total", "Their bytes, without the outer headers."},
    {"quilt_agent_fastpath_rx_packets_total", "Packets taken from a peer by the fast path."},
    {"quilt_agent_fastpath_rx_bytes_total", "Their bytes, without the outer headers."},
};
static_assert(ARRAY_LEN(directions) == COUNTERS, "a figure for each counter");

static void add_direction(struct strbuf *out, const struct peer_counts *peers, size_t count,
                          size_t which)
{
    const char *name = directions[which].name;

    figures_add_head(out, name, "counter", directions[which].help);
    for (size_t i = 0; i < count; i++) {
        char subnet[IP4_TEXT_SIZE];

        strbuf_addf(out, "%s{peer=\"%s\"} %" PRIu64 "\n", name, ip4_format(peers[i].vtep, subnet),
                    peers[i].counters[which]);
    }
}

static void read_counts(const struct fastpath *fp, const struct fastpath_entry *entry,
                        struct peer_counts *ret)
{
    *ret = (struct peer_counts){.vtep = entry->vtep};
    if (map_sum(fp->set->maps[SET_PEER_COUNTS], entry->peer.slot, ret->counters, COUNTERS) < 0)
        log_debug("fast path counts", LOG_ERR());
}

void fastpath_add_metrics(const struct fastpath *fp, struct strbuf *out)
{
    struct fastpath_entries entries = {0};
    AUTO_FREE struct peer_counts *peers = NULL;
    const struct figure figures[] = {
        {"quilt_agent_fastpath_used", "gauge", "1 when the eBPF data path is used.",
         fp->set && fp->is_enabled},
        {"quilt_agent_fastpath_peers", "gauge", "Peers that packets go to by it.", fp->peer_count},
        {"quilt_agent_fastpath_devices", "gauge", "Underlay devices that it takes packets from.",
         fp->device_count},
        {"quilt_agent_fastpath_writes_total", "counter", "Records and programs written.",
         fp->writes},
        {"quilt_agent_fastpath_failures_total", "counter", "Looks that failed.", fp->failures},
    };

    figures_add(out, figures, ARRAY_LEN(figures));
    if (!fp->set || fastpath_dump_entries(fp, &entries) < 0)
        return;
    peers = mem_array(entries.count + 1, sizeof *peers);
    for (size_t i = 0; i < entries.count; i++)
        read_counts(fp, &entries.items[i], &peers[i]);
    for (size_t i = 0; i < ARRAY_LEN(directions); i++)
        add_direction(out, peers, entries.count, i);
    add_passes(out, fp);
    fastpath_entries_deinit(&entries);
}
