/* The nodes of the cluster: who is who, who has which subnet, who is up. Pure: time, fresh
 * identities and the store are handed in.
 *
 * A change goes in three steps, so that nothing is shown, promised or given out that is not stored:
 *
 *     plan  ──> registry_change: what to write ──> the store ──> registry_commit: now it is so
 *                                                           └──> registry_abort:  it never was
 *
 * While a change is under way its nodes, its subnet and its address belong to it; whoever wants to
 * plan for one of them gets REGISTRY_WAIT and plans anew after it. So there is never a decision
 * that rests on something undecided.
 *
 * Who is it that registers?
 *
 *     one who knows another cluster_id, or a
 *     later revision than there has been       nobody: REGISTRY_FOREIGN
 *     node_id and its node_token               that node, wherever it comes from
 *     the new_token of a node                  that node, wherever it comes from: it has missed the
 *                                              answer that told it (the token is told again)
 *     node_id and another token                nobody: REGISTRY_CONFLICT; but that node, with a new
 *                                              token, when it is down and holds the address
 *     else, the address is held by a node
 *         that is down                         that node, with a new token
 *         that is up, of the same hostname     that node (no token in the answer)
 *         that is up, of another hostname      REGISTRY_CONFLICT: a live node is not robbed
 *     else                                     a new node, with the subnet that is reserved for it,
 *                                              else the one it wishes for if that is free, else the
 *                                              lowest free one
 *
 * That is for plain HTTP, where an address has to be believed. A visit that is guarded needs more:
 * it is the node that it has proved to be (by certificate or token); to be a new node, or one that
 * is down and whose address it comes from, it must be admitted; an address that a live node holds
 * proves nothing, and that of one that is down is for who comes from there. A name that another
 * node has, up or down, is REGISTRY_CONFLICT for it, unless it had the name already.
 *
 * A new token is the new_token that was proposed, or a fresh one; no two nodes have the same.
 *
 * Each registration begins a generation, and makes the heartbeats of earlier ones stale, except
 * those of the process (instance_id) that has registered last: it is only heard again.
 * First-release clients, which know of neither, begin none.
 *
 * Another process that would be the node, in a registration that was sent before the node's latest
 * change, is REGISTRY_STALE: a late copy, or somebody who says so again with what it is told then.
 * One that runs where the latest one ran has it at once: it holds the lock that that one held. One
 * from elsewhere may be what came after that one's end, or its copy beside it (a cloned machine):
 * while the node is up it is REGISTRY_TWIN, until the node has been silent for two thirds of the
 * timeout; and if the node has been heard since the other has asked, until it is down. One that was
 * let in and could not be stored is let in again, unless the node has been heard since.
 *
 * A subnet that is reserved for a host, by its name or its address, is for a new node of that host
 * and for nobody else. While it rests in quarantine that node gets REGISTRY_EXHAUSTED rather than
 * another subnet, which it would keep for good.
 *
 * An address is held by one node: the one that registered with it last. A node that comes to an
 * address whose holder is up gets REGISTRY_CONFLICT; a holder that is down loses the address and
 * keeps the rest: it must register again (with its token) before its heartbeats count.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "control/services/cluster.h"
#include "control/services/node.h"
#include "control/services/pool.h"
#include "control/store/store.h"
#include "lib/api/reservation.h"

#define LEASE_KIND "lease"
#define RESERVATION_KIND "reservation"

enum registry_outcome {
    REGISTRY_READY = 0, /* it is so already; nothing to store */
    REGISTRY_CHANGE,    /* to be stored: *ret_change */
    REGISTRY_WAIT,      /* *ret_change is under way; plan anew after it */
    REGISTRY_UNKNOWN,   /* no such node */
    REGISTRY_LEFT,      /* the node must register again */
    REGISTRY_CONFLICT,  /* of an address or a name; the text (err_text) says with whom */
    REGISTRY_EXHAUSTED, /* no subnet is free; the text has the counts */
    REGISTRY_STALE,     /* a heartbeat of an earlier registration, or one that was sent before the
                         * latest: somebody has registered since */
    REGISTRY_TWIN,      /* somebody else is this node; the text says who */
    REGISTRY_FOREIGN, /* the node knows another cluster, or more of this one; the text says what */
    REGISTRY_UNADMITTED, /* only who has a token to become a node with could be this one */
    REGISTRY_MISPLACED,  /* the address it names is not where it comes from */
    REGISTRY_INVALID,    /* what is asked for cannot be; the text names the field */
    REGISTRY_UNRESERVED  /* nothing is reserved for this host */
};

/* Now, by both clocks. */
struct moment {
    int64_t boot_ms;
    int64_t unix_s;
};

