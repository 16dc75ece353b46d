/* Calls to the three daemons, with errors that say what was wanted, why it failed, and what to do:
 *
 *     list nodes: connect to 127.0.0.1:8080: Connection refused; is quilt-mesh-control running ...
 *
 * what is that first part ("list nodes").
 */
#pragma once

#include "cli/cli.h"
#include "lib/base/json.h"
#include "proto/quilt.pb-c.h"

/* Whether an error of edge_control() says that nothing answers there. */
bool edge_is_away(int r);
/* The control plane: the first of its URLs that answers. ret_body may be NULL. A reply that is not
 * 2xx is -EREMOTEIO with the server's detail; 404 is -ENOENT. When it was not asked: -ENOKEY, what
 * would be shown to it is for root; -EBADMSG, that is missing or damaged. */
int edge_control(struct cli *cli, const char *method, const char *path, const char *what,
                 json_t **ret_body);

/* As edge_control() with GET, for an object that has an array as this member; one that has none is
 * -EREMOTEIO. */
int edge_control_list(struct cli *cli, const char *path, const char *member, const char *what,
                      json_t **ret_body);
/* As edge_control(), with a JSON text as the request's body. */
int edge_control_send(struct cli *cli, const char *method, const char *path, const char *json,
                      const char *what, json_t **ret_body);

/* As edge_control() with GET, for what is no JSON. */
int edge_control_bytes(struct cli *cli, const char *path, const char *what, char **ret_bytes,
                       size_t *ret_n);

/* The agent; token may be NULL. */
int edge_agent(const struct cli *cli, const char *method, const char *path, const char *token,
               const char *what, json_t **ret_body);

/* The runtime: method is "AttachEndpoint". The reply is freed with
 * protobuf_c_message_free_unpacked(). */
int edge_runtime(const struct cli *cli, const char *method, const ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *reply_type, const char *what,
                 ProtobufCMessage **ret_reply);

/* A failure that the runtime told in band. */
int edge_refused(const char *what, const char *error);

/* Cleans up a reply of any type. */
static inline void cleanup_reply(ProtobufCMessage **reply)
{
    if (*reply)
        protobuf_c_message_free_unpacked(*reply, NULL);
}
#define AUTO_REPLY CLEANUP(cleanup_reply)
