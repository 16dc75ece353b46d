/* Making a device that carries our mark from its first moment. For the files of lib/net.
 *
 * The kernel ignores IFLA_IFALIAS while it creates a device, so the mark takes a second request; a
 * process that died in between would leave a device of our name that nobody owns. So both go out
 * together, and the kernel works through one sendmsg(2) without looking at signals:
 *
 *     RTM_NEWLINK index 431877, name, ... | RTM_SETLINK index 431877, alias
 *
 * The second must not hit a foreign device when the first fails because the name is taken. So it
 * goes by index, and the index is chosen by us, among numbers that the kernel's own counting does
 * not reach.
 */
#pragma once

#include "lib/base/mem.h"
#include "lib/net/message.h"

struct link_create;

/* Begins: the creation request with index and name, to which the caller adds MAC, MTU, LINKINFO.
 * Checks name and alias. */
int link_create_new(struct nl *nl, const char *name, const char *alias,
                    struct link_create **ret_create);
void link_create_free(struct link_create *create);
struct nlmsghdr *link_create_request(struct link_create *create);

/* -EEXIST: the name is taken, or what the device's kind means by it. */
int link_create_send(struct nl *nl, struct link_create *create);

DEFINE_CLEANUP(struct link_create *, link_create_free);
#define AUTO_LINK_CREATE CLEANUP(cleanup_link_create_free)