/* What there is with a registration besides what it says. Zeros: plain HTTP, and no key. */
struct registry_visit {
    char node_id[UUID_TEXT_SIZE]; /* what a new node would be given */
    char token[NODE_TOKEN_TEXT_SIZE];
    char key_sha256[SHA256_HEX_SIZE]; /* of the key that it wants a certificate for; "": none */

    /* Whoever can reach the API has no say by that alone: */
    bool is_guarded;
    char proven_id[UUID_TEXT_SIZE]; /* the node it has proved to be; "": none */
    char proof[SHA256_HEX_SIZE];    /* by the token or key of this digest, which must still be so
                                     * when it is planned: it may have been revoked meanwhile */
    bool is_admitted;               /* it has a token to become a node with */
    uint32_t client;                /* the address it comes from */
    bool is_address_vouched_for;    /* the one it names is believed wherever it comes from */
};

/* What a registration is answered with, once it is stored. */
struct registry_grant {
    char node_id[UUID_TEXT_SIZE];
    struct ip4_prefix subnet;
    char token[NODE_TOKEN_TEXT_SIZE]; /* "": none minted */
    int64_t generation;
    bool was_admitted; /* it rests on the token to become a node with */
    int64_t wait_ms;   /* REGISTRY_TWIN: so long until the other's silence proves that it has ended;
                        * 0: it is alive, that is proved */
};

enum registry_change_type {
    REGISTRY_ADD,     /* node is new; in the tables only after the commit */
    REGISTRY_UPDATE,  /* node gets the facts in next */
    REGISTRY_DELETE,  /* node goes, its subnet to quarantine */
    REGISTRY_RELEASE, /* the quarantine of subnet_index ends; no node */
    REGISTRY_RESERVE, /* reservation; it is in the tables, and in flight, from the plan on */
    REGISTRY_UNRESERVE
};

/* A subnet that is set aside for a host. */
struct reservation {
    struct api_reservation facts;
    uint32_t subnet_index;
    uint64_t revision;              /* of its record; 0: not stored yet */
    struct registry_change *change; /* in flight; NULL: none */
    UT_hash_handle by_host;
    struct reservation *prev, *next;
};

/* A change that is planned and not yet committed or aborted. */
struct registry_change {
    enum registry_change_type type;
    struct store_change set; /* what to write */
    struct node *node;
    struct node_facts next;          /* update: what it will be */
    struct node *loser;              /* add, update: who loses the address; NULL: nobody */
    struct reservation *reservation; /* reserve, unreserve */
    uint32_t subnet_index;
    struct moment planned_at;
    uint32_t address;                   /* add, update: the address it is about */
    char token_sha256[SHA256_HEX_SIZE]; /* add, update: of the new token; "": none */
    void *owner;                        /* the caller's */
    UT_hash_handle by_address;
    UT_hash_handle by_token;
    struct registry_change *prev, *next_change;
};

/* Somebody says that this node is dead. */
struct suspect {
    char node_id[UUID_TEXT_SIZE]; /* "": nobody */
    int64_t until_ms;             /* so long it is looked at */
};
#define SUSPECTS_MAX 16

struct registry {
    char cluster_id[UUID_TEXT_SIZE];
    struct pool pool;
    struct monitor monitor;
    int64_t quarantine_ms;
    uint64_t revision; /* of the latest commit */
    uint64_t edition;  /* raised whenever the list as text changes, by beats too */
    struct node *by_id;
    struct node *by_address; /* those that hold theirs */
    struct node *by_token;   /* by the digest */
    struct node *first;      /* in the order of registration */
    size_t count;
    size_t up_count;
    size_t unknown_count;             /* of those that are up */
    struct reservation *by_host;      /* by its facts' host, */
    struct reservation *reservations; /* and in the order of their making */
    struct suspect suspects[SUSPECTS_MAX];
    int64_t witnesses_awake_ms; /* what is told since then is of now */
    int64_t haste_since_ms;     /* so many went down since then for what others say: */
    size_t haste_count;
    struct registry_change *changes; /* all under way */
    struct registry_change *claims;  /* those with an address, by it */
    struct registry_change *minting; /* those with a new token, by its digest */
};

/* A subnet stays in quarantine for two timeouts (a minute of the default ones) and until every live
 * node has said that it has applied the deletion, but for no more than 120 (an hour). A node that
 * never says what it has applied, as the first release's, is not waited for: it polls far more
 * often than that. */
void registry_init(struct registry *registry, const struct cluster *cluster,
                   int64_t node_timeout_ms);
/* Also of the changes under way; the store must have let go of them. */
void registry_deinit(struct registry *registry);

