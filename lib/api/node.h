/* A node as the control plane's REST API shows it, and the cluster's facts: the words that control
 * plane, agent and quiltctl share. JSON in lib/api only; the rest of the code has these structs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/ip4.h"
#include "lib/base/json.h"
#include "lib/base/random.h"
#include "lib/base/strbuf.h"

#define HOSTNAME_TEXT_SIZE 254
#define NODE_TOKEN_TEXT_SIZE 65 /* 32 random bytes in hex, and the NUL */

struct api_node {
    char node_id[UUID_TEXT_SIZE];
    char hostname[HOSTNAME_TEXT_SIZE];
    uint32_t host_ip; /* host order */
    struct ip4_prefix subnet;
    int64_t cpu_cores; /* -1: null */
    int64_t ram_mb;    /* -1: null */
    bool is_up;
    int64_t registered_at;  /* Unix seconds */
    int64_t last_heartbeat; /* Unix seconds */
};

/* Reads one node; members it does not know are ignored. -EINVAL names the member. */
int api_node_from_json(const json_t *object, struct api_node *ret_node);
/* Appends the node's JSON object. ret_beat_offset (may be NULL) gets the place, from the start of
 * the object, of the ten digits of last_heartbeat, which a list writes anew without making the
 * rest. */
void api_node_to_json(const struct api_node *node, struct strbuf *out, size_t *ret_beat_offset);

/* {"nodes":[...]}: *ret_nodes is owned by the caller. */
int api_node_list_from_json(const json_t *value, struct api_node **ret_nodes, size_t *ret_count);

/* Which state of which cluster is spoken of. Revisions of different clusters have nothing to do
 * with each other; within one they only rise. */
struct api_origin {
    char cluster_id[UUID_TEXT_SIZE]; /* "": not told */
    uint64_t revision;               /* 0: not told */
};
/* With GET /api/nodes: the cluster that the client takes the control plane's to be. Another one
 * answers 409 instead of going on behind a revision that means nothing to it. */
#define API_CLUSTER_HEADER "Quilt-Cluster"
/* The `code` of the problem that says so, here and when registering. */
#define API_CODE_OTHER_CLUSTER "other_cluster"
/* Members cluster_id and revision, both optional. */
int api_origin_from_json(const json_t *object, struct api_origin *ret_origin);
/* Whether who knew `known` can believe who tells `told`: 0, or -ESTALE with a text: it is another
 * cluster, or an older state of the same one (a restored backup). Who does not say is believed. */
int api_origin_check(const struct api_origin *known, const struct api_origin *told);

/* What registering needs. */
struct api_register_request {
    const char *hostname; /* borrowed */
    uint32_t host_ip;
    int64_t cpu_cores;        /* -1: not given */
    int64_t ram_mb;           /* -1: not given */
    const char *node_id;      /* NULL: not given */
    const char *node_token;   /* NULL: not given */
    const char *new_token;    /* that it would have, if it is given one; NULL: not given */
    const char *instance_id;  /* of the process that asks, a UUID; NULL: not given */
    struct ip4_prefix subnet; /* that it had and would have again; len 0: not given */
    struct api_origin known;  /* the latest that it heard */
    int64_t generation;       /* its latest; -1: not given, by one that does not know of them */
};
/* Whether a node may propose this as its token: 64 lower-case hex digits, of which it is on its
 * honour to have drawn them by lot. */
bool api_is_new_token(const char *text);
/* -EINVAL with a text that names the field ("host_ip: missing"). Strings are borrowed from body. */
int api_register_request_from_json(const json_t *body, struct api_register_request *ret);
/* Caller frees. */
char *api_register_request_to_json(const struct api_register_request *request);

/* What the cluster has agreed on; told to agents when they register. */
struct api_cluster {
    struct ip4_prefix cidr;
    uint8_t node_prefix_len;
    uint32_t vni;
    uint16_t vxlan_port;
    int64_t heartbeat_ms;
    int64_t node_timeout_ms;
    int64_t peer_sync_ms;
};
/* VNI 100, port 4789, 10.42.0.0/16, /24, 10 s, 30 s, 5 s: also what an agent assumes of a control
 * plane that does not say. */
struct api_cluster api_cluster_default(void);
/* Whether containers can have the network's addresses: 0, or -EINVAL with a text. */
int api_cluster_check_cidr(struct ip4_prefix cidr);

struct api_register_reply {
    char node_id[UUID_TEXT_SIZE];
    struct ip4_prefix subnet;
    char node_token[NODE_TOKEN_TEXT_SIZE]; /* "": not given (only a new identity gets one) */
    struct api_cluster cluster;
    struct api_origin origin;
    int64_t generation; /* of this registration; 0: not given */
};
/* A first-release reply ({node_id, subnet} only) gets api_cluster_default(). A subnet that is not
 * of the node size, or outside the cluster's network, is refused, and a network nobody may have. */
int api_register_reply_from_json(const json_t *value, struct api_register_reply *ret);
char *api_register_reply_to_json(const struct api_register_reply *reply);

/* ---- heartbeats ---------------------------------------------------------------------------- */

#define AGENT_VERSION_TEXT_SIZE 32
/* The `code` of the problem that answers a heartbeat of an earlier registration. */
#define API_CODE_STALE_GENERATION "stale_generation"

/* What an agent says of itself; -1 and "": not said. */
struct api_heartbeat {
    int64_t generation;
    int64_t revision_applied; /* the kernel is as the cluster was at this revision, or later */
    int64_t peers, peers_wanted;
    int64_t load_percent; /* of one CPU, over a minute */
    char agent_version[AGENT_VERSION_TEXT_SIZE];
};
struct api_heartbeat api_heartbeat_empty(void);
/* -EINVAL with a text that names the field. */
int api_heartbeat_from_json(const json_t *body, struct api_heartbeat *ret);
/* Appends the members that are said, as an object. */
void api_heartbeat_to_json(const struct api_heartbeat *heartbeat, struct strbuf *out);

struct api_heartbeat_reply {
    uint64_t revision;
    int64_t server_time;        /* Unix seconds */
    struct api_cluster cluster; /* the intervals */
};
void api_heartbeat_reply_to_json(const struct api_heartbeat_reply *reply, struct strbuf *out);
/* Intervals that are not told stay as they are in *cluster. -EINVAL when they cannot be. */
int api_heartbeat_reply_take(const json_t *value, struct api_cluster *cluster);
