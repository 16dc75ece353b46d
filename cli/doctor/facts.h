/* All that the doctor knows when it judges. gather.h fills it, diagnose.h judges it; in between is
 * no I/O, so that each cause has a table of tests.
 */
#pragma once

#include "cli/report.h"
#include "lib/net/addr.h"
#include "lib/net/link.h"
#include "lib/net/neigh.h"
#include "lib/net/route.h"
#include "lib/net/rule.h"

#define FACTS_UNKNOWN (-1)

/* The same was sent so many times, and so many were answered. */
struct tries {
    unsigned int sent, answered;
};

/* How this host would send to a peer's host. */
struct way {
    bool is_known;
    int error; /* 0, or why there is none */
    int ifindex;
    uint32_t gateway;       /* 0: on link */
    bool has_hop;           /* the next hop is in the table of neighbours: */
    struct neigh_entry hop; /* as this; */
    bool is_hop_silent;     /* nobody answers for it */
};

/* What was tried to one peer. */
struct path {
    const char *hostname; /* borrowed from the agent's answer */
    uint32_t host_ip, vtep;
    int host_window_percent;    /* what the agent's latest probes of the host lost; */
    int overlay_window_percent; /* and those over the overlay. FACTS_UNKNOWN: it sent none */
    bool answers_ping;          /* over the overlay, to one small packet at least */
    bool is_examined;           /* the following were tried */
    struct tries overlay;       /* small pings */
    struct tries host;          /* of its host IP, past the overlay; when overlay lost some */
    bool is_heard;              /* VXLAN of it reached this host's device meanwhile */
    struct tries tcp;           /* over the overlay, as programs do it */
    struct tries summed;        /* with a checksum that was computed before it was sent; when no
                                   tcp was answered */
    struct way way;             /* when it does not answer */
    uint32_t mtu_bytes;         /* what the overlay promises */
    struct tries small, large;  /* pings side by side; large: as large as that */
    bool is_size_tried;         /* the following is known */
    uint32_t largest_bytes;     /* what came through, of what was tried; 0: nothing */
};

/* A packet that the mesh sends and the kernel would send elsewhere, or nowhere. */
struct stray {
    struct rule_question asked;
    struct rule_answer answer;
    bool is_underlay; /* VXLAN, to a peer's host; or what is inside the mesh */
};

/* What the kernel counts, that should stand still. */
struct counts {
    int64_t checksum_errors; /* UDP and TCP */
    int64_t reverse_path_drops;
};

struct disk {
    const char *path;
    int64_t free_bytes, size_bytes; /* FACTS_UNKNOWN: there is no such directory */
};
#define FACTS_DISKS 2

/* A daemon of ours on this host, and its open files. */
struct daemon_files {
    const char *program;
    int64_t pid; /* 0: it does not run here, or is not ours to look at */
    int64_t open, limit;
};
#define FACTS_DAEMONS 3

/* What could not be looked at, or tried. */
struct blind_spot {
    const char *what; /* "the firewall was not looked at"; static */
    char *reason;
};

/* Numbers are FACTS_UNKNOWN and texts NULL when they are not known. */
struct facts {
    int64_t now_s; /* Unix seconds */

    /* What the daemons say, borrowed. */
    const json_t *agent;
    const char *agent_error;
    const json_t *runtime;
    const char *runtime_error; /* NULL, too: it was not asked */
    const char *control_url;
    const char *control_error;
    bool is_control_ill;       /* it answered, and control_error is its word */
    bool is_control_untrusted; /* something answers that is not believed to be it */
    bool is_control_away;      /* nothing answers */
    bool is_control_refusing;  /* its host refuses: there it is not running, for anybody */
    bool is_control_unasked;
    const struct report_cert *cert;

    /* What the kernel has. */
    struct link_info *links;
    size_t link_count;
    struct addr_entry *addrs;
    size_t addr_count;
    bool has_addrs; /* they were looked at */
    struct route_entry *routes;
    size_t route_count;
    struct rule_entry *rules; /* in the kernel's order */
    size_t rule_count;
    struct stray *strays; /* looked for only where somebody has added rules */
    size_t stray_count;
    json_t *firewall; /* NULL: not looked at; every table but ours: nftables' objects as JSON */
    bool has_filters; /* our own table has rules; when the firewall was looked at */
    char *port_owner; /* the program that has UDP 4789 while our device has not */
    int64_t forwarding;
    bool is_overlay_deaf, is_underlay_deaf; /* what comes in by that device is not forwarded */
    int64_t rp_filter; /* the strictest of those that hold for the overlay and what is below */
    char *rp_filter_device;
    char *underlay_device, *underlay_driver; /* of the way to the first peer */
    int64_t conntrack_count, conntrack_max;
    int64_t neigh_count, neigh_max;
    bool has_bpffs;
    struct counts counts_before, counts_after;

    /* What lies on the disk. */
    char *forwarding_file; /* the file that switches forwarding off at boot */
    char *networkd_devices, *network_manager_devices; /* of ours, that they manage: "vxlan100" */
    bool has_nm_cloud_setup;
    struct disk disks[FACTS_DISKS];
    struct daemon_files daemons[FACTS_DAEMONS];

    /* What was tried. */
    bool passes_without_carrier; /* somebody else's host answers by another device, though the host
                                  * IP's has no carrier */
    struct path *paths;
    size_t path_count;

    struct blind_spot *blind_spots;
    size_t blind_count;
};
void facts_deinit(struct facts *facts);

/* Notes what could not be looked at, and why. what is static. */
void facts_add_blind_for(struct facts *facts, const char *what, const char *reason);
/* The reason is err_text(). */
void facts_add_blind(struct facts *facts, const char *what);
/* There is always one, lo: none means that they were not looked at. */
bool facts_has_links(const struct facts *facts);

/* The overlay's device; NULL when there is none. */
const struct link_info *facts_overlay(const struct facts *facts);
/* Whether it is ours and up. */
bool facts_overlay_is_up(const struct facts *facts);
/* NULL when there is none. */
const struct link_info *facts_link(const struct facts *facts, int ifindex);
/* What carries the overlay's packets. */
enum facts_underlay {
    UNDERLAY_WELL,
    UNDERLAY_UNKNOWN, /* not looked at, or nobody says which address it is */
    UNDERLAY_GONE,    /* the host IP is on no device */
    UNDERLAY_DOWN     /* its device is down, or has no carrier */
};
/* *ret_link: the device of the host IP, when it is well or down. */
enum facts_underlay facts_underlay(const struct facts *facts, const struct link_info **ret_link);
/* Nothing gets out of this host, whatever else may be wrong. */
bool facts_is_cut_off(const struct facts *facts);
/* Whether a device of this name is one of ours. */
bool facts_is_our_name(const char *name);
struct ip4_prefix facts_cluster(const struct facts *facts);
/* The agent is there for development only and touches nothing. */
bool facts_is_dry(const struct facts *facts);

/* The control plane takes nothing that this node has to show: to its peers it is down. */
bool facts_is_barred(const struct facts *facts);

/* Nothing can be concluded from one that was lost: these want every one of several. */
bool tries_all_pass(struct tries tries);
bool tries_all_fail(struct tries tries);

/* As ip(8) writes it before the destination, "blackhole "; "" for one that leads somewhere. */
const char *facts_route_kind(const struct route_entry *route);

/* A member's text; "" when it is none. */
const char *facts_text(const json_t *object, const char *key);
