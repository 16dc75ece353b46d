/* Many changes in few system calls.
 *
 *     batch->bytes  | request | request | request | ...     packed, each ends where nlmsg_len says
 *                   '------ one sendmsg ------'
 *
 * Only the last request of a sendmsg asks for an acknowledgement. The kernel answers a request that
 * fails in any case, and it works through a datagram in order: when the last one's answer is there,
 * whatever else failed has said so before it, and the silent ones have succeeded. (af_netlink.c,
 * netlink_rcv_skb. An answer that finds no room makes the socket fail with ENOBUFS.)
 */
#include <assert.h>
#include <libmnl/libmnl.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/net/message.h"
#include "lib/net/socket.h"

/* Bounds of one sendmsg. All of them failing, with words, makes 128 datagrams of 1280 bytes of
 * kernel memory each at most: they fit the default receive buffer (208 KiB), forced or not. */
#define SEND_MAX_REQUESTS 128
#define SEND_MAX_BYTES 65536

struct nl_batch {
    char *bytes;
    size_t size;
    size_t len; /* of all but the latest request, which may still be growing */
    struct nl_change *changes;
    size_t count;
    size_t room;
};

/* Requests in flight: the stretch [first, first + count) of a batch. */
struct flight {
    size_t first;
    size_t count;
    size_t offset;
    size_t len;
};

struct nl_batch *nl_batch_new(void)
{
    return NEW(struct nl_batch);
}

void nl_batch_free(struct nl_batch *batch)
{
    if (!batch)
        return;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->changes[i].result < 0)
            free((char *)batch->changes[i].text);
    free(batch->changes);
    free(batch->bytes);
    free(batch);
}

static struct nlmsghdr *request_at(const struct nl_batch *batch, size_t offset)
{
    return (struct nlmsghdr *)(void *)(batch->bytes + offset);
}

static size_t request_size(const struct nl_batch *batch, size_t offset)
{
    size_t size = request_at(batch, offset)->nlmsg_len;

    assert(size >= NLMSG_HDRLEN && size <= NL_REQUEST_MAX);
    return NLMSG_ALIGN(size);
}

/* The latest request is complete: what comes next goes behind it. */
static void seal(struct nl_batch *batch)
{
    if (batch->count > 0)
        batch->len += request_size(batch, batch->len);
}

static void reserve(struct nl_batch *batch)
{
    if (batch->size < batch->len + NL_REQUEST_MAX) {
        batch->size = 2 * (batch->len + NL_REQUEST_MAX);
        batch->bytes = mem_resize(batch->bytes, batch->size, 1);
    }
    if (batch->count == batch->room) {
        batch->room = batch->room ? 2 * batch->room : 16;
        batch->changes = mem_resize(batch->changes, batch->room, sizeof *batch->changes);
    }
}

struct nlmsghdr *nl_batch_next(struct nl_batch *batch, void *owner)
{
    seal(batch);
    reserve(batch);
    batch->changes[batch->count++] = (struct nl_change){.text = "", .owner = owner};
    memset(batch->bytes + batch->len, 0, NL_REQUEST_MAX);
    return request_at(batch, batch->len);
}

size_t nl_batch_count(const struct nl_batch *batch)
{
    return batch->count;
}

const struct nl_change *nl_batch_result(const struct nl_batch *batch, size_t index)
{
    assert(index < batch->count);
    return &batch->changes[index];
}

/* Numbers as many requests as go into one sendmsg, from flight->first and ->offset on. */
static void load(struct nl *nl, const struct nl_batch *batch, struct flight *flight)
{
    struct nlmsghdr *request = NULL;

    flight->count = 0;
    flight->len = 0;
    while (flight->first + flight->count < batch->count && flight->count < SEND_MAX_REQUESTS) {
        size_t offset = flight->offset + flight->len;
        size_t size = request_size(batch, offset);

        if (flight->len + size > SEND_MAX_BYTES)
            break;
        request = request_at(batch, offset);
        request->nlmsg_flags |= NLM_F_REQUEST;
        request->nlmsg_seq = ++nl->sequence;
        request->nlmsg_pid = nl->port_id;
        flight->len += size;
        flight->count++;
    }
    assert(request);
    request->nlmsg_flags |= NLM_F_ACK;
}

static void note(struct nl_change *change, const struct nl_verdict *verdict)
{
    if (verdict->result == 0)
        return;
    change->result = nl_verdict_fail(verdict);
    change->text = mem_strdup(err_text());
}

/* True when the datagram held the last request's answer. */
static bool take_datagram(const struct nl *nl, size_t n, struct nl_batch *batch,
                          const struct flight *flight)
{
    const struct nlmsghdr *message = nl->data;
    uint32_t first_sequence = nl->sequence - (uint32_t)flight->count + 1;

    for (int left = (int)n; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        struct nl_verdict verdict;
        uint32_t index = message->nlmsg_seq - first_sequence;

        if (!mnl_nlmsg_portid_ok(message, nl->port_id) || index >= flight->count ||
            !nl_verdict_parse(message, &verdict))
            continue;
        note(&batch->changes[flight->first + index], &verdict);
        if (index == flight->count - 1)
            return true;
    }
    return false;
}

static int take_answers(struct nl *nl, struct nl_batch *batch, const struct flight *flight)
{
    for (;;) {
        size_t n;
        int r = nl_socket_receive(nl, NL_WAIT, &n);

        if (r == -ENOBUFS || r == -EMSGSIZE)
            return err_sys(-r, "the kernel's answers to a batch got lost");
        if (r < 0)
            return r;
        if (take_datagram(nl, n, batch, flight))
            return 0;
    }
}

int nl_batch_send(struct nl *nl, struct nl_batch *batch)
{
    struct flight flight = {0};

    while (flight.first < batch->count) {
        int r;

        load(nl, batch, &flight);
        r = nl_socket_send(nl, batch->bytes + flight.offset, flight.len);
        if (r == 0)
            r = take_answers(nl, batch, &flight);
        if (r < 0)
            return err_wrap(r, "changes %zu to %zu of %zu", flight.first + 1,
                            flight.first + flight.count, batch->count);
        flight.first += flight.count;
        flight.offset += flight.len;
    }
    return 0;
}
