/* The handlers of /api/reservations. */
#pragma once

#include "lib/http/server.h"

void reservations_list(struct http_request *request, void *control);
void reservations_show(struct http_request *request, void *control);
void reservations_put(struct http_request *request, void *control);
void reservations_delete(struct http_request *request, void *control);
