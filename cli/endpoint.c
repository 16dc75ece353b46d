/* quiltctl endpoint: network namespaces of this node on the mesh. */
#include <string.h>
#include <unistd.h>

#include "cli/edge.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/parse.h"

#define USUAL_IFNAME "eth0"
#define NETNS_DIR "/run/netns/"

/* A name is one of `ip netns`; anything with a slash is a path. Caller frees. */
static char *netns_path(const char *word)
{
    return strchr(word, '/') ? mem_strdup(word) : mem_printf(NETNS_DIR "%s", word);
}

static int check_names(const struct cli *cli, const char *id)
{
    int r = parse_id(id);

    if (r == 0 && cli->ifname)
        r = parse_ifname(cli->ifname);
    return r;
}

static int print_attached(const struct cli *cli, const char *id,
                          const Quilt__AttachEndpointReply *reply)
{
    const char *ifname = cli->ifname ? cli->ifname : USUAL_IFNAME;
    AUTO_STRBUF struct strbuf text = {0};
    AUTO_FREE char *line = NULL;
    AUTO_JSON json_t *said = NULL;

    if (cli->format == OUTPUT_JSON) {
        said = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "id", id, "ifname", ifname, "ip",
                         reply->ip, "gateway", reply->gateway, "mac", reply->mac, "mtu",
                         (json_int_t)reply->mtu, "host_ifname", reply->host_ifname);
        return said ? output_json(said) : err_fail(EREMOTEIO, "the answer is not text");
    }
    line = mem_printf("%s: %s on %s via %s, mtu %u, outside %s", id, reply->ip, ifname,
                      reply->gateway, reply->mtu, reply->host_ifname);
    strbuf_add_printable(&text, line);
    strbuf_adds(&text, "\n");
    return output_text(text.data);
}

static int fail_to_attach(const char *what, const char *error, const char *word, const char *netns)
{
    int r = edge_refused(what, error);

    if (strchr(word, '/') || access(netns, F_OK) == 0)
        return r;
    return err_fail(-r, "%s; there is no namespace %s: 'ip netns add %s' makes it", err_text(),
                    word, word);
}

int cmd_endpoint_attach(struct cli *cli, char **args)
{
    AUTO_FREE char *what = mem_printf("attach endpoint %s", args[0]);
    Quilt__AttachEndpointRequest request = QUILT__ATTACH_ENDPOINT_REQUEST__INIT;
    AUTO_FREE char *netns = netns_path(args[1]);
    const Quilt__AttachEndpointReply *reply;
    AUTO_REPLY ProtobufCMessage *answer = NULL;
    int r;

    r = check_names(cli, args[0]);
    if (r < 0)
        return output_misuse("attach endpoint");
    request.id = args[0];
    request.netns = netns;
    if (cli->ifname)
        request.ifname = (char *)(uintptr_t)cli->ifname;
    if (cli->ip)
        request.ip = (char *)(uintptr_t)cli->ip;
    r = edge_runtime(cli, "AttachEndpoint", &request.base,
                     &quilt__attach_endpoint_reply__descriptor, what, &answer);
    if (r < 0)
        return r;
    reply = (const Quilt__AttachEndpointReply *)(const void *)answer;
    if (!reply->success)
        return fail_to_attach(what, reply->error, args[1], netns);
    return print_attached(cli, args[0], reply);
}

/* Gone is gone, and a success; that there was none may be a slip. */
static int print_detached(const struct cli *cli, const char *id,
                          const Quilt__DetachEndpointReply *reply)
{
    const char *ifname = cli->ifname ? cli->ifname : USUAL_IFNAME;
    AUTO_FREE char *text = NULL;
    AUTO_JSON json_t *said = NULL;

    if (cli->format == OUTPUT_JSON) {
        said = json_pack("{s:s, s:b}", "detached", id, "was_attached", !reply->was_absent);
        return output_json(said);
    }
    if (reply->was_absent)
        text = mem_printf("no endpoint %s was attached as %s; 'quiltctl endpoint ls' lists them\n",
                          id, ifname);
    else
        text = mem_printf("detached %s\n", id);
    return output_text(text);
}

int cmd_endpoint_detach(struct cli *cli, char **args)
{
    AUTO_FREE char *what = mem_printf("detach endpoint %s", args[0]);
    Quilt__DetachEndpointRequest request = QUILT__DETACH_ENDPOINT_REQUEST__INIT;
    const Quilt__DetachEndpointReply *reply;
    AUTO_REPLY ProtobufCMessage *answer = NULL;
    int r;

    r = check_names(cli, args[0]);
    if (r < 0)
        return output_misuse("detach endpoint");
    request.id = args[0];
    if (cli->ifname)
        request.ifname = (char *)(uintptr_t)cli->ifname;
    r = edge_runtime(cli, "DetachEndpoint", &request.base,
                     &quilt__detach_endpoint_reply__descriptor, what, &answer);
    if (r < 0)
        return r;
    reply = (const Quilt__DetachEndpointReply *)(const void *)answer;
    if (!reply->success)
        return edge_refused(what, reply->error);
    return print_detached(cli, args[0], reply);
}

static json_t *endpoints_to_json(const Quilt__ListEndpointsReply *reply)
{
    json_t *list = json_array();

    for (size_t i = 0; i < reply->n_endpoints; i++) {
        const Quilt__Endpoint *e = reply->endpoints[i];

        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "id", e->id, "netns", e->netns,
                            "ifname", e->ifname, "ip", e->ip, "mac", e->mac, "host_ifname",
                            e->host_ifname, "created_at", (json_int_t)e->created_at));
    }
    return list;
}

static void add_endpoint(struct table *table, const Quilt__Endpoint *e, bool is_wide)
{
    char age[AGE_TEXT_SIZE];

    table_add(table, e->id);
    table_add(table, e->ifname);
    table_add(table, e->ip);
    table_add(table, e->netns);
    table_add(table, age_format(e->created_at, clock_unix_s(), age));
    if (!is_wide)
        return;
    table_add(table, e->mac);
    table_add(table, e->host_ifname);
}

int cmd_endpoint_ls(struct cli *cli, char **args)
{
    static const char *const headers[] = {"ID", "IFNAME", "IP", "NETNS", "ATTACHED", NULL};
    static const char *const wide_headers[] = {"ID",       "IFNAME", "IP",          "NETNS",
                                               "ATTACHED", "MAC",    "HOST-IFNAME", NULL};
    bool is_wide = cli->format == OUTPUT_WIDE;
    Quilt__ListEndpointsRequest request = QUILT__LIST_ENDPOINTS_REQUEST__INIT;
    CLEANUP(table_deinit) struct table table;
    const Quilt__ListEndpointsReply *reply;
    AUTO_REPLY ProtobufCMessage *answer = NULL;
    AUTO_JSON json_t *list = NULL;
    int r;

    table_init(&table, is_wide ? wide_headers : headers);
    r = edge_runtime(cli, "ListEndpoints", &request.base, &quilt__list_endpoints_reply__descriptor,
                     "list endpoints", &answer);
    if (r < 0)
        return r;
    reply = (const Quilt__ListEndpointsReply *)(const void *)answer;
    if (cli->format == OUTPUT_JSON) {
        list = endpoints_to_json(reply);
        return output_json(list);
    }
    for (size_t i = 0; i < reply->n_endpoints; i++)
        add_endpoint(&table, reply->endpoints[i], is_wide);
    return output_table(&table);
}
