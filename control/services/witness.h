/* What other nodes say of one that is silent, and what follows. Pure.
 *
 * A node that is dead has not been heard since, and its witnesses (the nodes that watch it closely)
 * have lost it. Who is not to be fooled by one that lies, that has trouble of its own, or by a cut
 * through the network, asks for more than one:
 *
 *     LOST      at least two witnesses, and more than half of all, have just said that they have
 *               lost it. Each of them is heard itself, and reaches most of the others that it
 *               watches. And the node has not been heard since: one that lives, and is cut off
 *               from them, finds them lost in the same moment and says so
 *     REACHED   more than half of all reach it through the overlay, at the address that only it
 *               has: it is alive, only its agent is not. (At its host IP somebody else may
 *               answer.)
 *     NOTHING   else; so LOST is out of reach for two nodes
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/api/probe.h"

#define WITNESSES_MAX 16

struct witness {
    char node_id[UUID_TEXT_SIZE];
    enum api_probe_state state;
    int64_t said_ms;      /* when it was told last */
    int64_t heard_ms;     /* when the witness has heard the node last, by our clock */
    bool is_overlay_open; /* the node's own address has just answered through the overlay */
    int64_t lost_ms;      /* when it said that it has lost it; 0: it has not */
};

/* About one node; zeroed: nobody. */
struct witnesses {
    struct witness *list; /* owned */
    size_t count;
};

/* How the witness itself is. */
struct witness_standing {
    bool is_heard; /* it counts as up, and its heartbeats come */
    size_t watched, reached;
};

enum witness_verdict { WITNESS_NOTHING, WITNESS_LOST, WITNESS_REACHED };

struct witness_case {
    int64_t last_beat_ms; /* of the node */
    int64_t fresh_ms;     /* what was told before does not count any more */
    int64_t awake_ms;     /* nor does a loss that was told before: we were held up */
    int64_t now_ms;
    /* False: there is no such node any more. */
    bool (*standing)(void *data, const char *node_id, struct witness_standing *ret_standing);
    void *data;
};

void witnesses_deinit(struct witnesses *witnesses);
/* The node `by` watches this one and says so; the one that was silent longest makes room. A loss
 * that was told before awake_ms counts from when it is told again after it. */
void witnesses_note(struct witnesses *witnesses, const char *by, const struct api_probe *says,
                    int64_t awake_ms, int64_t now_ms);
enum witness_verdict witnesses_judge(const struct witnesses *witnesses,
                                     const struct witness_case *facts);
