/* A whole mesh in one process: the real control plane and the real agents, on a clock that moves
 * when it is told, over a network, a disk and kernels that are simulated.
 *
 *     nemesis ──> crashes, cut links, full disks, clocks set back ...
 *        │
 *     ┌──v───────────────────────── engine: one queue of events ─────────────────────────────┐
 *     │ control plane ── network.c ── agents          loop, clocks, random, log: place.c      │
 *     │       │                          ├── kernel.c (device, entries, runtime's routes)     │
 *     │  disk.c (store)               disk.c (state file)                                     │
 *     └──────────────────────────────────────────────────────────────────────────────────────┘
 *        │ after every step
 *     oracle ──> what must never be
 *
 * The daemons are linked as they are; what they call at their rim (lib/base/loop.h, clock.h,
 * random.h, lib/http/client.h and server.h, the store's file and thread, netlink, the runtime) is
 * defined here instead. All chance comes from one seed, so a seed is a run, byte for byte.
 */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "control/control.h"
#include "lib/base/mem.h"
#include "tests/sim/mutation.h"

#define SIM_MS INT64_C(1000)
#define SIM_S INT64_C(1000000)

/* ---- engine: time, chance and the queue of events (engine.c) ------------------------------- */

typedef void (*sim_fn)(void *data);

/* Who goes first among events of the same time. */
enum sim_rank { SIM_FIRST, SIM_MESSAGE, SIM_TIMER, SIM_LATER };

struct process;

struct sim_event {
    int64_t at_us;
    enum sim_rank rank;
    uint64_t number;
    size_t place; /* in the queue */
    sim_fn fn;
    void *data;
    struct process *process; /* whose doing it is: waits while that is stalled. NULL: nobody's */
};

struct sim_event *sim_at(int64_t at_us, enum sim_rank rank, struct process *process, sim_fn fn,
                         void *data);
struct sim_event *sim_in(int64_t delay_us, enum sim_rank rank, struct process *process, sim_fn fn,
                         void *data);
/* NULL is fine. Not from within its own call. */
void sim_cancel(struct sim_event *event);

uint64_t sim_random(void);
/* Evenly from low to high, both included. */
int64_t sim_between(int64_t low, int64_t high);
/* True in so many of a hundred cases. */
bool sim_percent(unsigned int percent);

/* ---- processes and hosts (place.c) --------------------------------------------------------- */

enum { WAY_TO_SERVER, WAY_TO_CLIENT, WAY_COUNT };

struct process {
    struct host *host;
    bool is_running;
    bool is_crashing; /* it ends without a word: nothing that it still says counts */
    bool wants_exit;
    int exit_code;
    int64_t stalled_until_us;
    struct daemon *daemon;
};

/* A machine: a clock that counts from its boot, one that anybody may set, a disk, a link. */
struct host {
    size_t index; /* 0: the control plane's */
    char name[32];
    uint32_t ip;
    int64_t boot_offset_ms;
    int64_t wall_offset_s;
    struct process process;
    int64_t delay_us; /* one way */
    bool is_cut[WAY_COUNT];
    int64_t cut_until_us;
    bool is_cut_from_peers; /* too, and not only from the control plane */

    /* An agent's. */
    struct agent agent;
    struct agent_config config;
    char *state_text;    /* what the state file holds; NULL: there is none */
    char *state_changes; /* and its journal: records, each on a line; NULL: none */
    struct kernel *kernel;
    char last_id[UUID_TEXT_SIZE];  /* of its node, when its agent ended */
    char keeps_id[UUID_TEXT_SIZE]; /* "": none. It has this in its state file and must stay it */
    bool is_gone;                  /* for good */
    int64_t busy_until_us;         /* the gentle nemesis leaves it alone so long */
    int64_t lie_until_us;          /* it has been lied to a moment ago */
    bool is_lie_due;
    struct sim_event *restart; /* of its agent */
};

/* What a seed is about (nemesis.c). */
enum sim_story { STORY_CHAOS, STORY_GENTLE, STORY_MASS, STORY_SINGLE };

struct sim_config {
    uint64_t seed;
    enum mutation mutation;
    bool is_tracing;
    unsigned int nodes; /* 0: the seed says */
};

struct sim {
    struct sim_config config;
    int64_t now_us;
    uint64_t random[4];
    uint64_t events_run;
    uint64_t events_in_a_row; /* within a second from row_us on */
    int64_t row_us;
    uint64_t digest; /* of all that happened */
    struct sim_event **queue;
    size_t queue_count, queue_size;
    uint64_t next_number;

    struct host *hosts; /* [0] is the control plane's; the one behind the last is a twin's */
    size_t host_count;
    struct process *current; /* whose code runs; NULL: the simulation's own */

    struct control control;
    struct control_config control_config;
    struct sim_event *control_restart;
    struct sim_event *twin_end; /* NULL: there is none */
    struct disk *disk;
    struct network *network;
    struct oracle *oracle;
    enum sim_story story;
    bool has_probes; /* agents can probe each other: they are many packets, so not always */
    struct sim_event *supervisor;
    uint32_t next_ip; /* that no host has had */

