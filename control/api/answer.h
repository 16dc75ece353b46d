/* The edge from outcomes to HTTP: every answer that is not a plain read. */
#pragma once

#include "control/services/registry.h"
#include "lib/http/server.h"

struct control;

void answer_grant(struct http_request *request, const struct control *control,
                  const struct registry_grant *grant);
/* The node's JSON; 404 when it is not there (any more). */
void answer_node(struct http_request *request, const struct control *control, const char *node_id);
void answer_heartbeat(struct http_request *request, const struct control *control);
/* The outcomes that are failures; some take their words from err_text(). */
void answer_failure(struct http_request *request, enum registry_outcome outcome);
void answer_storage_full(struct http_request *request);
