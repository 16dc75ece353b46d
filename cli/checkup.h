/* The questions that `status` and `doctor` ask: the agent, the runtime, the control plane, this
 * node's certificate, the peers. Talks to all of them. */
#pragma once

#include "cli/cli.h"
#include "cli/report.h"

/* The answers; what is NULL was not answered, and then its error says why. */
struct checkup {
    json_t *agent;
    json_t *runtime;
    char *agent_error;
    char *runtime_error;
    bool is_runtime_unasked; /* this user may not, as runtime_error says */
    char *control_error;
    bool is_control_ill;       /* it answered that it is not well, as control_error says */
    bool is_control_untrusted; /* something answers that is not believed to be it, likewise */
    bool is_control_away;      /* nothing answers, likewise */
    bool is_control_refusing;  /* and its host says so itself */
    bool is_control_unknown;   /* nobody has said where it is, and it is not here */
    char *control_unasked;     /* why, when it was not */
    bool is_unasked_for_fault; /* what would be shown to it is missing or damaged; else for root */
    struct report_cert cert;
    bool has_cert;
    char *cert_error;
    struct ping_target *targets;
    size_t target_count;
    char *probe_error;
};
void checkup_deinit(struct checkup *c);

/* Asks the daemons, and looks at the certificate. */
void checkup_ask(struct cli *cli, struct checkup *c);
/* Pings the peers that the agent has programmed, over the overlay. */
void checkup_ping(struct checkup *c);
