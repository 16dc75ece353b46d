/* Netlink messages as bytes. */
#include "lib/net/message.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

/* libmnl's MNL_ALIGN mixes signs. */
#define ALIGN_4(n) (((n) + 3U) & ~(size_t)3)

_Static_assert(NL_ATTR_TYPES * sizeof(struct nlattr *) < 1024, "a table must stay cheap to zero");

void nl_attrs_parse_bytes(const void *bytes, size_t n, struct nl_attrs *ret_attrs)
{
    const struct nlattr *attr = bytes;
    size_t left = n;

    memset(ret_attrs, 0, sizeof *ret_attrs);
    while (left >= sizeof *attr && left <= INT32_MAX && mnl_attr_ok(attr, (int)left)) {
        size_t step = ALIGN_4((size_t)attr->nla_len);

        if (mnl_attr_get_type(attr) < NL_ATTR_TYPES)
            ret_attrs->of[mnl_attr_get_type(attr)] = attr;
        if (step >= left)
            return;
        left -= step;
        attr = mnl_attr_next(attr);
    }
}

const void *nl_message_header(const struct nlmsghdr *message, size_t header_size)
{
    if (message->nlmsg_len < NLMSG_HDRLEN + header_size)
        return NULL;
    return mnl_nlmsg_get_payload(message);
}

static void attrs_parse_from(const struct nlmsghdr *message, size_t offset, struct nl_attrs *ret)
{
    if (offset >= message->nlmsg_len)
        nl_attrs_parse_bytes(NULL, 0, ret);
    else
        nl_attrs_parse_bytes((const char *)message + offset, message->nlmsg_len - offset, ret);
}

void nl_attrs_parse(const struct nlmsghdr *message, size_t header_size, struct nl_attrs *ret_attrs)
{
    attrs_parse_from(message, NLMSG_HDRLEN + ALIGN_4(header_size), ret_attrs);
}

void nl_attrs_parse_nested(const struct nl_attrs *attrs, int type, struct nl_attrs *ret_attrs)
{
    const struct nlattr *nest = attrs->of[type];

    if (nest)
        nl_attrs_parse_bytes(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), ret_attrs);
    else
        nl_attrs_parse_bytes(NULL, 0, ret_attrs);
}

/* The payload when it has exactly this size. */
static const void *sized(const struct nl_attrs *attrs, int type, size_t size)
{
    const struct nlattr *attr = attrs->of[type];

    if (!attr || mnl_attr_get_payload_len(attr) != size)
        return NULL;
    return mnl_attr_get_payload(attr);
}

uint8_t nl_attr_u8(const struct nl_attrs *attrs, int type, uint8_t missing)
{
    const uint8_t *value = sized(attrs, type, sizeof *value);

    return value ? *value : missing;
}

uint16_t nl_attr_u16_be(const struct nl_attrs *attrs, int type, uint16_t missing)
{
    const uint16_t *value = sized(attrs, type, sizeof *value);

    return value ? ntohs(*value) : missing;
}

uint32_t nl_attr_u32(const struct nl_attrs *attrs, int type, uint32_t missing)
{
    const uint32_t *value = sized(attrs, type, sizeof *value);

    return value ? *value : missing;
}

int nl_attr_ifindex(const struct nl_attrs *attrs, int type)
{
    uint32_t value = nl_attr_u32(attrs, type, 0);

    return value <= INT32_MAX ? (int)value : 0;
}

uint32_t nl_attr_ip4(const struct nl_attrs *attrs, int type)
{
    return ntohl(nl_attr_u32(attrs, type, 0));
}

bool nl_attr_mac(const struct nl_attrs *attrs, int type, struct mac *ret_mac)
{
    const struct mac *value = sized(attrs, type, sizeof *value);

    if (value)
        *ret_mac = *value;
    return value;
}

void nl_attr_text(const struct nl_attrs *attrs, int type, char *ret_text, size_t size)
{
    const struct nlattr *attr = attrs->of[type];
    size_t n = 0;

    if (attr) {
        n = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
        n = n < size ? n : size - 1;
        memcpy(ret_text, mnl_attr_get_payload(attr), n);
    }
    ret_text[n] = '\0';
}

void nl_put_ip4(struct nlmsghdr *request, uint16_t type, uint32_t addr)
{
    mnl_attr_put_u32(request, type, htonl(addr));
}

void nl_put_mac(struct nlmsghdr *request, uint16_t type, struct mac mac)
{
    mnl_attr_put(request, type, sizeof mac, &mac);
}

void *nl_request_begin(struct nlmsghdr *request, uint16_t type, uint16_t flags, size_t header_size)
{
    mnl_nlmsg_put_header(request);
    request->nlmsg_type = type;
    request->nlmsg_flags = flags;
    return mnl_nlmsg_put_extra_header(request, header_size);
}

/* Where the kernel's words begin. NLMSG_ERROR quotes our message, whole or only its header
 * (NLM_F_CAPPED); NLMSG_DONE has nothing before them but the result. */
static size_t words_offset(const struct nlmsghdr *message)
{
    const struct nlmsgerr *error;

    if (message->nlmsg_type == NLMSG_DONE)
        return NLMSG_HDRLEN + sizeof(int);
    error = mnl_nlmsg_get_payload(message);
    if (message->nlmsg_flags & NLM_F_CAPPED || error->msg.nlmsg_len < NLMSG_HDRLEN)
        return NLMSG_HDRLEN + sizeof *error;
    return NLMSG_HDRLEN + sizeof(int) + ALIGN_4((size_t)error->msg.nlmsg_len);
}

bool nl_verdict_parse(const struct nlmsghdr *message, struct nl_verdict *ret_verdict)
{
    bool is_error = message->nlmsg_type == NLMSG_ERROR;
    const int *result =
        nl_message_header(message, is_error ? sizeof(struct nlmsgerr) : sizeof(int));
    struct nl_attrs attrs;

    if (!result || (!is_error && message->nlmsg_type != NLMSG_DONE))
        return false;
    ret_verdict->result = *result < 0 && *result > -4096 ? *result : 0;
    ret_verdict->words[0] = '\0';
    if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
        return true;
    attrs_parse_from(message, words_offset(message), &attrs);
    nl_attr_text(&attrs, NLMSGERR_ATTR_MSG, ret_verdict->words, sizeof ret_verdict->words);
    return true;
}

int nl_verdict_fail(const struct nl_verdict *verdict)
{
    const char *name = strerrordesc_np(-verdict->result);
    char number[32];

    /* The kernel has numbers that libc does not know (524, ENOTSUPP). */
    (void)snprintf(number, sizeof number, "error %d", -verdict->result);
    if (!verdict->words[0])
        return err_fail(-verdict->result, "%s", name ? name : number);
    return err_fail(-verdict->result, "%s (%s)", name ? name : number, verdict->words);
}

int nl_gone_is_fine(int r)
{
    return r == -ENOENT || r == -ESRCH || r == -ENODEV || r == -EADDRNOTAVAIL ? 0 : r;
}
