/* All probes of this agent: whom, when, and what is told of it. The time and the sending are handed
 * in; prober.h does them.
 *
 * The watched are asked each in its own time; all others one after the other, at a bounded rate, so
 * that each has its turn once a minute, or less often when they are many.
 */
#pragma once

#include "agent/probe/track.h"
#include "lib/api/probe.h"

/* Not more than so many look for the largest packet that passes at a time. */
#define PROBES_SEARCHING_MAX 8
/* Not more than so many in one heartbeat. */
#define PROBES_TOLD_MAX 32

struct probes {
    struct probe_track *tracks; /* owned; the watched ones first */
    size_t count, watched_count;
    size_t target_count;  /* of which these are the nearest; kept by the owner meanwhile */
    size_t measured_next; /* whose turn it is */
    int64_t measure_ms;   /* when */
    size_t told_next;     /* with the next heartbeat, besides the watched ones */
    size_t run_first;     /* who is first when one more may search */
    bool has_sizes; /* what is known of the largest packets is another; the owner's to clear */
    uint64_t sent, answered, unexpected;
};

void probes_deinit(struct probes *probes);

/* Who is to be probed from now on: the nearest of them. What is known of those that stay is kept.
 * Sorts targets. */
void probes_set_targets(struct probes *probes, struct probe_target *targets, size_t count,
                        int64_t now_ms);

/* Whether they stay the same though this target has come, changed, or (UINT64_MAX away) gone. */
bool probes_is_far(const struct probes *probes, const struct probe_target *target);

/* Asks what is due, and says when there will be more. Answers that wait must be handed in before.
 */
int64_t probes_run(struct probes *probes, struct probe_now now, probe_send_fn send, void *data);
/* When there is something to ask; INT64_MAX: never. */
int64_t probes_due_ms(const struct probes *probes);
/* As probe_track_answer(). */
void probes_take_answer(struct probes *probes, uint32_t addr, uint64_t nonce, uint32_t ip_bytes,
                        struct probe_now now);
/* NULL: it is not probed. */
const struct probe_track *probes_find(const struct probes *probes, const char *node_id);

/* How many are lost. */
size_t probes_count_lost(const struct probes *probes);
/* What is known of one. */
struct api_probe probes_describe(const struct probe_track *track, int64_t now_ms);
/* Appends what goes with a heartbeat as a member, or nothing. */
void probes_tell(struct probes *probes, int64_t now_ms, struct strbuf *out);
