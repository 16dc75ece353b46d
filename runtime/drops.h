/* What the firewall has dropped since its tables were last written, by reason. Touches the kernel.
 */
#pragma once

#include "lib/base/strbuf.h"
#include "runtime/firewall.h"
#include "runtime/kernel.h"

struct drops {
    uint64_t packets[FIREWALL_REASON_COUNT];
};

/* Zeros where there is no table. */
int drops_load(const struct kernel *kernel, struct drops *ret_drops);
/* Prometheus text. */
void drops_add_metrics(const struct kernel *kernel, struct strbuf *out);
