/* The other nodes, as the control plane tells them, and the doubt with which it is heard. Pure.
 *
 * What is said outright is done at once: a node that is `down`, a node-deleted event, a new or
 * changed node. What is only missing is not: a list that lacks more than half of the nodes that
 * were up (and more than two), or all of them, may come from a control plane that lost its memory.
 * The missing ones stay until a second list, a while later, lacks them too and no list between has
 * had them. A list of nobody but us proves nothing, however often it comes: then it takes
 * node-deleted events, other nodes, or an operator.
 */
#pragma once

#include "agent/overlay/want.h"
#include "lib/api/node.h"
#include "lib/base/hash.h"

/* Why a peer is, or is not, programmed. */
enum peer_verdict {
    PEER_WANTED,
    PEER_DOWN,
    PEER_SUBNET_SIZE,
    PEER_SUBNET_OUTSIDE,
    PEER_OUR_SUBNET,
    PEER_OUR_HOST_IP,
    PEER_HOST_IP_UNUSABLE,
    PEER_HOST_IP_INSIDE,
    PEER_SUBNET_TWICE,
    PEER_REPLACED, /* it is missing, and a node that was listed later has its subnet */
    PEER_VERDICT_COUNT
};

/* In words, for people; NULL for PEER_WANTED, PEER_DOWN and PEER_REPLACED, which are as they
 * should be. */
const char *peer_verdict_problem(enum peer_verdict verdict);

struct peer {
    struct api_node node;
    enum peer_verdict verdict;
    bool is_missing; /* from the latest list, and not believed yet */
    int64_t missing_since_ms;
    uint64_t list_serial;   /* the list that had it last */
    enum peer_verdict said; /* the verdict last logged: the owner's */
    uint32_t found_bytes; /* the largest packet found to get there, of less than should; 0: none */
    uint32_t said_bytes;  /* as last logged: the owner's */
    struct peer *next_claimant, *previous_claimant; /* of the same subnet */
    UT_hash_handle hh;
};

struct peers_claim;

/* Who we are: what peers are judged against. */
struct peers_self {
    char node_id[UUID_TEXT_SIZE]; /* "": not registered yet */
    uint32_t host_ip;
    struct ip4_prefix subnet;
    struct ip4_prefix cluster_cidr;
    uint8_t node_prefix_len;
};

struct peers {
    struct peer *by_id; /* in the order in which they were heard of first */
    struct peers_self self;
    struct peers_claim *claims; /* who claims which subnet */
    uint64_t list_serial;
    struct overlay_peer *wanted; /* owned; sorted by VTEP address */
    size_t wanted_count, wanted_size;
    bool is_replacing;    /* who is replaced has changed; cleared by its reader */
    bool has_news;        /* some verdicts are others than were said last */
    size_t missing_count; /* so many are kept though the latest list lacks them: that is doubt */
    bool is_alone;        /* the latest list has nobody but us */
    bool is_told;         /* since then it counts for something not to be among these */
};

void peers_deinit(struct peers *peers);
void peers_set_self(struct peers *peers, const struct peers_self *self);

/* A whole list (of now). confirm_ms: how much later a second list must come to confirm that a node
 * is missing. Each returns whether any peer was added, changed, removed, or judged otherwise. */
bool peers_take_list(struct peers *peers, const struct api_node *nodes, size_t count,
                     int64_t now_ms, int64_t confirm_ms);
/* The control plane says that its list is still the one of before (304). */
bool peers_take_same_list(struct peers *peers, int64_t now_ms, int64_t confirm_ms);
bool peers_take_node(struct peers *peers, const struct api_node *node);
bool peers_take_deleted(struct peers *peers, const char *node_id);
/* The largest packet that was found to get to its host (overlay_peer.found_bytes), until it has
 * another host. Whether that is news. */
bool peers_note_found(struct peers *peers, const char *node_id, uint32_t bytes);
/* Whether a list was told and, in all that it lacks, believed. Before, these are what was
 * remembered, and what is in force may be newer: nothing goes for not being among them. */
bool peers_are_told(const struct peers *peers);
/* An operator says that the latest list is right. */
bool peers_believe_list(struct peers *peers);

/* From when on a second list would be believed; INT64_MAX: none would, or none is needed. */
int64_t peers_confirm_at_ms(const struct peers *peers, int64_t confirm_ms);

size_t peers_count(const struct peers *peers);
/* NULL: there is no such node. */
const struct peer *peers_find(const struct peers *peers, const char *node_id);
/* The wanted one that has this subnet; NULL: there is none. */
const struct peer *peers_find_wanted(const struct peers *peers, uint32_t vtep);

/* What the overlay needs of the wanted ones, sorted by VTEP address. Caller frees. A change of one
 * node has cost what the claimants of its subnet cost. */
struct overlay_peer *peers_wanted(const struct peers *peers, size_t *ret_count);
