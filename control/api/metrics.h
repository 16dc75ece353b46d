/* What /metrics tells, in Prometheus' text format (exposition format 0.0.4). */
#pragma once

#include <stdint.h>

#include "control/api/routes.h"

/* 1xx to 5xx. */
#define STATUS_CLASSES 5

struct metrics {
    uint64_t requests[ROUTE_COUNT + 1][STATUS_CLASSES]; /* the last row: no route matched */
    uint64_t heartbeats;
    uint64_t registrations;   /* that were stored */
    uint64_t put_off;         /* changes that were to come again later */
    uint64_t downs;           /* nodes marked down for their silence */
    uint64_t downs_witnessed; /* of them, by what other nodes say */
    uint64_t twins;           /* registrations of somebody who is another's twin */
    uint64_t paced;           /* requests of an identity that had made too many */
    uint64_t denials;         /* requests of somebody who may not */
};

/* An exchange is over; route as http_server_config.on_done has it. */
void metrics_count(struct metrics *metrics, int route, unsigned int status);
void metrics_show(struct http_request *request, void *control);
