/* The REST API's route table; docs/openapi.yaml is held against it by a test. */
#pragma once

#include "lib/http/server.h"

#define ROUTE_COUNT 11

extern const struct http_route control_routes[ROUTE_COUNT];
