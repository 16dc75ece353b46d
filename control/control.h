/* The control plane as a whole: its parts in the order in which they start.
 *
 *        HTTP ──> api/ ──> operations ──> registry (plan)
 *                               │              ^
 *                               v              │ commit or abort
 *                          writer thread ──> operations ──> answer, events ──> watchers
 *                               │
 *                             store
 *
 * Reads and heartbeats are served from the registry; only changes go to the store.
 */
#pragma once

#include <limits.h>

#include "control/api/answer.h"
#include "control/api/backup.h"
#include "control/api/guard.h"
#include "control/api/health.h"
#include "control/api/metrics.h"
#include "control/api/routes.h"
#include "control/api/watch.h"
#include "control/ca_rotation.h"
#include "control/pki.h"
#include "control/services/barred.h"
#include "control/services/events.h"
#include "control/services/guesses.h"
#include "control/services/networks.h"
#include "control/services/pace.h"
#include "control/services/registry.h"
#include "control/services/tokens.h"
#include "control/store/writer.h"
#include "lib/base/clock.h"
#include "lib/base/daemon.h"

/* Who is said to be dead is looked at so often. */
#define SUSPICION_MS 100
/* Shorter timeouts would be shorter than the pauses of a busy machine. */
#define CONTROL_NODE_TIMEOUT_MIN_MS 300

struct control_config {
    uint32_t listen_addr; /* host order */
    uint16_t listen_port; /* 0: any */
    const char *db_path;
    struct cluster_options cluster;
    int64_t node_timeout_ms;
    struct pki_options pki;
    struct networks node_networks; /* whose addresses nodes have, wherever they come from */
};

struct control {
    struct control_config config;
    struct daemon daemon;
    struct store *store;
    struct cluster cluster;
    uint64_t cluster_revision;       /* of its record, as it was loaded */
    char founded_id[UUID_TEXT_SIZE]; /* of the cluster that this start would found; else empty */
    struct registry registry;
    struct tokens tokens;
    struct token_change *token_changes; /* under way */
    struct barred barred;               /* addresses that older tokens do not let in from */
    struct pki *pki;                    /* NULL: plain HTTP */
    bool wants_first_token;             /* one is to be made at this start */
    char *first_token;                  /* made at this start, and not told yet; NULL: none */
    struct ca_rotation rotation;        /* of the CA */
    struct guesses guesses;             /* wrong credentials */
    struct guesses told_denials;        /* that were logged */
    struct pace admin_pace;             /* of requests with the admin certificate */
    char hostname[HOST_NAME_MAX + 1];
    struct events events;
    struct writer *writer;
    struct health health;
    struct backup backup;
    struct watchers watchers;
    struct metrics metrics;
    struct http_body *list; /* the latest answer with all nodes; NULL: none yet */
    uint64_t list_edition;  /* of the registry, when it was made */
    struct beat_answer beat_answer;
    struct http_route routes[ROUTE_COUNT];
    struct visitor visitor; /* who makes the request that is being handled */
    struct http_server *server;
    struct loop_source *renewal;    /* looks whether certificates are due */
    bool is_renewal_failing;        /* the latest look could not make them; said once */
    struct loop_source *tick;       /* looks who is silent, and whose quarantine is over */
    struct loop_source *suspicion;  /* looks at those of whom others say that they are dead */
    struct loop_source *stop_grace; /* the time that the last answers have to get out */
    bool is_loaded;                 /* the registry is */
    bool is_stopping;
    bool was_doubting; /* at the latest look */
    bool is_full;      /* the latest change found no room in the store */
    bool is_exhausted; /* a new node has found no subnet, and there is none yet */
    size_t wishes;     /* changes that somebody waits for */
};

/* Runs until SIGTERM; returns the process's exit code. */
int control_run(const struct control_config *config);

/* The two ends of control_run(), for those who turn the loop themselves. What control_init() began
 * is ended by control_deinit(), also when it failed: STORE_DAMAGED, or negative. */
int control_init(struct control *control, const struct control_config *config);
void control_deinit(struct control *control);

/* What the store has said of a write; the log has it when its room ends, and when there is room
 * again. */
void control_note_room(struct control *control, int outcome);

/* Both clocks, now. */
static inline struct moment control_now(void)
{
    return (struct moment){.boot_ms = clock_boot_ms(), .unix_s = clock_unix_s()};
}
