/* Keeps the kernel as the state wants it: want, have, difference, apply.
 *
 * An event never makes anything be done, it only says "look again" (reconcile_ask). A look loads
 * what the kernel has, compares, and writes the difference: at start, after a restart, after a
 * missed event, after damage by hand or a crash between two writes, it is the same path. It runs a
 * few milliseconds after the first event, all that come meanwhile share it, and every 30 s whatever
 * happened. With nothing changed nothing is written.
 */
#pragma once

#include "lib/net/nft_known.h"
#include "runtime/firewall.h"
#include "runtime/guard.h"
#include "runtime/kernel.h"
#include "runtime/members.h"
#include "runtime/peers.h"
#include "runtime/state.h"
#include "runtime/view.h"

#define RECONCILE_SWEEP_MS 30000
#define RECONCILE_SOON_MS 2  /* after the first event... */
#define RECONCILE_BUSY_MS 20 /* ...and when the last look was just before */
#define RECONCILE_MTU_DEFAULT 1450

enum reconcile_look {
    LOOK_NET = 1 << 0,      /* devices, endpoints, routes */
    LOOK_MEMBERS = 1 << 1,  /* who is in the firewall's sets: what events have told */
    LOOK_FIREWALL = 1 << 2, /* all of the firewall, as far as any of it may have changed */
    LOOK_SYSCTL = 1 << 3,
    LOOK_ALL = (1 << 4) - 1
};

struct nl_monitor;
struct change_monitor;
struct pins_watch;

struct reconcile {
    struct kernel *kernel; /* borrowed */
    struct state *state;   /* borrowed; only mtu_bytes is changed here */
    loop_fn changed_fn;    /* the state is to be stored */
    void *changed_data;
    struct guard guard;
    struct loop_source *soon;
    struct loop_source *sweep;
    struct nl_monitor *monitor;
    struct change_monitor *nft_monitor, *xfrm_monitor;
    struct pins_watch *pins;
    unsigned int pending; /* looks asked for */
    int64_t due_ms;       /* when soon fires; meaningful while it is armed */
    int64_t last_run_ms;
    bool has_run;        /* the first look is done */
    size_t said;         /* objects that the present look has written */
    bool is_off;         /* the node has left: nothing is wanted until it comes back */
    int overlay_ifindex; /* 0: there is none */
    uint32_t mtu_bytes;  /* what endpoints get */
    struct firewall_policy policy;
    struct members members; /* of the firewall's sets */
    struct peers peers;
    bool are_peers_known; /* every forwarding entry of the overlay has been told of */
    struct member_list endpoints, devices, hops; /* among the members */
    bool can_short_cut;         /* the kernel, and the operator wants it; runtime/short_cut.h */
    bool has_short_cut;         /* and no policy of IPsec asks for the long way */
    char *short_cut_refusal;    /* owned; why the kernel cannot; NULL: it can, or was not asked */
    const char *no_short_cut;   /* why there is to be none; NULL: there is to be one */
    bool is_short_cut_shut;     /* for its table cannot be kept right */
    struct ip4_prefix *refused; /* routes that the kernel did not take, sorted */
    size_t refused_count;
    bool is_firewall_known; /* the table is there, with the members that were last written */
    bool is_frames_known;   /* likewise the table of frames */
    bool are_chains_known;  /* and its chains are on the devices of endpoints that are there */
    struct nft_known nft;   /* the first was right, and nobody has changed it since */
    uint64_t repairs[KERNEL_OBJECT_COUNT];
};

int reconcile_init(struct reconcile *rc, struct loop *loop, struct kernel *kernel,
                   struct state *state, const struct firewall_policy *policy, loop_fn changed_fn,
                   void *changed_data);
void reconcile_deinit(struct reconcile *rc);

/* Soon. */
void reconcile_ask(struct reconcile *rc, unsigned int look);
/* Now. What cannot be made right is remembered in the guard and tried again. */
void reconcile_run(struct reconcile *rc, unsigned int look);

/* What the tables are to be; caller frees spec.peers. And without who is in their sets: quick. */
struct firewall_spec reconcile_spec(const struct reconcile *rc);
struct firewall_spec reconcile_spec_of_rules(const struct reconcile *rc);
/* Whether the kernel can do the short cut, and the operator wants it; and whether it is there now.
 */
bool reconcile_can_short_cut(struct reconcile *rc);
void reconcile_judge_short_cut(struct reconcile *rc);
/* Why there is none, in words; NULL: there is one. */
const char *reconcile_why_no_short_cut(const struct reconcile *rc);

/* What a look consists of, each in a file of its own. */
void reconcile_net(struct reconcile *rc, const struct view *view, int64_t now_ms);
void reconcile_firewall(struct reconcile *rc, bool is_whole, int64_t now_ms);
void reconcile_frames(struct reconcile *rc, bool is_whole, int64_t now_ms);
void reconcile_sysctls(struct reconcile *rc, int64_t now_ms);

/* A repair of the object under this key ended with r: counts, remembers, logs. r > 0 is an outcome
 * that is no failure. */
void reconcile_note(struct reconcile *rc, enum kernel_object object, const char *key, int r,
                    int64_t now_ms);

/* A forwarding entry of the overlay came, changed or went. */
void reconcile_peer_event(struct reconcile *rc, const struct nl_event *event);
/* Around transactions of our own, which are no reason to look at the firewall. */
void reconcile_begin_write(struct reconcile *rc);
void reconcile_end_write(struct reconcile *rc, int transactions);
/* Whether nftables are as they were when the firewall was right. */
bool reconcile_firewall_is_current(struct reconcile *rc);

/* The kernel's firewall made right now; 0 or negative, for requests that depend on it. */
int reconcile_firewall_now(struct reconcile *rc);
/* The endpoints of the state may send, from now on and no others; likewise. Quick when they are the
 * same as before. */
int reconcile_admit(struct reconcile *rc);
/* What the firewall has on the device of an endpoint, which has just been made. */
int reconcile_door(struct reconcile *rc, uint32_t addr);
/* Which devices lead to the endpoints; and that of one which has just been made. */
void reconcile_follow_devices(struct reconcile *rc, const struct view *view);
int reconcile_put_device(struct reconcile *rc, uint32_t addr);
void reconcile_firewall_deinit(struct reconcile *rc);
