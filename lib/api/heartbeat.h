/* Heartbeats: what an agent says of itself, and what it is told. */
#pragma once

#include "lib/api/register.h"
#include "lib/base/digest.h"

#define AGENT_VERSION_TEXT_SIZE 32
/* The `code` of the problem that answers a heartbeat of an earlier registration; and a registration
 * that was sent before the latest one. That has the members of api_origin besides: who sends it
 * again with these has not been overtaken. */
#define API_CODE_STALE_GENERATION "stale_generation"

/* What an agent says of itself; -1 and "": not said. */
struct api_heartbeat {
    int64_t generation;
    int64_t revision_applied; /* the kernel is as the cluster was at this revision, or later */
    int64_t peers, peers_wanted;
    int64_t load_percent; /* of one CPU, over a minute */
    char agent_version[AGENT_VERSION_TEXT_SIZE];
    char ca_sha256[SHA256_HEX_SIZE]; /* of the CAs that it knows the control plane by */
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
    /* Where there is TLS: */
    const char *ca_sha256; /* of what GET /api/ca answers now; NULL: plain HTTP */
    bool is_renewal_due;   /* the node is to ask for another certificate, soon */
};
void api_heartbeat_reply_to_json(const struct api_heartbeat_reply *reply, struct strbuf *out);
/* What the reply says of certificates. ret_ca_sha256 is borrowed; NULL: nothing. */
int api_heartbeat_reply_renewal(const json_t *value, const char **ret_ca_sha256,
                                bool *ret_is_renewal_due);
/* The control plane's clock in Unix seconds; -ENOENT when it does not tell. */
int api_heartbeat_reply_time(const json_t *value, int64_t *ret_server_time);
/* Intervals that are not told stay as they are in *cluster. -EINVAL when they cannot be. */
int api_heartbeat_reply_take(const json_t *value, struct api_cluster *cluster);
