/* What is known of the way to one peer, and whether anything of it answers. Pure: the time and the
 * sending are handed in.
 *
 *     way          asked of               answered by
 *     HOST_ECHO    its host IP, ICMP      the kernel
 *     VTEP_ECHO    its overlay address    the kernel, through the overlay
 *     HOST_UDP     its host IP, UDP       its agent
 *     VTEP_UDP     its overlay address    its agent, through the overlay
 *
 * A peer that is watched is asked every second by ICMP, and every fifth second by UDP, too; one
 * that is only measured, when its turn comes. When a watched one stays silent, it is asked ten
 * times a second in all four ways: it is lost when fifteen such rounds in a row have not been
 * answered by anything. What counts is rounds that were asked and not time that went by, so an
 * agent that is itself held up accuses nobody; and answers that wait to be read must be handed in
 * before probe_track_run(). Only a kernel that has answered before can be lost: where ICMP is
 * filtered, a stopped agent would look like a dead host. The largest packet is not looked for
 * before its agent has answered a small one.
 */
#pragma once

#include "agent/probe/ladder.h"
#include "agent/probe/ring.h"

enum probe_way {
    PROBE_HOST_ECHO,
    PROBE_VTEP_ECHO,
    PROBE_HOST_UDP,
    PROBE_VTEP_UDP,
    PROBE_WAY_COUNT
};
enum probe_path { PROBE_UNDERLAY, PROBE_OVERLAY, PROBE_PATH_COUNT };

/* ip_bytes 0: as small as can be. */
typedef void (*probe_send_fn)(void *data, enum probe_way way, uint32_t addr, uint64_t nonce,
                              uint32_t ip_bytes);

/* Now, by the clock of deadlines and by the finer one of round trips; and what may be done. */
struct probe_now {
    int64_t boot_ms;
    int64_t work_us;
    bool may_search;
};

struct probe_stats {
    int64_t last_us, min_us, mean_us; /* -1: no answer yet */
    uint64_t window;                  /* the latest attempts, a bit each: answered */
    unsigned int count;               /* of them; 64 at most */
};

#define PROBE_OPEN_MAX 64

struct probe_attempt {
    uint64_t nonce; /* 0: none */
    int64_t sent_ms, sent_us;
    enum probe_way way;
    uint32_t ip_bytes;
};

enum probe_state { PROBE_UNHEARD, PROBE_REACHED, PROBE_SILENT, PROBE_LOST };

struct probe_track {
    struct probe_target target;
    bool is_watched;
    int64_t due_ms;
    unsigned int turn;
    unsigned int rounds; /* asked since the latest answer, */
    int64_t first_ms;    /* the first of them, */
    int64_t latest_ms;   /* and the last */
    int64_t heard_ms;    /* the latest answer; 0: none yet */
    int64_t echo_ms;     /* the latest of a kernel */
    int64_t overlay_ms;  /* the latest through the overlay */
    bool is_lost;
    bool has_answered[PROBE_WAY_COUNT];
    struct probe_stats stats[PROBE_PATH_COUNT];
    struct ladder ladder;
    struct probe_attempt open[PROBE_OPEN_MAX];
    size_t next_open;
};

void probe_track_init(struct probe_track *track, const struct probe_target *target, bool is_watched,
                      int64_t due_ms);
/* Asks what is due. now.may_search: it may look for the largest packet that passes. */
void probe_track_run(struct probe_track *track, struct probe_now now, probe_send_fn send,
                     void *data);
/* An answer from addr. ip_bytes: how much of the request arrived. False: it answers nothing that
 * was asked. */
bool probe_track_answer(struct probe_track *track, uint32_t addr, uint64_t nonce, uint32_t ip_bytes,
                        struct probe_now now);

/* When probe_track_run() has something to do; INT64_MAX: when due_ms is set. */
int64_t probe_track_due_ms(const struct probe_track *track, bool may_search);
enum probe_state probe_track_state(const struct probe_track *track, int64_t now_ms);
/* Percent of the latest attempts; -1: none yet. */
int probe_stats_loss(const struct probe_stats *stats);