    char *violation; /* owned; NULL: all is well */
};

extern struct sim sim;

static inline struct host *sim_control_host(void)
{
    return &sim.hosts[0];
}

/* Runs events until then, or until something is broken. */
void sim_run_until(int64_t at_us);

/* A fact for whoever reads the trace. */
void sim_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Something that must never be has happened; the first one counts. */
void sim_violate(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void control_start(void);
/* Ends the process between two of its steps: kill -9 when is_crash, else as SIGTERM does. */
void control_end(bool is_crash);
void agent_start(struct host *host);
void agent_end(struct host *host, bool is_crash);
/* quiltctl node accept-cluster; whether there was anything to accept. */
bool agent_accept(struct host *host);
/* SIGTERM: it ends by itself, in its own time. */
void process_stop(struct process *process);
void process_stall(struct process *process, int64_t for_us);
/* Loses what is not on a disk: kernel and uptime. */
void host_reboot(struct host *host);
/* The node it is, or was when its agent ended; "": none. */
const char *host_node_id(const struct host *host);

/* ---- disks (disk.c) ------------------------------------------------------------------------ */

void disk_init(void);
void disk_deinit(void);
void disk_set_full(bool is_full);
bool disk_is_full(void);
void disk_set_delay(int64_t low_us, int64_t high_us);
/* The next commit fails, and nobody knows what became of it. */
void disk_break_once(void);

/* ---- the network (network_client.c, network_server.c, network_stream.c) ---------------------- */

struct network_faults {
    unsigned int loss;     /* percent of requests whose answer never comes, done or not */
    unsigned int doubling; /* percent of requests that arrive twice */
    unsigned int slow;     /* percent of messages that take up to slow_us longer */
    int64_t slow_us;
};

void network_init(void);
void network_deinit(void);
void network_set_faults(const struct network_faults *faults);
/* A request of an operator, whose answer nobody waits for. body: NULL: none. */
void network_ask(const char *method, const char *target, const char *body);
/* Connections of this host break that have a stream on them. */
void network_break_streams(const struct host *host);
/* The control plane's process has ended. */
void network_server_died(void);

/* ---- kernels and runtimes (kernel.c) ------------------------------------------------------- */

struct kernel {
    struct overlay_have have;
    uint64_t writes;
    bool is_runtime_away;
};

struct kernel *kernel_new(void);
void kernel_free(struct kernel *kernel);
/* Everything is gone, as after a reboot. */
void kernel_clear(struct kernel *kernel);
/* The host this kernel's user runs on now. */
struct host *sim_agent_host(void);

/* ---- what must never be (oracle*.c) -------------------------------------------------------- */

void oracle_init(void);
void oracle_deinit(void);
/* After every event. */
void oracle_step(void);
/* A change set is durable. */
void oracle_stored(const struct store_change *change);
/* The control plane has read a request, and has answered one. */
void oracle_handled(const char *method, const char *target, const char *request);
void oracle_answered(const char *method, const char *target, const char *request,
                     unsigned int status, const char *body);
/* Packets for this network may go to this host, for all that an agent can know. */
void oracle_note_pair(uint32_t network, uint32_t host_ip);
void oracle_control_started(void);
void oracle_control_stalled(int64_t for_us);
/* The control plane is about to mark this node down. */
void oracle_judged_down(const struct node *node);
void oracle_kernel_write(struct host *host, const struct overlay_change *change);
/* Until this is called again nothing may change: no status, no kernel. */
void oracle_expect_silence(bool is_silent);
/* Whether every agent has what it needs; else why not is said in ret_why (owned by the caller). */
bool oracle_is_converged(char **ret_why);
/* The ids that the store has, for the nemesis: the index-th node, or NULL. */
const char *oracle_node_id(size_t index, bool *ret_is_up);
size_t oracle_node_count(void);

/* ---- and of who is who (oracle_identity.c) -------------------------------------------------- */

void oracle_identity_stored(const struct node_facts *facts, uint64_t revision);
void oracle_identity_deleted(const char *id);
/* instance_id: that the request told; NULL: none. */
void oracle_identity_answered(const char *instance_id, const struct api_register_reply *reply);
/* The node that has this token since this revision or an earlier one, or "". */
const char *oracle_token_owner(const char *token, uint64_t revision);
void oracle_identity_deinit(void);

/* ---- and of which process is which node (oracle_twin.c) -------------------------------------- */

void oracle_agent_born(const struct host *host);
/* Whether the process may be the node from now on, as the control plane has judged it. */
void oracle_judged_suitor(const struct node *node, const char *instance_id,
                          enum registry_outcome outcome);
void oracle_twin_deinit(void);

/* ---- what goes wrong (nemesis.c) ----------------------------------------------------------- */

/* Makes the hosts, starts everything, and plays the whole story of this seed. */
void nemesis_play(void);
void nemesis_deinit(void);
/* A list that is not true (lies.c), for an agent that is to be lied to; caller frees. */
char *nemesis_lie(struct host *host);
