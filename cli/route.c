/* quiltctl route: the routes to the other nodes' networks, as the runtime keeps them. */
#include "cli/edge.h"

static json_t *routes_to_json(const Quilt__ListRoutesReply *reply)
{
    json_t *list = json_array();

    for (size_t i = 0; i < reply->n_routes; i++) {
        const Quilt__Route *route = reply->routes[i];

        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:b, s:s}", "destination",
                                                    route->destination, "via_interface",
                                                    route->via_interface, "gateway", route->gateway,
                                                    "mtu", (json_int_t)route->mtu, "in_kernel",
                                                    route->in_kernel, "problem", route->problem));
    }
    return list;
}

int cmd_route_ls(struct cli *cli, char **args)
{
    static const char *const headers[] = {"DESTINATION", "GATEWAY", "INTERFACE", "MTU",
                                          "IN-KERNEL",   "PROBLEM", NULL};
    Quilt__ListRoutesRequest request = QUILT__LIST_ROUTES_REQUEST__INIT;
    CLEANUP(table_deinit) struct table table;
    const Quilt__ListRoutesReply *reply;
    AUTO_REPLY ProtobufCMessage *answer = NULL;
    AUTO_JSON json_t *list = NULL;
    int r;

    table_init(&table, headers);
    r = edge_runtime(cli, "ListRoutes", &request.base, &quilt__list_routes_reply__descriptor,
                     "list routes", &answer);
    if (r < 0)
        return r;
    reply = (const Quilt__ListRoutesReply *)(const void *)answer;
    if (cli->format == OUTPUT_JSON) {
        list = routes_to_json(reply);
        return output_json(list);
    }
    for (size_t i = 0; i < reply->n_routes; i++) {
        const Quilt__Route *route = reply->routes[i];

        table_add(&table, route->destination);
        table_add(&table, route->gateway);
        table_add(&table, route->via_interface);
        if (route->mtu)
            table_addf(&table, "%u", route->mtu);
        else
            table_add(&table, NULL);
        table_add(&table, route->in_kernel ? "yes" : "no");
        table_add(&table, route->problem);
    }
    return output_table(&table);
}
