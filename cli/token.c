/* quiltctl token: what lets new nodes join, and people and programs use the API. */
#include <stdio.h>
#include <string.h>

#include "cli/edge.h"
#include "cli/local.h"
#include "cli/view.h"
#include "lib/api/access_token.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/parse.h"
#include "lib/base/secret.h"

/* ---- the line to join with ------------------------------------------------------------------- */

static bool is_of_this_host(const char *url)
{
    const char *host = url + strlen("https://");

    return strncmp(host, "127.", strlen("127.")) == 0 ||
           strncmp(host, "localhost", strlen("localhost")) == 0;
}

/* What others call the control plane that has just answered; by a loopback address they do not find
 * it. Caller frees. */
static char *url_for_others(const struct cli *cli)
{
    const char *url = cli->control_plane, *host = url + strlen("https://");
    const char *port = strchr(host, ':');
    AUTO_FREE char *told = local_url(cli);
    uint32_t addrs[LOCAL_ADDRS_MAX];
    char text[IP4_TEXT_SIZE];
    size_t count;

    if (!is_of_this_host(url))
        return mem_strdup(url);
    if (told && !is_of_this_host(told))
        return TAKE_PTR(told);
    count = local_addrs(cli, addrs);
    for (size_t i = 0; i < count; i++)
        if (!ip4_is_loopback(addrs[i]))
            return mem_printf("https://%s%s", ip4_format(addrs[i], text), port ? port : "");
    return mem_printf("https://CONTROL_PLANE%s", port ? port : "");
}

/* How the token is used; for a node, as the control plane says it at its first start. Caller frees.
 */
static char *line_with(const struct cli *cli, const char *option, const char *token)
{
    bool is_for_nodes = !cli->role || strcmp(cli->role, "node") == 0;
    AUTO_FREE char *url = url_for_others(cli);

    if (is_for_nodes)
        return mem_printf("quilt-mesh-agent --control-plane %s --host-ip HOST_IP %s %s", url,
                          option, token);
    return mem_printf("quiltctl --control-plane %s %s %s VERB", url, option, token);
}

/* ---- making ---------------------------------------------------------------------------------- */

static void add_number(json_t *wish, const char *key, int64_t n)
{
    if (n != CLI_NOT_GIVEN)
        (void)json_object_set_new(wish, key, json_integer(n));
}

/* Caller frees. */
static char *make_wish(const struct cli *cli)
{
    AUTO_JSON json_t *wish = json_pack("{s:s}", "role", cli->role ? cli->role : "node");

    add_number(wish, "ttl_secs", cli->ttl_s != CLI_NOT_GIVEN ? cli->ttl_s : cli->ttl_secs);
    add_number(wish, "max_uses", cli->max_uses);
    return json_to_text(wish);
}

static int output_line(const char *text)
{
    int r = output_text(text);

    return r < 0 ? r : output_text("\n");
}

/* The secret is on standard output and nowhere else: standard error often ends up in a log. */
static int print_alone(const struct cli *cli, const char *token, const char *use)
{
    AUTO_FREE char *hint = line_with(cli, "--token-file", "FILE");
    int r = output_line(token);

    if (r == 0)
        (void)fprintf(stderr, "%s; it is not shown again. With the token in a file:\n    %s\n", use,
                      hint);
    return r;
}

static int print_token(const struct cli *cli, const json_t *made)
{
    AUTO_ACCESS_TOKEN struct access_token parts = {0};
    AUTO_STRBUF struct strbuf use = {0};
    AUTO_SECRET char *line = NULL;
    const char *token;
    int r = view_token_use(made, &use);

    if (r == 0)
        r = json_get_string(made, "token", &token);
    if (r == 0)
        r = access_token_parse(token, &parts);
    if (r < 0)
        return err_wrap(r, "make a token: the answer makes no sense");
    if (cli->format != OUTPUT_WIDE)
        return print_alone(cli, token, use.data);
    line = line_with(cli, "--token", token);
    return output_line(line);
}

int cmd_token_create(struct cli *cli, char **args)
{
    AUTO_FREE char *wish = make_wish(cli);
    AUTO_JSON json_t *made = NULL;
    int r = edge_control_send(cli, "POST", "/api/tokens", wish, "make a token", &made);

    if (r < 0)
        return r;
    return cli->format == OUTPUT_JSON ? output_json(made) : print_token(cli, made);
}

/* ---- the others ------------------------------------------------------------------------------ */

static int print_tokens(const struct cli *cli, const json_t *list)
{
    CLEANUP(table_deinit) struct table table;
    int r = view_tokens(list, clock_unix_s(), cli->format == OUTPUT_WIDE, &table);

    return r < 0 ? err_wrap(r, "list tokens: the answer makes no sense") : output_table(&table);
}

int cmd_token_ls(struct cli *cli, char **args)
{
    AUTO_JSON json_t *body = NULL;
    const json_t *list;
    int r = edge_control_list(cli, "/api/tokens", "tokens", "list tokens", &body);

    if (r < 0)
        return r;
    list = json_object_get(body, "tokens");
    return cli->format == OUTPUT_JSON ? output_json(list) : print_tokens(cli, list);
}

int cmd_token_rm(struct cli *cli, char **args)
{
    static const char what[] = "remove a token";
    AUTO_JSON json_t *said = json_pack("{s:s}", "removed", args[0]);
    AUTO_FREE char *path = NULL, *words = NULL;
    int r = parse_id(args[0]);

    if (r < 0)
        return output_misuse(what);
    path = mem_printf("/api/tokens/%s", args[0]);
    r = edge_control(cli, "DELETE", path, what, NULL);
    if (r < 0)
        return r;
    words = mem_printf("removed token %s; nodes that joined with it stay\n", args[0]);
    return cli->format == OUTPUT_JSON ? output_json(said) : output_text(words);
}
