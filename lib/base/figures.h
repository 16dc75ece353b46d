/* Prometheus' text format (exposition format 0.0.4), in which every daemon tells its figures. */
#pragma once

#include <stdint.h>

#include "lib/base/strbuf.h"

#define FIGURES_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* One without labels. */
struct figure {
    const char *name;
    const char *type; /* "gauge", "counter" */
    const char *help;
    uint64_t value;
};

void figures_add(struct strbuf *out, const struct figure *figures, size_t count);
/* What comes before samples with labels: # HELP and # TYPE. */
void figures_add_head(struct strbuf *out, const char *name, const char *type, const char *help);
/* What every process has: its version, resident memory, CPU time. */
void figures_add_process(struct strbuf *out, const char *program);
