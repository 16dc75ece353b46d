/* Asks the kernel for one socket. */
#include "lib/net/owner.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>

#include "lib/base/error.h"
#include "lib/net/netlink.h"
#include "lib/net/socket.h"

static void fill_request(union nl_request *request, const struct owner_question *question)
{
    struct inet_diag_req_v2 *ask;

    mnl_nlmsg_put_header(request);
    request->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request->header.nlmsg_flags = NLM_F_REQUEST;
    ask = mnl_nlmsg_put_extra_header(&request->header, sizeof *ask);
    ask->sdiag_family = AF_INET;
    ask->sdiag_protocol = IPPROTO_TCP;
    ask->idiag_states = 1U << TCP_ESTABLISHED;
    ask->id.idiag_sport = htons(question->local_port);
    ask->id.idiag_dport = htons(question->remote_port);
    ask->id.idiag_src[0] = htonl(question->local_addr);
    ask->id.idiag_dst[0] = htonl(question->remote_addr);
    ask->id.idiag_cookie[0] = ask->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
}

struct answer {
    bool is_open;
    uint32_t uid;
};

/* A socket that is being closed, or that nobody holds any more, is told as root's: it has no owner,
 * and so no inode either. */
static int take_answer(const struct nlmsghdr *message, void *data)
{
    const struct inet_diag_msg *told = mnl_nlmsg_get_payload(message);
    struct answer *answer = data;

    if (mnl_nlmsg_get_payload_len(message) < sizeof *told)
        return err_fail(EBADMSG, "the kernel's answer is too short");
    answer->is_open = told->idiag_state == TCP_ESTABLISHED && told->idiag_inode != 0;
    answer->uid = told->idiag_uid;
    return 0;
}

int owner_find(const struct owner_question *question, uint32_t *ret_uid)
{
    union nl_request request;
    struct answer answer = {0};
    AUTO_NL struct nl *nl = NULL;
    int r = nl_socket_open(NETLINK_SOCK_DIAG, &nl);

    if (r == 0) {
        fill_request(&request, question);
        r = nl_query(nl, &request.header, take_answer, &answer);
    }
    if (r < 0)
        return err_wrap(r, "find a socket's owner");
    if (!answer.is_open)
        return err_fail(ENOENT, "find a socket's owner: it is closed");
    *ret_uid = answer.uid;
    return 0;
}
