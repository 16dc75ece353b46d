/* What probes have found out about the ways between nodes: as an agent tells it with its
 * heartbeats, and as the control plane shows it.
 *
 *     {"node_id":"...","watched":true,"state":"reached","underlay_us":310,"underlay_min_us":250,
 *      "underlay_loss":0,"overlay_us":350,"overlay_min_us":290,"overlay_loss":0,
 *      "largest_bytes":1500,"wanted_bytes":1500}
 */
#pragma once

#include "lib/base/json.h"
#include "lib/base/random.h"
#include "lib/base/strbuf.h"

/* In one heartbeat; more are an error. */
#define API_PROBES_MAX 64

/* Of the latest 64 packets: less is noise. */
#define API_PROBE_LOSS_PERCENT 5

/* Worst last. */
enum api_probe_state {
    API_PROBE_UNHEARD, /* it has not answered yet */
    API_PROBE_REACHED,
    API_PROBE_SILENT, /* the latest question is not answered, that is all */
    API_PROBE_LOST,   /* it has answered, and nothing of it does any more */
    API_PROBE_STATE_COUNT
};

/* "unheard", "reached", "silent", "lost". */
const char *api_probe_state_word(enum api_probe_state state);

/* The round trip, and how many percent of the packets got no answer; -1: not known. */
struct api_probe_path {
    int64_t mean_us, min_us, loss_percent;
};

struct api_probe {
    char node_id[UUID_TEXT_SIZE]; /* whom it is about */
    bool is_watched;              /* closely: its state is sure to be of now */
    enum api_probe_state state;
    int64_t silent_ms;         /* since its latest answer; -1: there was none */
    int64_t overlay_silent_ms; /* through the overlay */
    struct api_probe_path underlay, overlay;
    int64_t largest_bytes; /* the largest IP packet that gets through on the underlay; -1 */
    int64_t wanted_bytes;  /* the largest that is sent on it; -1 */
};

/* -EINVAL with a text. */
int api_probe_from_json(const json_t *object, struct api_probe *ret_probe);
/* Member "probes" of an object: none is none. -EINVAL with a text that names what is wrong.
 * ret_probes has room for API_PROBES_MAX. */
int api_probes_from_json(const json_t *object, struct api_probe *ret_probes, size_t *ret_count);
/* Appends one as an object. */
void api_probe_to_json(const struct api_probe *probe, struct strbuf *out);
