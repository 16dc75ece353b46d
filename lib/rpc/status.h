/* gRPC's status codes by name. Internal to lib/rpc. */
#pragma once

/* "UNAVAILABLE" of 14; "UNKNOWN" of what is no status. */
const char *rpc_status_name(int status);
