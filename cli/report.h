/* Is this node healthy? What the three daemons answered, judged in words. Pure: answers in, report
 * out. */
#pragma once

#include <stdbool.h>

#include "cli/ping.h"
#include "lib/base/json.h"
#include "lib/base/strbuf.h"

/* This node's certificate, over TLS. Unix seconds. */
struct report_cert {
    int64_t not_before;
    int64_t not_after;
};

/* The answers; NULL where a daemon did not answer, and then error says why and what to do. */
struct report_input {
    const json_t *agent; /* its /status */
    const char *agent_error;
    const json_t *runtime; /* GetStatus as JSON: version, subnet, endpoints, ..., problems */
    const char *runtime_error;
    bool is_runtime_unasked;        /* this user may not ask it, as runtime_error says */
    const char *control_url;        /* NULL: nobody has said where the control plane is */
    const char *control_error;      /* NULL: the control plane is well, or: */
    bool is_control_ill;            /* it answered, and control_error is its word */
    const char *control_unasked;    /* why it was not asked; NULL: it was */
    bool is_unasked_for_fault;      /* which is a problem; else this user is not root */
    const struct report_cert *cert; /* NULL: the agent knows when it ends, if there is one, or: */
    const char *cert_error;         /* why it cannot be read */
    int64_t now_s;                  /* Unix seconds */
    /* What report_ping_targets() said, after ping_run(). */
    const struct ping_target *targets;
    size_t target_count;
    const char *probe_error; /* NULL: they were pinged */
};

/* The peers that should answer over the overlay: those that the agent has up and programmed. Empty
 * where there is no agent or no data path. Caller frees. */
struct ping_target *report_ping_targets(const json_t *agent, size_t *ret_count);

/* {"healthy":…, "problems":[…], "control_plane":{…}, "certificate":…, "agent":…, "runtime":…,
 * "runtime_unasked":…, "overlay_ping":{…}}; a problem that two sources tell is told once. Caller
 * owns. */
json_t *report_make(const struct report_input *input);

bool report_is_healthy(const json_t *report);

/* The report as text for people. */
void report_print(const json_t *report, struct strbuf *out);
