/* A route that somebody wishes for, beside what the kernel has; for the requests about routes. */
#pragma once

#include "proto/quilt.pb-c.h"
#include "runtime/routes.h"
#include "runtime/state.h"

struct runtime;

struct route_wish {
    char *destination; /* as it was asked for; borrowed from the request */
    struct route route;
    struct route_entry want; /* the kernel's form of it */
    bool is_in_kernel;
    bool is_device_up;
    bool had_before; /* the state had another one, or the same */
    struct route before;
};

/* Checks the request, and looks at its device and at what stands in its way. 0 or negative with a
 * text. */
int route_wish_read(struct runtime *rt, const struct state *state,
                    const Quilt__InjectRouteRequest *request, struct route_wish *ret_wish);

/* While the device is down the kernel takes no route over it. The wish is stored; the device's
 * coming up brings the route. */
bool route_wish_is_due(const struct route_wish *wish);
/* Whether the kernel's refusal says that the device went since we looked: as above. */
bool route_wish_can_wait(int r);

/* Whether it makes the state another one. */
bool route_wish_is_change(const struct route_wish *wish);
/* Takes it back from the state. */
void route_wish_undo(struct runtime *rt, const struct route_wish *wish);