/* A stored record, at start; other kinds than node, lease and reservation are not its own. 0, or
 * STORE_DAMAGED with a text. Everybody who was up gets a full timeout from now on and is unknown
 * until it is heard; quarantines begin anew. */
int registry_load(struct registry *registry, const struct store_record *record, struct moment now);
/* After the last record. STORE_DAMAGED when nodes and leases do not match. */
int registry_loaded(struct registry *registry, uint64_t revision);

struct node *registry_find(const struct registry *registry, const char *node_id);
/* The node whose token has this digest, or NULL; nobody's is "". */
struct node *registry_find_token(const struct registry *registry, const char *token_sha256);

/* {"nodes":[...],"cluster_id":...,"revision":N}, nodes in the order of registration. */
void registry_list_to_json(const struct registry *registry, struct strbuf *out);
/* Such an object's members, each with a comma behind it but the last. */
void registry_add_nodes(const struct registry *registry, struct strbuf *out);
void registry_add_reservations(const struct registry *registry, struct strbuf *out);
void registry_add_origin(const struct registry *registry, struct strbuf *out);

/* Plans. ret_change is written for REGISTRY_CHANGE and REGISTRY_WAIT. */
enum registry_outcome registry_plan_register(struct registry *registry,
                                             const struct api_register_request *request,
                                             const struct registry_visit *visit, struct moment now,
                                             struct registry_change **ret_change,
                                             struct registry_grant *ret_grant);
enum registry_outcome registry_plan_deregister(struct registry *registry, const char *node_id,
                                               struct moment now,
                                               struct registry_change **ret_change);
enum registry_outcome registry_plan_delete(struct registry *registry, const char *node_id,
                                           struct moment now, struct registry_change **ret_change);
/* Nobody is the node any more by what it has had until now: its token and its key are forgotten. It
 * is down, and must register again. */
enum registry_outcome registry_plan_revoke(struct registry *registry, const char *node_id,
                                           struct moment now, struct registry_change **ret_change);
/* Down for its silence. REGISTRY_READY when it is down, REGISTRY_WAIT when it is in a change. */
enum registry_outcome registry_plan_down(struct registry *registry, struct node *node,
                                         struct moment now, struct registry_change **ret_change);
/* A subnet whose quarantine is over, or REGISTRY_READY. */
enum registry_outcome registry_plan_release(struct registry *registry, struct moment now,
                                            struct registry_change **ret_change);

/* wish: host and subnet. REGISTRY_READY when it is reserved for this host already,
 * REGISTRY_INVALID when it is no subnet that is ever handed out, REGISTRY_CONFLICT when it is in
 * use by or reserved for another, or the host has another one. */
enum registry_outcome registry_plan_reserve(struct registry *registry,
                                            const struct api_reservation *wish, struct moment now,
                                            struct registry_change **ret_change);
enum registry_outcome registry_plan_unreserve(struct registry *registry, const char *host,
                                              struct moment now,
                                              struct registry_change **ret_change);
/* host: as api_reservation_host() writes it. NULL: none; one with revision 0 is not stored yet. */
struct reservation *registry_find_reservation(const struct registry *registry, const char *host);
/* {"reservations":[...],"cluster_id":...,"revision":N}, in the order of their making. */
void registry_reservations_to_json(const struct registry *registry, struct strbuf *out);

/* What comes with a sign of life: REGISTRY_READY, noted; or REGISTRY_STALE, to be heard no further.
 */
enum registry_outcome registry_note_report(struct node *node, const struct api_heartbeat *report);
/* A sign of life. Heard at once; REGISTRY_CHANGE when the node was down and is to be up. Never
 * REGISTRY_WAIT. */
enum registry_outcome registry_heartbeat(struct registry *registry, struct node *node,
                                         struct moment now, struct registry_change **ret_change);
/* Those that are silent are unknown from now on, until they are heard or down: for a control plane
 * that doubts. */
void registry_mark_unknown(struct registry *registry, struct moment now);
/* Up again, for a node that was heard while it was being marked down; else REGISTRY_READY. */
enum registry_outcome registry_plan_up_again(struct registry *registry, struct node *node,
                                             const struct registry_change *down, struct moment now,
                                             struct registry_change **ret_change);

/* The change is stored (set.revision): it takes effect. It stays the caller's, with its node (of a
 * deleted one, too), until registry_change_free(). */
void registry_commit(struct registry *registry, struct registry_change *change, struct moment now);
/* The change is not stored: as if it had never been planned. */
void registry_abort(struct registry *registry, struct registry_change *change, struct moment now);
/* After one of the two. */
void registry_change_free(struct registry_change *change);
