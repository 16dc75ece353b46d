/* Says in the log what is changed: each change of a few, the numbers of many. */
#pragma once

#include "agent/overlay/diff.h"

#define OVERLAY_NAME_SIZE 64

/* "route to 10.42.2.0/24", "FDB entry of 02:51:0a:2a:02:00", "MTU". */
void overlay_change_name(const struct overlay_change *change,
                         char ret_name[static OVERLAY_NAME_SIZE]);

/* with_routes false: not of routes, whose owner says it. */
void overlay_say(const struct overlay_changes *changes, const char *doing, bool with_routes);
