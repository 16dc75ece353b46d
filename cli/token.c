/* quiltctl token: what lets new nodes join, and people use the API. */
#include <stdio.h>
#include <string.h>

#include "cli/edge.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/parse.h"

#define FOR_EVER "0"

/* ---- making ---------------------------------------------------------------------------------- */

static int add_ttl(json_t *wish, const char *ttl)
{
    int64_t ttl_s = 0;
    int r = strcmp(ttl, FOR_EVER) == 0 ? 0 : parse_lifetime_s(ttl, &ttl_s);

    if (r == 0)
        (void)json_object_set_new(wish, "ttl_secs", json_integer(ttl_s));
    return r < 0 ? err_wrap(r, "--ttl") : 0;
}

static int add_max_uses(json_t *wish, const char *max_uses)
{
    uint64_t n = 0;
    int r = parse_u64(max_uses, UINT32_MAX, &n);

    if (r == 0)
        (void)json_object_set_new(wish, "max_uses", json_integer((json_int_t)n));
    return r < 0 ? err_wrap(r, "--max-uses") : 0;
}

static int make_wish(const struct cli *cli, json_t **ret_wish)
{
    AUTO_JSON json_t *wish = json_pack("{s:s}", "role", cli->role ? cli->role : "node");
    int r = wish ? 0 : err_fail(EINVAL, "--role: is no UTF-8");

    if (r == 0 && cli->ttl)
        r = add_ttl(wish, cli->ttl);
    if (r == 0 && cli->max_uses)
        r = add_max_uses(wish, cli->max_uses);
    if (r == 0)
        *ret_wish = TAKE_PTR(wish);
    return r;
}

/* The token alone goes to standard output, for $(...); what it is for, to the person. */
static int print_token(const struct cli *cli, const json_t *made)
{
    AUTO_FREE char *line = NULL;
    const char *token, *role;

    if (json_get_string(made, "token", &token) < 0 || json_get_string(made, "role", &role) < 0)
        return err_fail(EREMOTEIO, "make a token: the answer has none; is this the right URL?");
    if (strcmp(role, "node") == 0)
        (void)fprintf(stderr,
                      "to join, on the new host: quilt-mesh-agent --control-plane %s "
                      "--host-ip HOST_IP --token TOKEN\n",
                      cli->control_planes.items[0]);
    line = mem_printf("%s\n", token);
    return output_text(line);
}

int cmd_token_create(struct cli *cli, char **args)
{
    AUTO_JSON json_t *wish = NULL, *made = NULL;
    AUTO_FREE char *json = NULL;
    int r = make_wish(cli, &wish);

    if (r < 0)
        return r;
    json = json_to_text(wish);
    r = edge_control_send(cli, "POST", "/api/tokens", json, "make a token", &made);
    if (r < 0)
        return r;
    return cli->format == OUTPUT_JSON ? output_json(made) : print_token(cli, made);
}

/* ---- the others ------------------------------------------------------------------------------ */

/* "in 3h", "never", "expired 2d ago" */
static void add_expiry(struct table *table, const json_t *token)
{
    char age[AGE_TEXT_SIZE];
    int64_t at = 0, now = clock_unix_s();

    if (json_get_int(token, "expires_at", 1, INT64_MAX, &at) < 0)
        table_add(table, "never");
    else if (at > now)
        table_addf(table, "in %s", span_format(at - now, age));
    else
        table_addf(table, "expired %s", age_format(at, now, age));
}

static void add_uses(struct table *table, const json_t *token)
{
    int64_t uses = 0, max = 0;

    (void)json_get_int(token, "uses", 0, INT64_MAX, &uses);
    if (json_get_int(token, "max_uses", 1, INT64_MAX, &max) < 0)
        table_add(table, "any number");
    else
        table_addf(table, "%lld of %lld", (long long)uses, (long long)max);
}

static int print_tokens(const json_t *list)
{
    static const char *const headers[] = {"ID", "ROLE", "EXPIRES", "USES", "MADE", NULL};
    CLEANUP(table_deinit) struct table table;
    char age[AGE_TEXT_SIZE];
    const json_t *token;
    size_t i;

    table_init(&table, headers);
    json_array_foreach (list, i, token) {
        const char *id = NULL, *role = NULL;
        int64_t made_at = 0;

        (void)json_get_string(token, "id", &id);
        (void)json_get_string(token, "role", &role);
        (void)json_get_int(token, "created_at", 0, INT64_MAX, &made_at);
        table_add(&table, id);
        table_add(&table, role);
        add_expiry(&table, token);
        add_uses(&table, token);
        table_add(&table, age_format(made_at, clock_unix_s(), age));
    }
    return output_table(&table);
}

int cmd_token_ls(struct cli *cli, char **args)
{
    AUTO_JSON json_t *body = NULL;
    const json_t *list;
    int r = edge_control(cli, "GET", "/api/tokens", "list tokens", &body);

    if (r == 0 && json_get_array(body, "tokens", &list) < 0)
        r = err_fail(EREMOTEIO, "list tokens: the answer has no list; is this the right URL?");
    if (r < 0)
        return r;
    return cli->format == OUTPUT_JSON ? output_json(list) : print_tokens(list);
}

int cmd_token_rm(struct cli *cli, char **args)
{
    static const char what[] = "remove a token";
    AUTO_JSON json_t *said = json_pack("{s:s}", "id", args[0]);
    AUTO_FREE char *path = NULL, *words = NULL;
    int r = parse_id(args[0]);

    if (r < 0)
        return err_wrap(r, "%s", what);
    path = mem_printf("/api/tokens/%s", args[0]);
    r = edge_control(cli, "DELETE", path, what, NULL);
    words = mem_printf("the token %s is worthless now\n", args[0]);
    if (r < 0)
        return r;
    return cli->format == OUTPUT_JSON ? output_json(said) : output_text(words);
}
