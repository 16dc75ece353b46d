/* How soon one route is asked for again. */
#include "agent/runtime_client/pace.h"

#define QUIET_MS 10000
#define AFTER_OK_MS 50
#define AFTER_FAILURE_MS 500
#define WAIT_MAX_MS 10000
#define DOUBLINGS_MAX 8

void pace_ended(struct pace *pace, bool is_ok, int64_t now_ms)
{
    unsigned int doublings;
    int64_t wait_ms;

    /* A long wait of our own is not a quiet while. */
    if (now_ms - pace->not_before_ms > QUIET_MS)
        pace->tries = 0;
    doublings = pace->tries < DOUBLINGS_MAX ? pace->tries : DOUBLINGS_MAX;
    wait_ms = (is_ok ? AFTER_OK_MS : AFTER_FAILURE_MS) << doublings;
    pace->tries++;
    pace->last_ms = now_ms;
    pace->not_before_ms = now_ms + (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
}
