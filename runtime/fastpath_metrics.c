/* The fast path's figures of endpoints. */
#include <assert.h>
#include <inttypes.h>

#include "bpf/fastpath.h"
#include "lib/base/error.h"
#include "lib/base/figures.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/bpf/map.h"
#include "runtime/fastpath.h"

#define COUNTERS (sizeof(struct fastpath_counts) / sizeof(uint64_t))

/* In the order of struct fastpath_counts. */
static const struct {
    const char *name, *help;
} directions[] = {
    {"quilt_runtime_fastpath_tx_packets_total", "Packets that an endpoint sent by the fast path."},
    {"quilt_runtime_fastpath_tx_bytes_total", "Their bytes."},
    {"quilt_runtime_fastpath_rx_packets_total", "Packets that an endpoint got by the fast path."},
    {"quilt_runtime_fastpath_rx_bytes_total", "Their bytes."},
};
static_assert(ARRAY_LEN(directions) == COUNTERS, "a figure for each counter");

static void add_direction(struct strbuf *out, const struct state *state,
                          uint64_t (*counters)[COUNTERS], size_t which)
{
    const char *name = directions[which].name;

    figures_add_head(out, name, "counter", directions[which].help);
    for (size_t i = 0; i < state->endpoints.count; i++) {
        char ip[IP4_TEXT_SIZE];

        strbuf_addf(out, "%s{ip=\"%s\"} %" PRIu64 "\n", name,
                    ip4_format(state->endpoints.items[i].addr, ip), counters[i][which]);
    }
}

void fastpath_add_metrics(const struct kernel *kernel, const struct state *state,
                          struct strbuf *out)
{
    const struct figure used = {"quilt_runtime_fastpath_used", "gauge",
                                "1 when endpoints use the eBPF data path.", kernel->set != NULL};
    uint64_t(*counters)[COUNTERS];

    figures_add(out, &used, 1);
    if (!kernel->set)
        return;
    counters = mem_zalloc((state->endpoints.count + 1) * sizeof *counters);
    for (size_t i = 0; i < state->endpoints.count; i++)
        if (map_sum(kernel->set->maps[SET_ENDPOINT_COUNTS],
                    fastpath_slot(state->endpoints.items[i].addr), counters[i], COUNTERS) < 0)
            log_debug("fast path counts", LOG_ERR());
    for (size_t i = 0; i < ARRAY_LEN(directions); i++)
        add_direction(out, state, counters, i);
    free(counters);
}
