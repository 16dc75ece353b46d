/* Requests and their answers, one at a time. */
#include "lib/net/netlink.h"

#include <assert.h>
#include <libmnl/libmnl.h>

#include "lib/base/error.h"
#include "lib/net/message.h"
#include "lib/net/netns.h"
#include "lib/net/socket.h"

/* A dump during which the table changed is asked again this often. */
#define DUMP_ATTEMPTS 16

/* One request on its way: who gets the answer, and what happened so far. */
struct exchange {
    nl_message_fn fn; /* NULL: nobody */
    void *data;
    struct nl_verdict verdict;
    int fn_result;
    bool is_single;     /* the answer is one message, or a verdict */
    bool is_incomplete; /* the kernel says so, or a datagram did not fit */
};

int nl_open(struct nl **ret_nl)
{
    return nl_socket_open(NETLINK_ROUTE, ret_nl);
}

static int open_here(void *data)
{
    return nl_open(data);
}

int nl_open_in(int netns_fd, struct nl **ret_nl)
{
    return netns_run(netns_fd, open_here, ret_nl);
}

/* After a failure the rest is read on, but not passed on: an answer half read would be taken for
 * the next request's, and the kernel refuses a second dump while one is unread. */
static void pass_on(struct exchange *x, const struct nlmsghdr *message)
{
    if (x->fn && x->fn_result == 0)
        x->fn_result = x->fn(message, x->data);
}

/* True when the datagram held the end of the answer. */
static bool take_datagram(struct nl *nl, size_t n, struct exchange *x)
{
    const struct nlmsghdr *message = nl->data;

    for (int left = (int)n; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        if (!mnl_nlmsg_seq_ok(message, nl->sequence) || !mnl_nlmsg_portid_ok(message, nl->port_id))
            continue;
        if (message->nlmsg_flags & NLM_F_DUMP_INTR)
            x->is_incomplete = true;
        if (nl_verdict_parse(message, &x->verdict))
            return true;
        if (message->nlmsg_type < NLMSG_MIN_TYPE)
            continue;
        pass_on(x, message);
        if (x->is_single)
            return true;
    }
    return false;
}

static int take_answer(struct nl *nl, struct exchange *x)
{
    for (;;) {
        size_t n;
        int r = nl_socket_receive(nl, NL_WAIT, &n);

        if (r == -EMSGSIZE) {
            x->is_incomplete = true;
            if (x->is_single)
                return 0;
            continue;
        }
        if (r == -ENOBUFS)
            return err_sys(ENOBUFS, "the kernel's answer got lost");
        if (r < 0)
            return r;
        if (take_datagram(nl, n, x))
            break;
    }
    if (x->verdict.result < 0)
        return nl_verdict_fail(&x->verdict);
    return x->fn_result;
}

static int exchange_once(struct nl *nl, struct nlmsghdr *request, struct exchange *x)
{
    int r;

    request->nlmsg_seq = ++nl->sequence;
    request->nlmsg_pid = nl->port_id;
    r = nl_socket_send(nl, request, request->nlmsg_len);
    if (r < 0)
        return r;
    return take_answer(nl, x);
}

/* Again as long as what came was incomplete. */
static int exchange(struct nl *nl, struct nlmsghdr *request, void (*begin)(void *data),
                    const struct exchange *start)
{
    assert(request->nlmsg_len <= NL_REQUEST_MAX);
    for (int attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
        struct exchange x = *start;
        int r;

        if (begin)
            begin(x.data);
        r = exchange_once(nl, request, &x);
        if (r < 0 || !x.is_incomplete)
            return r;
    }
    return err_fail(EAGAIN, "what was to be listed changed during each of %d attempts",
                    DUMP_ATTEMPTS);
}

int nl_transact(struct nl *nl, struct nlmsghdr *request)
{
    request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    return exchange(nl, request, NULL, &(struct exchange){.fn = NULL});
}

int nl_query(struct nl *nl, struct nlmsghdr *request, nl_message_fn fn, void *data)
{
    request->nlmsg_flags |= NLM_F_REQUEST;
    return exchange(nl, request, NULL,
                    &(struct exchange){.fn = fn, .data = data, .is_single = true});
}

int nl_dump(struct nl *nl, struct nlmsghdr *request, void (*begin)(void *data), nl_message_fn fn,
            void *data)
{
    request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
    return exchange(nl, request, begin, &(struct exchange){.fn = fn, .data = data});
}
