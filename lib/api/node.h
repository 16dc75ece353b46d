/* A node as the control plane's REST API shows it: the words that control plane, agent and quiltctl
 * share. JSON in lib/api only; the rest of the code has these structs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/ip4.h"
#include "lib/base/json.h"
#include "lib/base/random.h"
#include "lib/base/strbuf.h"

#define HOSTNAME_TEXT_SIZE 254
#define API_CORES_MAX 65536
#define API_RAM_MB_MAX (INT64_C(1) << 40)
#define API_UNIX_SECONDS_MAX INT64_C(9999999999) /* ten digits */

struct api_node {
    char node_id[UUID_TEXT_SIZE];
    char hostname[HOSTNAME_TEXT_SIZE];
    uint32_t host_ip; /* host order */
    struct ip4_prefix subnet;
    int64_t cpu_cores; /* -1: null */
    int64_t ram_mb;    /* -1: null */
    bool is_up;
    bool is_unknown;        /* up, but the control plane has not heard it; never written */
    int64_t registered_at;  /* Unix seconds */
    int64_t last_heartbeat; /* Unix seconds, or later: */
    bool is_beat_or_later;  /* heartbeats are not stored, and the control plane was started when it
                             * was up. Not written with the others */
};

#define API_BEAT_OR_LATER "last_heartbeat_or_later"

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
/* Appends the members. */
void api_origin_add(struct strbuf *out, const struct api_origin *origin);
