/* Elements of nftables sets.
 *
 *     one transaction:  BATCH_BEGIN | NEWSETELEM {table, set, [element, ...]} | ... | BATCH_END
 *     element:          {key: {bytes}, data: {bytes}}
 *
 * Elements are nested attributes, whose length is 16 bits: a message takes a thousand.
 */
#include "lib/net/nft_elements.h"

#include <arpa/inet.h>
#include <assert.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/net/message.h"
#include "lib/net/socket.h"

#define MESSAGE_ELEMENTS 1000
#define TRANSACTION_ELEMENTS 2000 /* what a socket sends at once: 128 KiB */
#define ELEMENT_BYTES (NFT_ELEMENT_KEY_MAX + sizeof(uint32_t) + 5 * sizeof(struct nlattr))
#define HEAD_BYTES 512

static_assert(MESSAGE_ELEMENTS * ELEMENT_BYTES < UINT16_MAX, "a message's elements are one nest");

int nft_elements_open(struct nl **ret_nl)
{
    int r = nl_socket_open(NETLINK_NETFILTER, ret_nl);

    return r < 0 ? err_wrap(r, "open nftables") : 0;
}

/* ---- a transaction ------------------------------------------------------------------------- */

struct transaction {
    struct nl *nl;
    char *bytes;
    size_t used;
    uint32_t first_sequence; /* of its messages, which are numbered in order */
    struct nlmsghdr *last;
};

static struct nlmsghdr *begin_message(struct transaction *t, uint16_t type, uint16_t flags,
                                      uint8_t family, uint16_t resource)
{
    struct nlmsghdr *message = (struct nlmsghdr *)(void *)(t->bytes + t->used);
    struct nfgenmsg *header =
        nl_request_begin(message, type, NLM_F_REQUEST | flags, sizeof *header);

    header->nfgen_family = family;
    header->version = NFNETLINK_V0;
    header->res_id = htons(resource);
    message->nlmsg_seq = ++t->nl->sequence;
    message->nlmsg_pid = t->nl->port_id;
    return message;
}

static void end_message(struct transaction *t, const struct nlmsghdr *message)
{
    t->used += NLMSG_ALIGN(message->nlmsg_len);
}

static void put_element(struct nlmsghdr *message, const struct nft_element *element)
{
    struct nlattr *outer = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    struct nlattr *key = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);

    mnl_attr_put(message, NFTA_DATA_VALUE, element->key_bytes, element->key);
    mnl_attr_nest_end(message, key);
    if (element->has_value && !element->is_removal) {
        struct nlattr *value = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);

        mnl_attr_put_u32(message, NFTA_DATA_VALUE, element->value);
        mnl_attr_nest_end(message, value);
    }
    mnl_attr_nest_end(message, outer);
}

/* How many from the first on are the same change of the same set. */
static size_t count_alike(const struct nft_element *elements, size_t count)
{
    size_t alike = 1;

    while (alike < count && alike < MESSAGE_ELEMENTS &&
           elements[alike].is_removal == elements[0].is_removal &&
           elements[alike].family == elements[0].family &&
           strcmp(elements[alike].set, elements[0].set) == 0)
        alike++;
    return alike;
}

static struct nlmsghdr *begin_elements(struct transaction *t, const char *table,
                                       const struct nft_element *first)
{
    uint16_t what = first->is_removal ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM;
    struct nlmsghdr *message =
        begin_message(t, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | what),
                      first->is_removal ? 0 : NLM_F_CREATE, first->family, 0);

    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, table);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, first->set);
    return message;
}

static void put_elements(struct transaction *t, const char *table,
                         const struct nft_element *elements, size_t count)
{
    for (size_t done = 0; done < count;) {
        size_t end = done + count_alike(elements + done, count - done);
        struct nlmsghdr *message = begin_elements(t, table, &elements[done]);
        struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);

        for (; done < end; done++)
            put_element(message, &elements[done]);
        mnl_attr_nest_end(message, list);
        end_message(t, message);
        t->last = message;
    }
}

/* Whether it answers one of the transaction's messages. */
static bool is_answer(const struct transaction *t, const struct nlmsghdr *message)
{
    return mnl_nlmsg_portid_ok(message, t->nl->port_id) &&
           message->nlmsg_seq - t->first_sequence <= t->nl->sequence - t->first_sequence;
}

