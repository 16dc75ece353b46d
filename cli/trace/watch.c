/* A packet socket on all devices: it sees what comes before, and what leaves after, any firewall
 * and any program of the fast path. */
#include "cli/trace/watch.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "lib/api/mesh.h"
#include "lib/base/error.h"

#define PACKET_SIZE 256
#define BUFFER_BYTES (4 << 20)
/* More than the buffer holds: what came before is read, and a busy host keeps nobody here. */
#define TAKE_MAX 16384

int watch_open(struct watch *watch, int overlay_ifindex, int veth_ifindex)
{
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
    int size = BUFFER_BYTES;

    if (fd < 0)
        return err_sys(errno, "watch the host's devices");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    *watch =
        (struct watch){.fd = fd, .overlay_ifindex = overlay_ifindex, .veth_ifindex = veth_ifindex};
    return 0;
}

static void note(const struct watch *watch, const struct sockaddr_ll *where, enum flow_part part,
                 bool is_inside, struct journey *journey)
{
    bool is_leaving = where->sll_pkttype == PACKET_OUTGOING;
    bool is_overlay = where->sll_ifindex == watch->overlay_ifindex;

    bool is_back = part == FLOW_ANSWER || part == FLOW_ERROR;

    if (part == FLOW_REQUEST && !is_inside && !is_leaving &&
        where->sll_ifindex == watch->veth_ifindex)
        journey->seen[POINT_VETH_OUT] = true;
    if (part == FLOW_REQUEST && !is_inside && is_leaving && is_overlay)
        journey->seen[POINT_OVERLAY_OUT] = true;
    if (part == FLOW_REQUEST && is_inside && is_leaving)
        journey->seen[POINT_WIRE_OUT] = true;
    if (is_back && is_inside && !is_leaving)
        journey->seen[POINT_WIRE_IN] = true;
    if (is_back && !is_inside && !is_leaving && is_overlay)
        journey->seen[POINT_OVERLAY_IN] = true;
    if (part == FLOW_ERROR && is_inside && !is_leaving)
        journey->is_refused = true;
}

void watch_take(struct watch *watch, const struct flow *flow, struct journey *journey)
{
    uint8_t packet[PACKET_SIZE];
    struct sockaddr_ll where;

    for (int i = 0; i < TAKE_MAX; i++) {
        socklen_t size = sizeof where;
        bool is_inside;
        ssize_t n = recvfrom(watch->fd, packet, sizeof packet, 0, (struct sockaddr *)&where, &size);

        if (n < 0)
            return;
        if (n > 0 && where.sll_protocol == htons(ETH_P_IP)) {
            enum flow_part part =
                flow_recognize(flow, packet, (size_t)n, MESH_VXLAN_PORT, &is_inside);

            note(watch, &where, part, is_inside, journey);
        }
    }
}

void watch_close(struct watch *watch)
{
    if (watch->fd >= 0)
        (void)close(watch->fd);
}
