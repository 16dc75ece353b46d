/* Any request target: it is matched, refused or unknown, and parameters come out whole. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/route.h"
#include "tests/fuzz/fuzz.h"

static const struct http_route routes[] = {
    {"GET", "/api/nodes", NULL},     {"POST", "/api/nodes/register", NULL},
    {"GET", "/api/nodes/:id", NULL}, {"POST", "/api/nodes/:id/heartbeat", NULL},
    {"GET", "/:a/:b/:c", NULL},
};

/* Decoded, a parameter is neither empty nor longer than before, and ends where it says. */
static void check_params(const struct route_match *match)
{
    for (size_t i = 0; i < match->param_count; i++) {
        AUTO_FREE char *text = mem_alloc(match->params[i].len + 1);
        size_t size = route_decode(&match->params[i], text);

        if (size < 2 || size > match->params[i].len + 1 || strlen(text) != size - 1)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO_FREE char *target = mem_alloc(n + 1);
    struct route_table *table = NULL;
    struct route_match match;

    memcpy(target, bytes, n);
    target[n] = '\0';
    if (route_table_new(routes, ARRAY_LEN(routes), &table) < 0)
        abort();
    if (route_match(table, target, &match) == ROUTE_FOUND) {
        check_params(&match);
        if (route_of_method(match.resource, "OPTIONS") >= 0)
            abort();
    }
    route_table_free(table);
    return 0;
}
