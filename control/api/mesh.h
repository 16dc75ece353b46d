/* GET /api/mesh: what the nodes have found out about the ways between them. */
#pragma once

#include "lib/http/server.h"

void mesh_show(struct http_request *request, void *control);
