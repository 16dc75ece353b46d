/* From a wish to its answer: plans a change, has it stored, lets it take effect, tells everybody.
 *
 * A wish that finds its node in a change under way waits until that is over and is then planned
 * anew, in the order of arrival. Whatever is answered with success is durable.
 */
#pragma once

#include "lib/api/heartbeat.h"
#include "lib/api/probe.h"
#include "lib/api/reservation.h"
#include "lib/http/server.h"

struct control;
struct node;
struct registry;

/* What a registration says; wish borrows from body. */
struct registering {
    json_t *body;
    struct api_register_request wish;
    struct tls_public_key *key; /* to be certified; NULL: none */
};

/* A heartbeat, and what came with it. */
struct heard_beat {
    struct api_heartbeat report;
    struct api_probe *probes; /* owned; NULL: none */
    size_t probe_count;
};

/* Answer the request, now or later. Body and key are taken over, and NULL then. */
void operations_register(struct control *control, struct http_request *request,
                         struct registering *registering);
/* Of the node's token and key; its streams end, it keeps the rest. */
void operations_revoke(struct control *control, struct http_request *request, const char *node_id);
void operations_deregister(struct control *control, struct http_request *request,
                           const char *node_id);
void operations_delete(struct control *control, struct http_request *request, const char *node_id);
void operations_reserve(struct control *control, struct http_request *request,
                        const struct api_reservation *wish);
void operations_unreserve(struct control *control, struct http_request *request, const char *host);
/* Answers at once; a node that was down is brought up behind the answer. */
void operations_heartbeat(struct control *control, struct http_request *request,
                          const char *node_id, const struct heard_beat *beat);

/* The monitor's and the quarantine's wishes. */
/* False: a change is under way about the node; there will be another look. */
bool operations_mark_down(struct control *control, struct node *node);
void operations_release_due(struct control *control);

/* At the end: the operations of changes that are still under way. The store has let go of them. */
void operations_free_all(struct registry *registry);
