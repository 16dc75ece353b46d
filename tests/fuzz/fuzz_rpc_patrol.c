/* Any bytes of a connection: the verdict is the same whether they come at once or byte by byte. The
 * first byte says from which side. */
#include <stdlib.h>
#include <string.h>

#include "lib/rpc/patrol.h"
#include "tests/fuzz/fuzz.h"

static enum patrol_reason feed(struct patrol *patrol, const uint8_t *bytes, size_t n, size_t step,
                               bool is_in)
{
    enum patrol_reason reason = PATROL_FINE;

    for (size_t i = 0; i < n && reason == PATROL_FINE; i += step) {
        size_t part = n - i < step ? n - i : step;

        reason = is_in ? patrol_in(patrol, bytes + i, part, 1000)
                       : patrol_out(patrol, bytes + i, part, 1000);
    }
    return reason;
}

/* What the client says, and then the server, over the same streams. */
static enum patrol_reason watch(const uint8_t *bytes, size_t n, size_t step)
{
    static struct patrol patrol;
    size_t half = n > 0 ? bytes[0] * n / 256 : 0;
    enum patrol_reason reason;

    memset(&patrol, 0, sizeof patrol);
    reason = feed(&patrol, bytes + (n > 0), half - (half > 0), step, true);
    if (reason == PATROL_FINE)
        reason = feed(&patrol, bytes + half, n - half, step, false);
    if (patrol.stream_count > PATROL_STREAMS_MAX || patrol.stuck > patrol.stream_count ||
        !patrol_reason_word(reason))
        abort();
    return reason == PATROL_FINE ? patrol_look(&patrol, 100000) : reason;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (watch(bytes, n, n + 1) != watch(bytes, n, 1) || watch(bytes, n, 7) != watch(bytes, n, 1))
        abort();
    return 0;
}
