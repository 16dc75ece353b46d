/* The handlers of /api/nodes. */
#pragma once

#include "lib/http/server.h"

void nodes_list(struct http_request *request, void *control);
void nodes_show(struct http_request *request, void *control);
void nodes_register(struct http_request *request, void *control);
void nodes_heartbeat(struct http_request *request, void *control);
void nodes_deregister(struct http_request *request, void *control);
/* The node must join anew, with a token. */
void nodes_revoke(struct http_request *request, void *control);
void nodes_delete(struct http_request *request, void *control);
