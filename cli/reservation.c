/* quiltctl node reserve, reservation ls, reservation rm: subnets that are set aside for hosts. */
#include "lib/api/reservation.h"
#include "cli/edge.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"

static int print_table(const json_t *list)
{
    static const char *const headers[] = {"HOST", "SUBNET", "RESERVED", NULL};
    CLEANUP(table_deinit) struct table table;
    char subnet[IP4_PREFIX_TEXT_SIZE], age[AGE_TEXT_SIZE];
    struct api_reservation reservation;
    const json_t *item;
    size_t i;

    table_init(&table, headers);
    json_array_foreach (list, i, item) {
        int r = api_reservation_from_json(item, &reservation);

        if (r < 0)
            return err_wrap(r, "list reservations: the answer makes no sense");
        table_add(&table, reservation.host);
        table_add(&table, ip4_prefix_format(reservation.subnet, subnet));
        table_add(&table, age_format(reservation.created_at, clock_unix_s(), age));
    }
    return output_table(&table);
}

int cmd_reservation_ls(struct cli *cli, char **args)
{
    AUTO_JSON json_t *body = NULL;
    const json_t *list;
    int r = edge_control_list(cli, "/api/reservations", "reservations", "list reservations", &body);

    if (r < 0)
        return r;
    list = json_object_get(body, "reservations");
    return cli->format == OUTPUT_JSON ? output_json(list) : print_table(list);
}

/* The path of this host's reservation; names have nothing in them that a path would read in another
 * way. */
static int path_of(const char *word, char **ret_path)
{
    char host[HOSTNAME_TEXT_SIZE];
    int r = api_reservation_host(word, host);

    if (r < 0)
        return r;
    *ret_path = mem_printf("/api/reservations/%s", host);
    return 0;
}

static int say(const struct cli *cli, const json_t *said, const char *words)
{
    return cli->format == OUTPUT_JSON ? output_json(said) : output_text(words);
}

int cmd_node_reserve(struct cli *cli, char **args)
{
    static const char what[] = "reserve a subnet";
    AUTO_JSON json_t *wish = json_pack("{s:s}", "subnet", args[1]);
    AUTO_FREE char *json = NULL, *path = NULL, *words = NULL;
    AUTO_JSON json_t *body = NULL;
    struct ip4_prefix subnet;
    int r = path_of(args[0], &path);

    if (r == 0)
        r = ip4_prefix_parse(args[1], &subnet);
    if (r < 0)
        return output_misuse(what);
    json = json_to_text(wish);
    r = edge_control_send(cli, "PUT", path, json, what, &body);
    words = mem_printf("reserved %s for %s\n", args[1], args[0]);
    return r < 0 ? r : say(cli, body, words);
}

int cmd_reservation_rm(struct cli *cli, char **args)
{
    static const char what[] = "take a reservation back";
    AUTO_FREE char *path = NULL, *words = NULL;
    AUTO_JSON json_t *said = json_pack("{s:s}", "host", args[0]);
    int r = path_of(args[0], &path);

    if (r < 0)
        return output_misuse(what);
    r = edge_control(cli, "DELETE", path, what, NULL);
    words = mem_printf("nothing is reserved for %s any more\n", args[0]);
    return r < 0 ? r : say(cli, said, words);
}
