/* Which route a request's path belongs to. Pure: no I/O, nothing is kept between calls.
 *
 * A table of routes becomes a list of resources: one for each shape of path, with its methods. A
 * literal segment wins over ":name" at the same place, so "/nodes/register" never ends in
 * "/nodes/:id". Segments are compared percent-decoded; a decoded '/' stays inside its segment.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/http/server.h"

#define ROUTE_SEGMENTS_MAX 16
#define ROUTE_ALLOW_SIZE 64

struct route_table;

/* routes is borrowed. -EINVAL when a pattern is malformed or a method is there twice. */
int route_table_new(const struct http_route *routes, size_t count, struct route_table **ret_table);
void route_table_free(struct route_table *table);

enum route_outcome {
    ROUTE_FOUND = 0,
    ROUTE_UNKNOWN = 1,   /* no resource has this path */
    ROUTE_MALFORMED = 2, /* not an origin-form target (RFC 9112 section 3.2.1), or bad %-encoding */
};

/* Bytes of the request's target, still encoded. */
struct route_slice {
    const char *bytes;
    size_t len;
};

struct route_resource;

struct route_match {
    const struct route_resource *resource;
    struct route_slice params[ROUTE_SEGMENTS_MAX];
    size_t param_count;
};

/* target is the request line's, "/api/nodes/n1?x=y". ret_match is written for ROUTE_FOUND only and
 * points into target. */
enum route_outcome route_match(const struct route_table *table, const char *target,
                               struct route_match *ret_match);

/* Decodes a parameter into out (param->len + 1 bytes suffice); returns the size used, with the NUL.
 */
size_t route_decode(const struct route_slice *param, char *out);

/* The index of the route for this method (HEAD is served by GET's), or -1. */
int route_of_method(const struct route_resource *resource, const char *method);

/* "GET, HEAD, DELETE, OPTIONS" */
const char *route_allow(const struct route_resource *resource);
