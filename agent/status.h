/* What the agent says of itself: /status, /readyz and /metrics. The texts are pure functions of a
 * view, which the agent fills. */
#pragma once

#include "agent/control_client/client.h"
#include "agent/fastpath/fastpath.h"
#include "agent/overlay/overlay.h"
#include "agent/probe/prober.h"
#include "agent/runtime_client/client.h"
#include "lib/api/register.h"

struct status_peer {
    const struct api_node *node;
    bool is_programmed;
    bool is_missing;                 /* not in the latest list, which is not believed yet */
    const char *problem;             /* NULL: none */
    const struct probe_track *probe; /* NULL: it is not probed */
};

/* Over TLS. */
struct status_tls {
    int64_t expires_at;            /* of the certificate, Unix seconds; 0: there is none */
    const struct tls_trust *trust; /* NULL: no CA is known */
};

struct status_view {
    const char *hostname;
    uint32_t host_ip;
    const struct api_register_reply *identity; /* NULL: none yet */
    bool is_ready;
    bool is_dry;
    const char *identity_problem; /* NULL: none; so are the following */
    const char *state_problem;
    struct control_client_status control;
    const struct status_tls *tls; /* NULL: plain HTTP */
    int64_t now_ms;
    const char *runtime_url; /* NULL: not used (dry run) */
    struct runtime_client_status runtime;
    struct overlay_status overlay;
    struct fastpath_status fastpath;
    const struct probes *probes; /* NULL in a dry run; so is the next */
    const struct responder *responder;
    const char *probe_problem;
    const struct status_peer *peers;
    size_t peer_count, wanted_count, programmed_count, missing_count;
    bool is_alone; /* the missing are all that there were */
};

/* Each returns a text that the caller frees. */
char *status_to_json(const struct status_view *view);
char *status_to_ready_json(const struct status_view *view);
/* All figures but those of the process. */
void status_add_metrics(struct strbuf *out, const struct status_view *view);
