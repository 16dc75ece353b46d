/* The mesh agent: one struct, its members in the order in which they start.
 *
 *     control plane ──> control_client ──> peers ──> overlay ──> kernel: device, neighbours, FDB
 *                             │              │          └────> runtime_client ──> runtime: routes
 *                             └── identity ──┴──> state file
 *
 * Everything flows one way: what is heard changes what is wanted, and the overlay finds out for
 * itself what is to be written.
 */
#pragma once

#include "agent/control_client/client.h"
#include "agent/fastpath/fastpath.h"
#include "agent/overlay/focus.h"
#include "agent/overlay/overlay.h"
#include "agent/peers.h"
#include "agent/probe/prober.h"
#include "agent/runtime_client/client.h"
#include "agent/saving.h"
#include "agent/state.h"
#include "lib/base/daemon.h"
#include "lib/base/state_file.h"
#include "lib/http/client.h"
#include "lib/http/server.h"

struct agent_config {
    const char *const *control_urls; /* base URLs */
    size_t control_url_count;
    uint32_t host_ip;
    const char *hostname;
    const char *runtime_target;
    const char *state_dir;
    uint32_t status_addr;
    uint16_t status_port;
    const char *dataplane; /* the word that was given */
    bool is_dry;           /* --dataplane none */
    enum fastpath_mode fastpath;
    bool leaves_on_stop; /* --on-stop leave */
    bool is_tls;         /* the URLs are https: */
    const char *ca_file; /* given, or NULL */
    const char *cert_file;
    const char *key_file;
    struct join_token token; /* both NULL: none was given */
    int64_t cpu_cores;       /* -1: unknown */
    int64_t ram_mb;
};

struct leave;

struct agent {
    const struct agent_config *config;
    struct state_file file;
    struct daemon daemon;

    char instance_id[UUID_TEXT_SIZE]; /* of this process, */
    char home_id[UUID_TEXT_SIZE];     /* and of where it runs: of its state directory's lock */
    struct agent_state
        state; /* identity and host IP; peers only on their way to and from the file */
    bool has_identity;
    char *identity_problem; /* owned; NULL: none. Why our own subnet cannot be used */
    struct saving saving;
    struct peers peers;
    struct loop_source *confirm; /* ask for a second list */
    int64_t accepted_ms;         /* boot time of the latest accept-cluster; 0: never */

    struct papers *papers;          /* NULL in plain HTTP */
    struct loop_source *papers_due; /* given files are looked at again; NULL: there are none */
    struct overlay *overlay;
    struct fastpath *fastpath;      /* NULL in a dry run */
    struct runtime_client *runtime; /* NULL in a dry run */
    struct http_client *http;
    struct control_client *control;
    struct prober *prober;          /* NULL in a dry run */
    struct loop_source *probe_look; /* the peers may have changed: */
    struct focus probe_due;         /* these */
    uint64_t probe_paths;           /* as they were at the last look (overlay_path_changes) */
    bool is_control_started;
    bool is_ready;
    uint64_t revision_applied; /* the kernel is as the cluster was then, or later */

    struct http_server *server;
    struct leave *leave; /* while leaving */
};

/* Runs until it is told to stop; the process's exit code. */
int agent_run(const struct agent_config *config);

enum agent_outcome {
    AGENT_WITHOUT_CA =
        1 /* nothing says which control plane to believe; the text says what to give */
};

/* The two ends of agent_run(), for those who turn the loop themselves. config is borrowed. 0,
 * AGENT_WITHOUT_CA or negative. What agent_init() began is ended by agent_deinit(), also when it
 * failed. */
int agent_init(struct agent *agent, const struct agent_config *config);
void agent_deinit(struct agent *agent);
