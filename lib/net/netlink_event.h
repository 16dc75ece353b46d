/* Notifications as bytes. For netlink_monitor.c and its tests. */
#pragma once

#include "lib/net/netlink.h"

/* Reads one notification, all but is_own. False: of a type that nobody here asks for. */
bool nl_event_parse(const struct nlmsghdr *message, struct nl_event *ret_event);
