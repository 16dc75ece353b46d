/* Whose probes are answered. */
#include "agent/probe/responder.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/sorted.h"

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

/* Neighbours of the same address become one. */
static size_t merge(struct responder_source *sources, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct responder_source *last = kept > 0 ? &sources[kept - 1] : NULL;

        if (!last || last->addr != sources[i].addr) {
            sources[kept++] = sources[i];
            continue;
        }
        last->uses += sources[i].uses;
        if (sources[i].host_ip)
            last->host_ip = sources[i].host_ip;
    }
    return kept;
}

void responder_set_sources(struct responder *r, struct responder_source *sources, size_t count)
{
    sorted_sort(sources, count, sizeof *sources, compare);
    free(r->sources);
    r->sources = sources;
    r->size = count;
    r->count = merge(sources, count);
}

/* ---- one by one ---------------------------------------------------------------------------- */

/* Where it is, or would be. */
static size_t place_of(const struct responder *r, uint32_t addr)
{
    const struct responder_source key = {.addr = addr};

    return sorted_place(&key, r->sources, r->count, sizeof key, compare);
}

static struct responder_source *find(const struct responder *r, uint32_t addr)
{
    size_t at = place_of(r, addr);

    return at < r->count && r->sources[at].addr == addr ? &r->sources[at] : NULL;
}

static struct responder_source *use(struct responder *r, uint32_t addr)
{
    size_t at = place_of(r, addr);
    struct responder_source *source = at < r->count ? &r->sources[at] : NULL;

    if (!source || source->addr != addr) {
        if (r->count == r->size) {
            r->size = 2 * r->size + 16;
            r->sources = mem_resize(r->sources, r->size, sizeof *r->sources);
        }
        source = &r->sources[at];
        memmove(source + 1, source, (r->count++ - at) * sizeof *source);
        *source = (struct responder_source){.addr = addr};
    }
    source->uses++;
    return source;
}

static void leave(struct responder *r, uint32_t addr)
{
    struct responder_source *source = find(r, addr);

    if (!source || --source->uses > 0)
        return;
    r->count--;
    memmove(source, source + 1, (size_t)(r->sources + r->count - source) * sizeof *source);
}

bool responder_put(struct responder *r, uint32_t vtep, uint32_t host_ip)
{
    const struct responder_source *source = find(r, vtep);
    bool is_new;

    if (source && source->host_ip == host_ip)
        return false;
    is_new = !responder_drop(r, vtep);
    use(r, vtep)->host_ip = host_ip;
    (void)use(r, host_ip);
    return is_new;
}

bool responder_drop(struct responder *r, uint32_t vtep)
{
    struct responder_source *source = find(r, vtep);
    uint32_t host_ip = source ? source->host_ip : 0;

    if (host_ip == 0)
        return false;
    source->host_ip = 0;
    leave(r, vtep);
    leave(r, host_ip);
    return true;
}

/* ---- answering ----------------------------------------------------------------------------- */

bool responder_admit(struct responder *r, uint32_t addr, int64_t now_ms)
{
    struct responder_source *s = find(r, addr);
    bool may;

    if (s && s->second != now_ms / 1000) {
        s->second = now_ms / 1000;
        s->taken = 0;
    }
    may = s && s->taken++ < RESPONDER_PER_SECOND;
    r->answered += may;
    r->refused += !may;
    return may;
}
