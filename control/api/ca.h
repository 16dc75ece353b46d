/* /api/ca: the CAs by which nodes know the control plane. No secret, and trusted by nobody who
 * has no pin for it. */
#pragma once

#include "lib/http/server.h"

void ca_show(struct http_request *request, void *control);

/* Replacing the cluster's own CA: asking for it, and whom it waits for. */
void ca_rotate(struct http_request *request, void *control);
void ca_status(struct http_request *request, void *control);
