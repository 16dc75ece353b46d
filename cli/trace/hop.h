/* The way of a packet, hop by hop: what the kernel would do, where a real packet was seen, and
 * where it died. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/json.h"
#include "lib/base/strbuf.h"

enum hop_state { HOP_FINE, HOP_BROKEN, HOP_UNKNOWN };

struct hop {
    const char *name; /* "route"; static */
    enum hop_state state;
    char *text; /* owned */
};

struct hops {
    struct hop *items;
    size_t count;
};
void hops_deinit(struct hops *hops);
/* Takes the text over. */
void hops_add(struct hops *hops, const char *name, enum hop_state state, char *text);

/* Where the packet was seen on this host, and what came back. */
enum point {
    POINT_VETH_OUT,    /* it left the container */
    POINT_OVERLAY_OUT, /* it entered the overlay's device: the kernel's path */
    POINT_WIRE_OUT,    /* it left the host, inside VXLAN */
    POINT_WIRE_IN,     /* its answer reached the host, inside VXLAN */
    POINT_OVERLAY_IN,  /* its answer came out of the overlay's device */
    POINT_COUNT
};

struct journey {
    bool was_sent;
    bool was_impossible; /* to send it; a hop is broken by that */
    bool is_local;       /* both ends are on this host */
    bool is_udp;         /* nobody has to answer */
    bool seen[POINT_COUNT];
    bool is_refused;                 /* an ICMP error about it came back over the wire */
    bool is_answered;                /* in the container */
    bool answers_vtep, answers_host; /* pings of the peer, through the overlay and past it */
};

/* The hop where it died; NULL: it arrived, or nothing was sent and nothing is broken. *ret_why is
 * in words, and owned by the caller. */
const char *journey_end(const struct journey *journey, const struct hops *hops, char **ret_why);

json_t *trace_to_json(const struct hops *hops, const struct journey *journey, const char *end,
                      const char *why);
void trace_print(const struct hops *hops, const struct journey *journey, const char *end,
                 const char *why, struct strbuf *out);
