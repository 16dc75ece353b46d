/* How often an address may show credentials that are none. */
#include "control/services/guesses.h"

static const int64_t *row(const struct guesses *g, uint32_t addr)
{
    uint64_t mixed = (addr ^ g->salt) * 0x9e3779b97f4a7c15ULL; /* 2^64 over the golden ratio */

    return &g->paid_until_ms[(mixed >> 32) % GUESSES_ROWS];
}

bool guesses_must_wait(const struct guesses *g, uint32_t addr, int64_t now_ms)
{
    return *row(g, addr) >= now_ms + GUESSES_AT_ONCE * GUESSES_INTERVAL_MS;
}

bool guesses_note(struct guesses *g, uint32_t addr, int64_t now_ms)
{
    int64_t *paid_until_ms = &g->paid_until_ms[row(g, addr) - g->paid_until_ms];

    if (guesses_must_wait(g, addr, now_ms))
        return false;
    if (*paid_until_ms < now_ms)
        *paid_until_ms = now_ms;
    *paid_until_ms += GUESSES_INTERVAL_MS;
    return true;
}
