/* Is this node healthy? What the three daemons answered, judged in words. Pure: answers in, report
 * out. */
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"
#include "lib/base/strbuf.h"

/* The answers; NULL where a daemon did not answer, and then error says why and what to do. */
struct report_input {
    const json_t *agent; /* its /status */
    const char *agent_error;
    const json_t *runtime; /* GetStatus as JSON: version, subnet, endpoints, ..., problems */
    const char *runtime_error;
    const char *control_url;
    const char *control_error; /* NULL: the control plane is well */
};

/* {"healthy":…, "problems":[…], "control_plane":{…}, "agent":…, "runtime":…}; a problem that two
 * sources tell is told once. Caller owns. */
json_t *report_make(const struct report_input *input);

bool report_is_healthy(const json_t *report);

/* The report as text for people. */
void report_print(const json_t *report, struct strbuf *out);