/* True when the datagram held the last change's answer. Of several failures the first counts. */
static bool take_datagram(const struct transaction *t, size_t n, struct nl_verdict *failure)
{
    const struct nlmsghdr *message = t->nl->data;

    for (int left = (int)n; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        struct nl_verdict verdict;

        if (!is_answer(t, message) || !nl_verdict_parse(message, &verdict))
            continue;
        if (verdict.result < 0 && failure->result == 0)
            *failure = verdict;
        /* The transaction's own failure is told under the number of its beginning. */
        if (message->nlmsg_seq == t->last->nlmsg_seq || verdict.result < 0)
            return true;
    }
    return false;
}

/* What is left unread of a failure takes the room of the next answers. */
static void drain(struct nl *nl)
{
    size_t n;
    int r;

    do
        r = nl_socket_receive(nl, NL_NO_WAIT, &n);
    while (r == 0 || r == -ENOBUFS || r == -EMSGSIZE);
}

static int wait_for_answer(const struct transaction *t, struct nl_verdict *failure)
{
    for (;;) {
        size_t n;
        int r = nl_socket_receive(t->nl, NL_WAIT, &n);

        if (r == -ENOBUFS || r == -EMSGSIZE)
            return err_sys(-r, "the kernel's answer got lost");
        if (r < 0)
            return r;
        if (take_datagram(t, n, failure))
            return 0;
    }
}

static int send_and_wait(const struct transaction *t)
{
    struct nl_verdict failure = {.result = 0};
    int r = nl_socket_send(t->nl, t->bytes, t->used);

    if (r == 0)
        r = wait_for_answer(t, &failure);
    drain(t->nl);
    if (r < 0)
        return r;
    return failure.result < 0 ? nl_verdict_fail(&failure) : 0;
}

static size_t count_messages(const struct nft_element *elements, size_t count)
{
    size_t messages = 0;

    for (size_t done = 0; done < count; messages++)
        done += count_alike(elements + done, count - done);
    return messages;
}

static int change_some(struct nl *nl, const char *table, const struct nft_element *elements,
                       size_t count)
{
    AUTO_FREE char *bytes =
        mem_zalloc(count * ELEMENT_BYTES + (count_messages(elements, count) + 2) * HEAD_BYTES);
    struct transaction t = {.nl = nl, .bytes = bytes, .first_sequence = nl->sequence + 1};

    end_message(&t, begin_message(&t, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    put_elements(&t, table, elements, count);
    t.last->nlmsg_flags |= NLM_F_ACK;
    end_message(&t, begin_message(&t, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    return send_and_wait(&t);
}

int nft_elements_change(struct nl *nl, const char *table, const struct nft_element *elements,
                        size_t count)
{
    int transactions = 0, r = 0;

    for (size_t done = 0; r == 0 && done < count; transactions++) {
        size_t some = count - done < TRANSACTION_ELEMENTS ? count - done : TRANSACTION_ELEMENTS;

        r = change_some(nl, table, elements + done, some);
        done += some;
    }
    return r < 0 ? err_wrap(r, "change sets of the tables %s", table) : transactions;
}

/* ---- the generation ------------------------------------------------------------------------ */

static int take_generation(const struct nlmsghdr *message, void *data)
{
    struct nl_attrs attrs;

    if (!nl_message_header(message, sizeof(struct nfgenmsg)))
        return err_fail(EPROTO, "an unreadable answer");
    nl_attrs_parse(message, sizeof(struct nfgenmsg), &attrs);
    *(uint32_t *)data = ntohl(nl_attr_u32(&attrs, NFTA_GEN_ID, 0));
    return 0;
}

int nft_generation(struct nl *nl, uint32_t *ret_generation)
{
    union nl_request request = {0};
    struct nfgenmsg *header = nl_request_begin(
        &request.header, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN, 0, sizeof *header);
    int r;

    header->nfgen_family = AF_UNSPEC;
    header->version = NFNETLINK_V0;
    r = nl_query(nl, &request.header, take_generation, ret_generation);
    return r < 0 ? err_wrap(r, "read the generation of nftables") : 0;
}
