/* Netlink messages as bytes: reading what the kernel says without believing any length in it, and
 * building what we ask. No sockets here. For the files of lib/net and their tests.
 *
 *     nlmsghdr | family header (ifinfomsg, rtmsg, ...) | attribute | attribute | ...
 *                                                        nlattr: len, type, payload, padding to 4
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/ip4.h"
#include "lib/net/netlink.h"

/* ---- what became of a request ----------------------------------------------------------- */

#define NL_WORDS_SIZE 256

struct nl_verdict {
    int result;                /* 0 or the kernel's -errno */
    char words[NL_WORDS_SIZE]; /* its extended acknowledgement; "" when it had none */
};

/* Reads NLMSG_ERROR (with error 0 it is the acknowledgement) and NLMSG_DONE. False: another type,
 * or too short to be one. */
bool nl_verdict_parse(const struct nlmsghdr *message, struct nl_verdict *ret_verdict);
/* The error text of a verdict: "Invalid argument (Nexthop has invalid gateway)". Returns its
 * result. */
int nl_verdict_fail(const struct nl_verdict *verdict);

/* ---- attributes ------------------------------------------------------------------------- */

/* Over IFLA_MAX, the largest space of ours. Types above it are skipped. */
#define NL_ATTR_TYPES 96

struct nl_attrs {
    const struct nlattr *of[NL_ATTR_TYPES]; /* by type; NULL: not there */
};

/* Reading stops at the first malformed attribute; n may be 0. */
void nl_attrs_parse_bytes(const void *bytes, size_t n, struct nl_attrs *ret_attrs);
/* The attributes behind a family header of this size. */
void nl_attrs_parse(const struct nlmsghdr *message, size_t header_size, struct nl_attrs *ret_attrs);
/* The attributes inside another one; none when it is missing. */
void nl_attrs_parse_nested(const struct nl_attrs *attrs, int type, struct nl_attrs *ret_attrs);

/* The family header, or NULL when the message is too short for it. */
const void *nl_message_header(const struct nlmsghdr *message, size_t header_size);

/* Values; an attribute that is missing or of another size counts as `missing`. */
uint8_t nl_attr_u8(const struct nl_attrs *attrs, int type, uint8_t missing);
uint16_t nl_attr_u16_be(const struct nl_attrs *attrs, int type, uint16_t missing);
uint32_t nl_attr_u32(const struct nl_attrs *attrs, int type, uint32_t missing);
/* Interface indexes; 0 when missing or out of range. */
int nl_attr_ifindex(const struct nl_attrs *attrs, int type);
/* Host order; 0 when missing. */
uint32_t nl_attr_ip4(const struct nl_attrs *attrs, int type);
/* False: missing, or another length than Ethernet's. */
bool nl_attr_mac(const struct nl_attrs *attrs, int type, struct mac *ret_mac);
/* Cut to size; "" when missing. */
void nl_attr_text(const struct nl_attrs *attrs, int type, char *ret_text, size_t size);

void nl_put_ip4(struct nlmsghdr *request, uint16_t type, uint32_t addr);
void nl_put_mac(struct nlmsghdr *request, uint16_t type, struct mac mac);

/* Starts a request: its header and a zeroed family header, which is returned. */
void *nl_request_begin(struct nlmsghdr *request, uint16_t type, uint16_t flags, size_t header_size);

/* ---- dumps into arrays ------------------------------------------------------------------ */

/* One item of a dump. False: not one of those asked for. */
typedef bool (*nl_item_fn)(const struct nlmsghdr *message, const void *filter, void *ret_item);

/* nl_dump() into an array that the caller owns (NULL when empty). */
int nl_dump_items(struct nl *nl, struct nlmsghdr *request, nl_item_fn parse, const void *filter,
                  size_t item_size, void **ret_items, size_t *ret_count);

/* Passes r on, but for what says that the object is not there (any more): 0. */
int nl_gone_is_fine(int r);
