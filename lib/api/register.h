/* Registering as a node: the wish and its answer, and with it the cluster's facts. */
#pragma once

#include "lib/api/node.h"

#define API_PEM_MAX 65536
#define NODE_TOKEN_TEXT_SIZE 65 /* 32 random bytes in hex, and the NUL */
/* The `code` of the problem that answers who would be a node that somebody else is. With
 * Retry-After it is not certain yet: the other may be the one before, which has ended. */
#define API_CODE_IDENTITY_CONFLICT "identity_conflict"
#define API_CODE_OTHER_ADDRESS "other_address"

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
    const char *home_id;      /* where it runs: no two processes do at once; NULL: not given */
    const char *csr;          /* PKCS#10 in PEM: it would have a certificate; NULL: not given */
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
/* The intervals of an object: those that it does not have stay as they are. */
int api_cluster_get_intervals(const json_t *object, struct api_cluster *cluster);
void api_cluster_add_intervals(struct strbuf *out, const struct api_cluster *cluster);
/* Whether containers can have the network's addresses: 0, or -EINVAL with a text. */
int api_cluster_check_cidr(struct ip4_prefix cidr);

struct api_register_reply {
    char node_id[UUID_TEXT_SIZE];
    struct ip4_prefix subnet;
    char node_token[NODE_TOKEN_TEXT_SIZE]; /* "": not given (only a new identity gets one) */
    struct api_cluster cluster;
    struct api_origin origin;
    int64_t generation;      /* of this registration; 0: not given */
    const char *certificate; /* PEM; borrowed (from the JSON); NULL: not given */
    const char *ca;          /* the CAs to know the control plane by, PEM; the same */
};
/* A first-release reply ({node_id, subnet} only) gets api_cluster_default(). A subnet that is not
 * of the node size, or outside the cluster's network, is refused, and a network nobody may have. */
int api_register_reply_from_json(const json_t *value, struct api_register_reply *ret);
char *api_register_reply_to_json(const struct api_register_reply *reply);
