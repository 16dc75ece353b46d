/* The REST API's route table. */
#include "control/api/routes.h"

#include "control/api/backup.h"
#include "control/api/ca.h"
#include "control/api/guard.h"
#include "control/api/health.h"
#include "control/api/mesh.h"
#include "control/api/metrics.h"
#include "control/api/nodes.h"
#include "control/api/reservations.h"
#include "control/api/tokens.h"

#define MAY_READ (MAY_NODE | MAY_VIEWER | MAY_ADMIN)

const struct control_route control_routes[ROUTE_COUNT] = {
    {"GET", "/api/nodes", nodes_list, MAY_READ},
    {"POST", "/api/nodes/register", nodes_register, MAY_JOINING | MAY_NODE},
    {"GET", "/api/nodes/:id", nodes_show, MAY_READ},
    {"DELETE", "/api/nodes/:id", nodes_delete, MAY_ADMIN},
    {"POST", "/api/nodes/:id/heartbeat", nodes_heartbeat, MAY_NODE_SELF, true},
    {"POST", "/api/nodes/:id/deregister", nodes_deregister, MAY_NODE_SELF | MAY_ADMIN},
    {"POST", "/api/nodes/:id/revoke", nodes_revoke, MAY_ADMIN},
    {"GET", "/api/mesh", mesh_show, MAY_VIEWER | MAY_ADMIN},
    {"GET", "/api/reservations", reservations_list, MAY_VIEWER | MAY_ADMIN},
    {"GET", "/api/reservations/:host", reservations_show, MAY_VIEWER | MAY_ADMIN},
    {"PUT", "/api/reservations/:host", reservations_put, MAY_ADMIN},
    {"DELETE", "/api/reservations/:host", reservations_delete, MAY_ADMIN},
    {"GET", "/api/tokens", tokens_api_list, MAY_ADMIN},
    {"POST", "/api/tokens", tokens_api_create, MAY_ADMIN},
    {"DELETE", "/api/tokens/:id", tokens_api_delete, MAY_ADMIN},
    {"GET", "/api/ca", ca_show, MAY_ANYBODY},
    {"GET", "/api/ca/status", ca_status, MAY_VIEWER | MAY_ADMIN},
    {"POST", "/api/ca/rotate", ca_rotate, MAY_ADMIN},
    {"GET", "/api/backup", backup_show, MAY_ADMIN},
    {"GET", "/health", health_show, MAY_ANYBODY},
    {"GET", "/livez", health_live, MAY_ANYBODY},
    {"GET", "/readyz", health_ready, MAY_ANYBODY},
    {"GET", "/metrics", metrics_show, MAY_LOCAL | MAY_VIEWER | MAY_ADMIN},
};

void routes_fill(struct http_route ret_routes[static ROUTE_COUNT])
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        ret_routes[i] =
            (struct http_route){control_routes[i].method, control_routes[i].pattern, guard_handle};
}
