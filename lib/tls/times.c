/* The time of certificates: whether it is theirs, in words that name the clock. */
#include <stdio.h>
#include <time.h>

#include "lib/base/error.h"
#include "lib/tls/internal.h"

#define SPAN_SIZE 32

void tls_say_time(int64_t at, char ret_text[static TLS_TIME_SIZE])
{
    time_t seconds = at;
    struct tm parts;

    if (!gmtime_r(&seconds, &parts) ||
        strftime(ret_text, TLS_TIME_SIZE, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
        (void)snprintf(ret_text, TLS_TIME_SIZE, "%lld", (long long)at);
}

/* In the largest unit that it has one of. */
static void say_span(int64_t seconds, char ret_text[static SPAN_SIZE])
{
    static const struct {
        int64_t seconds;
        const char *word;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;

    while (i + 1 < ARRAY_LEN(units) && seconds < units[i].seconds)
        i++;
    (void)snprintf(ret_text, SPAN_SIZE, "%lld %s", (long long)(seconds / units[i].seconds),
                   units[i].word);
}

static int refuse_early(const char *who, int64_t not_before, int64_t now)
{
    char begin[TLS_TIME_SIZE], clock[TLS_TIME_SIZE], span[SPAN_SIZE];

    tls_say_time(not_before, begin);
    tls_say_time(now, clock);
    say_span(not_before - now, span);
    return REFUSE(
        TLS_NOT_YET_VALID,
        "%s is not yet valid: this host's clock is %s behind, or that of who issued it was ahead "
        "(here it is %s, the certificate begins %s); set the one that is wrong",
        who, span, clock, begin);
}

static int refuse_late(const char *who, int64_t not_after, int64_t now)
{
    char end[TLS_TIME_SIZE], clock[TLS_TIME_SIZE], span[SPAN_SIZE];

    tls_say_time(not_after, end);
    tls_say_time(now, clock);
    say_span(now - not_after, span);
    return REFUSE(
        TLS_EXPIRED,
        "%s expired %s ago (%s, and it is %s by this host's clock): have it renewed, or set "
        "the clock",
        who, span, end, clock);
}

int tls_check_time(const struct tls_cert_facts *facts, const char *who, int64_t now)
{
    if (now < facts->not_before)
        return refuse_early(who, facts->not_before, now);
    return now > facts->not_after ? refuse_late(who, facts->not_after, now) : 0;
}
