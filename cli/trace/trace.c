/* quiltctl trace: the way as the kernel has it, then a packet that is followed. */
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "cli/ping.h"
#include "cli/trace/hop.h"
#include "cli/trace/look.h"
#include "cli/trace/send.h"
#include "cli/trace/watch.h"
#include "lib/api/mesh.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/net/netns.h"

#define ROUNDS 3
#define ROUND_MS 300
#define STEP_MS 5
/* A daemon that hangs is waited for so long. */
#define PATIENCE_MS 2000

static int parse_port(const char *protocol, const char *text, struct flow *flow)
{
    uint64_t number = 0;

    if (flow->protocol == IPPROTO_ICMP && text)
        return err_fail(EINVAL, "icmp has no port; tcp and udp have");
    if (flow->protocol == IPPROTO_ICMP)
        return 0;
    if (!text)
        return err_fail(EINVAL, "%s needs a port: quiltctl trace SRC DST %s 80", protocol,
                        protocol);
    if (parse_u64(text, UINT16_MAX, &number) < 0 || number == 0)
        return err_fail(EINVAL, "'%.32s' is not a port: one is 1 to 65535", text);
    flow->port = (uint16_t)number;
    return 0;
}

static int parse_protocol(const char *word, const char *port, struct flow *flow)
{
    static const struct {
        const char *name;
        uint8_t protocol;
    } rows[] = {{"icmp", IPPROTO_ICMP}, {"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}};

    flow->protocol = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!word || strcmp(word, rows[i].name) == 0) {
            flow->protocol = rows[i].protocol;
            break;
        }
    if (flow->protocol == 0)
        return err_fail(EINVAL, "'%.32s' is not one of icmp, tcp, udp", word);
    return parse_port(word, port, flow);
}

static int parse_address(const char *word, uint32_t *ret_addr)
{
    int r = ip4_parse(word, ret_addr);

    return r < 0 ? err_fail(-r, "%s; 'quiltctl endpoint ls' shows those of a node's containers",
                            err_text())
                 : r;
}

static int parse_flow(char **args, struct flow *flow)
{
    int r = parse_address(args[0], &flow->from);

    if (r == 0)
        r = parse_address(args[1], &flow->to);
    if (r == 0)
        r = parse_protocol(args[2], args[2] ? args[3] : NULL, flow);
    return r;
}

static void follow(int fd, struct watch *watch, const struct flow *flow, struct journey *journey)
{
    for (int round = 0; round < ROUNDS && !journey->is_answered; round++) {
        int64_t end_ms = clock_boot_ms() + ROUND_MS;

        send_packet(fd, flow);
        do {
            (void)poll(NULL, 0, STEP_MS);
            watch_take(watch, flow, journey);
            journey->is_answered = send_is_answered(fd, flow);
        } while (!journey->is_answered && clock_boot_ms() < end_ms);
    }
}

/* Who is asked only when nothing came back. */
static void ask_peer(const struct look *look, struct journey *journey)
{
    struct ping_target vtep = {.addr = look->vtep}, host = {.addr = look->host_ip};

    if (look->vtep != 0 && ping_run(MESH_DEVICE_NAME, &vtep, 1) == 0)
        journey->answers_vtep = vtep.has_answered;
    if (look->host_ip != 0 && ping_run(NULL, &host, 1) == 0)
        journey->answers_host = host.has_answered;
}

static int send_and_follow(const struct look *look, struct flow *flow, struct journey *journey)
{
    AUTO_WATCH struct watch watch = {.fd = -1};
    AUTO_CLOSE int netns = -1, fd = -1;
    struct netns_id id;
    int r = netns_open(look->netns, &netns, &id);

    if (r == 0)
        r = watch_open(&watch, look->overlay_ifindex, look->veth_ifindex);
    if (r == 0)
        r = send_open(netns, flow, &fd);
    if (r < 0)
        return err_wrap(r, "send a packet from %s", look->netns);
    journey->was_sent = true;
    journey->is_local = look->is_target_here;
    journey->is_udp = flow->protocol == IPPROTO_UDP;
    follow(fd, &watch, flow, journey);
    if (!journey->is_answered)
        ask_peer(look, journey);
    return 0;
}

/* A container that is not as it was made is a hop that is broken, and no failure of ours. */
static int try_to_send(const struct look *look, struct flow *flow, struct journey *journey,
                       struct hops *hops)
{
    int r = send_and_follow(look, flow, journey);

    if (r != -EADDRNOTAVAIL && r != -ENOENT)
        return r;
    journey->was_impossible = true;
    hops_add(hops, "container", HOP_BROKEN,
             r == -ENOENT ? mem_strdup(err_text())
                          : mem_printf("its address is not there inside, its device is gone or was "
                                       "changed by hand; %s puts it right",
                                       look->attach));
    return 0;
}

static int show(const struct cli *cli, const struct hops *hops, const struct journey *journey)
{
    AUTO_FREE char *why = NULL;
    AUTO_STRBUF struct strbuf text = {0};
    AUTO_JSON json_t *json = NULL;
    const char *end = journey_end(journey, hops, &why);
    int r;

    if (cli->format == OUTPUT_JSON) {
        json = trace_to_json(hops, journey, end, why);
        r = output_json(json);
    } else {
        trace_print(hops, journey, end, why, &text);
        r = output_text(text.data);
    }
    return r < 0 ? r : end ? EXIT_FAILURE : 0;
}

int cmd_trace(struct cli *cli, char **args)
{
    CLEANUP(hops_deinit) struct hops hops = {0};
    CLEANUP(look_deinit) struct look look = {0};
    struct journey journey = {0};
    struct flow flow = {0};
    int r = parse_flow(args, &flow);

    if (r < 0)
        return output_misuse("trace");
    cli->patience_ms = PATIENCE_MS;
    r = look_at_way(cli, &flow, &look, &hops);
    if (r == 0 && look.netns)
        r = try_to_send(&look, &flow, &journey, &hops);
    return r < 0 ? r : show(cli, &hops, &journey);
}
