/* Whose probes are answered. */
#include "agent/probe/responder.h"

#include "lib/base/mem.h"

void responder_deinit(struct responder *r)
{
    free(r->sources);
    *r = (struct responder){0};
}

static int compare(const void *a, const void *b)
{
    const struct responder_source *x = a, *y = b;

    return x->addr < y->addr ? -1 : x->addr > y->addr;
}

void responder_set_sources(struct responder *r, struct responder_source *sources, size_t count)
{
    if (count > 0)
        qsort(sources, count, sizeof *sources, compare);
    free(r->sources);
    r->sources = sources;
    r->count = count;
}

bool responder_admit(struct responder *r, uint32_t addr, int64_t now_ms)
{
    const struct responder_source key = {.addr = addr};
    struct responder_source *s = NULL;
    bool may;

    if (r->count > 0)
        s = bsearch(&key, r->sources, r->count, sizeof key, compare);
    if (s && s->second != now_ms / 1000) {
        s->second = now_ms / 1000;
        s->taken = 0;
    }
    may = s && s->taken++ < RESPONDER_PER_SECOND;
    r->answered += may;
    r->refused += !may;
    return may;
}
