/* The firewall's counters. */
#include "runtime/drops.h"

#include <inttypes.h>

#include "lib/base/error.h"
#include "lib/base/figures.h"
#include "lib/base/log.h"
#include "runtime/frames.h"

static int load(const struct kernel *kernel, const char *family, const char *table,
                struct drops *drops)
{
    AUTO_JSON json_t *packets = NULL;
    int r = nft_counters_get(kernel->nft, family, table, &packets);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    for (size_t i = 0; i < FIREWALL_REASON_COUNT; i++)
        drops->packets[i] +=
            (uint64_t)json_integer_value(json_object_get(packets, firewall_reasons[i]));
    return 0;
}

int drops_load(const struct kernel *kernel, struct drops *ret_drops)
{
    int r;

    *ret_drops = (struct drops){0};
    r = load(kernel, FIREWALL_FAMILY, FIREWALL_TABLE, ret_drops);
    return r < 0 ? r : load(kernel, FRAMES_FAMILY, FRAMES_TABLE, ret_drops);
}

void drops_add_metrics(const struct kernel *kernel, struct strbuf *out)
{
    static const char name[] = "quilt_runtime_firewall_dropped_total";
    struct drops drops;

    if (drops_load(kernel, &drops) < 0) {
        log_debug("firewall counts", LOG_ERR());
        return;
    }
    figures_add_head(out, name, "counter", "Packets that the firewall dropped, by reason.");
    for (size_t i = 0; i < FIREWALL_REASON_COUNT; i++)
        strbuf_addf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", name, firewall_reasons[i],
                    drops.packets[i]);
}
