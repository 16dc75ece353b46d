/* What is, and what is wrong with it, in words: compares the state with the kernel without changing
 * either. */
#pragma once

#include "runtime/reconcile.h"

/* Texts, owned. */
struct problems {
    char **items;
    size_t count;
};
void problems_deinit(struct problems *problems);

/* NULL: nothing is wrong. Caller frees. */
char *status_route_problem(const struct reconcile *rc, const struct view *view,
                           const struct route *route);
char *status_endpoint_problem(const struct reconcile *rc, const struct view *view,
                              const struct endpoint *endpoint);

/* All that is wrong. */
void status_find_problems(const struct reconcile *rc, const struct view *view,
                          struct problems *ret_problems);
