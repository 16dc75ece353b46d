/* The REST API's route table, with the rule of who may take each route; docs/openapi.yaml is held
 * against it by a test. */
#pragma once

#include "lib/http/server.h"

#define ROUTE_COUNT 23

struct control_route {
    const char *method;
    const char *pattern;
    http_handler_fn fn;
    unsigned int rule; /* of access.h; 0: nobody */
    bool is_unpaced;   /* does not count for how often its caller may ask */
};

extern const struct control_route control_routes[ROUTE_COUNT];

/* The same for the server: every route goes through the guard. */
void routes_fill(struct http_route ret_routes[static ROUTE_COUNT]);
