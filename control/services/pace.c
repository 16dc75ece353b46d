/* How many requests one identity may make. */
#include "control/services/pace.h"

#define US_PER_MS 1000
#define US_PER_S 1000000

int64_t pace_take(struct pace *pace, const struct pace_rule *rule, int64_t now_ms)
{
    int64_t share_us = US_PER_S / (int64_t)rule->per_s;
    int64_t now_us = now_ms * US_PER_MS;
    int64_t paid_us = pace->paid_until_us > now_us ? pace->paid_until_us : now_us;
    int64_t early_us = paid_us + share_us - now_us - share_us * (int64_t)rule->at_once;

    if (early_us > 0)
        return (early_us + US_PER_MS - 1) / US_PER_MS;
    pace->paid_until_us = paid_us + share_us;
    return 0;
}
