/* The REST API's route table. */
#include "control/api/routes.h"

#include "control/api/backup.h"
#include "control/api/health.h"
#include "control/api/metrics.h"
#include "control/api/nodes.h"

const struct http_route control_routes[ROUTE_COUNT] = {
    {"GET", "/api/nodes", nodes_list},
    {"POST", "/api/nodes/register", nodes_register},
    {"GET", "/api/nodes/:id", nodes_show},
    {"DELETE", "/api/nodes/:id", nodes_delete},
    {"POST", "/api/nodes/:id/heartbeat", nodes_heartbeat},
    {"POST", "/api/nodes/:id/deregister", nodes_deregister},
    {"GET", "/api/backup", backup_show},
    {"GET", "/health", health_show},
    {"GET", "/livez", health_live},
    {"GET", "/readyz", health_ready},
    {"GET", "/metrics", metrics_show},
};
