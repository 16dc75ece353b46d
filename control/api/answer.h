/* The edge from outcomes to HTTP: every answer that is not a plain read. */
#pragma once

#include "control/services/registry.h"
#include "lib/base/digest.h"
#include "lib/base/json.h"
#include "lib/http/server.h"

struct control;

/* With a certificate for the key, unless that is NULL. */
void answer_grant(struct http_request *request, const struct control *control,
                  const struct registry_grant *grant, const struct tls_public_key *key);
/* The request's body; NULL: it is no JSON, and was answered so (400). */
json_t *answer_json_body(struct http_request *request);
/* The node's JSON; 404 when it is not there (any more). */
void answer_node(struct http_request *request, const struct control *control, const char *node_id);
/* The reservation's JSON; 404 when there is none. host: as api_reservation_host() writes it. */
void answer_reservation(struct http_request *request, const struct control *control,
                        const char *host);
/* The latest answer to a heartbeat. Thousands ask in the same second, and are told the same. */
struct beat_answer {
    struct http_body *body; /* NULL: none yet */
    uint64_t revision;
    int64_t server_time; /* Unix seconds */
    bool is_renewal_due;
    char ca_sha256[SHA256_HEX_SIZE]; /* "": none is told */
};

void answer_heartbeat(struct http_request *request, struct control *control,
                      const struct node *node);
/* The outcomes that are failures; some take their words from err_text(). */
void answer_failure(struct http_request *request, enum registry_outcome outcome);
/* A registration that was sent before the latest: with what to send it again with. */
void answer_overtaken(struct http_request *request, const struct control *control);
/* wait_ms: of the grant; 0: no time is told to come again. */
void answer_twin(struct http_request *request, int64_t wait_ms);
void answer_storage_full(struct http_request *request, const struct control *control);
/* Whether the control plane is stopping; then it was answered so (503). */
bool answer_if_stopping(struct http_request *request, const struct control *control);
/* A header of the answer that is to follow: when to come again, in whole seconds, rounded up. */
void answer_add_retry_after(struct http_request *request, int64_t wait_ms);
