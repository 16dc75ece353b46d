/* Repairs at once, and then in growing intervals. */
#include "lib/base/patience.h"

#define FREE_REPAIRS 10
#define DECAY_MS 2000 /* one repair is forgotten */
#define WAIT_BASE_MS 100
#define WAIT_MAX_MS 5000
#define WAIT_DOUBLINGS_MAX 6
#define QUIET_MS 60000

bool patience_allows(const struct patience *patience, int64_t now_ms)
{
    return now_ms >= patience->wait_until_ms;
}

static void decay(struct patience *patience, int64_t now_ms)
{
    int64_t forgotten;

    /* The wait itself is not a time of peace. */
    if (patience->wait_until_ms > patience->last_ms)
        patience->last_ms = patience->wait_until_ms;
    forgotten = (now_ms - patience->last_ms) / DECAY_MS;
    patience->count = forgotten >= patience->count ? 0 : patience->count - (unsigned int)forgotten;
    patience->last_ms = now_ms;
}

static int64_t pause_ms(unsigned int count)
{
    unsigned int doublings = count - FREE_REPAIRS - 1;
    int64_t wait_ms = WAIT_BASE_MS
                      << (doublings < WAIT_DOUBLINGS_MAX ? doublings : WAIT_DOUBLINGS_MAX);

    return wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS;
}

bool patience_note(struct patience *patience, int64_t now_ms)
{
    decay(patience, now_ms);
    patience->count++;
    if (patience->count <= FREE_REPAIRS)
        return false;
    patience->wait_until_ms = now_ms + pause_ms(patience->count);
    return patience->count == FREE_REPAIRS + 1;
}

bool patience_is_over(const struct patience *patience, int64_t now_ms)
{
    return now_ms - patience->last_ms > QUIET_MS;
}
