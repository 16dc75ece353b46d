/* The agent's own HTTP server: /status, /metrics, /livez, /readyz, and POST /leave and
 * /accept-cluster for those who can read the node's token. */
#pragma once

#include "agent/agent.h"

int status_server_new(struct agent *agent, struct http_server **ret_server);
