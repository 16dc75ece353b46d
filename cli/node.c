/* quiltctl node: the nodes as the control plane knows them, and this node's way out. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/edge.h"
#include "cli/socket_table.h"
#include "cli/view.h"
#include "lib/api/node.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/parse.h"
#include "lib/base/secret.h"
#include "lib/http/client.h"

#define STATE_MAX_BYTES (64 * 1024 * 1024)
/* Leaving detaches every endpoint of the node. */
#define LEAVE_PATIENCE_MS 60000

static void cleanup_nodes(struct api_node **nodes)
{
    free(*nodes);
}

static int fetch_nodes(struct cli *cli, json_t **ret_body)
{
    return edge_control_list(cli, "/api/nodes", "nodes", "list nodes", ret_body);
}

static void add_number(struct table *table, int64_t n, const char *unit)
{
    if (n < 0)
        table_add(table, NULL);
    else
        table_addf(table, "%lld%s", (long long)n, unit);
}

static void add_seen(struct table *table, const struct api_node *n, int64_t now_s)
{
    char age[AGE_TEXT_SIZE];
    bool is_vague = n->is_beat_or_later && n->last_heartbeat < now_s;

    table_addf(table, "%s%s", age_format(n->last_heartbeat, now_s, age),
               is_vague ? " or later" : "");
}

static void add_node(struct table *table, const struct api_node *n, bool is_wide)
{
    char addr[IP4_TEXT_SIZE], subnet[IP4_PREFIX_TEXT_SIZE], age[AGE_TEXT_SIZE];
    int64_t now_s = clock_unix_s();

    table_add(table, n->hostname);
    table_add(table, !n->is_up ? "down" : n->is_unknown ? "unknown" : "up");
    table_add(table, ip4_format(n->host_ip, addr));
    table_add(table, ip4_prefix_format(n->subnet, subnet));
    add_seen(table, n, now_s);
    if (!is_wide)
        return;
    add_number(table, n->cpu_cores, "");
    add_number(table, n->ram_mb, " MiB");
    table_add(table, age_format(n->registered_at, now_s, age));
    table_add(table, n->node_id);
}

static int print_nodes(const struct api_node *nodes, size_t count, bool is_wide)
{
    static const char *const headers[] = {"HOSTNAME", "STATUS",    "HOST-IP",
                                          "SUBNET",   "LAST-SEEN", NULL};
    static const char *const wide_headers[] = {"HOSTNAME",  "STATUS", "HOST-IP", "SUBNET",
                                               "LAST-SEEN", "CPUS",   "RAM",     "REGISTERED",
                                               "NODE-ID",   NULL};
    CLEANUP(table_deinit) struct table table;

    table_init(&table, is_wide ? wide_headers : headers);
    for (size_t i = 0; i < count; i++)
        add_node(&table, &nodes[i], is_wide);
    return output_table(&table);
}

int cmd_node_ls(struct cli *cli, char **args)
{
    CLEANUP(cleanup_nodes) struct api_node *nodes = NULL;
    AUTO_JSON json_t *body = NULL;
    size_t count;
    int r;

    r = fetch_nodes(cli, &body);
    if (r < 0)
        return r;
    if (cli->format == OUTPUT_JSON)
        return output_json(json_object_get(body, "nodes"));
    r = api_node_list_from_json(body, &nodes, &count);
    if (r < 0)
        return err_wrap(r, "list nodes: the answer makes no sense");
    return print_nodes(nodes, count, cli->format == OUTPUT_WIDE);
}

/* The ids of the nodes of this name, for a person who has to choose. */
static int fail_ambiguous(const json_t *list, const char *hostname)
{
    AUTO_STRBUF struct strbuf ids = {0};
    const char *name, *id;
    const json_t *node;
    size_t i;

    json_array_foreach (list, i, node)
        if (json_get_string(node, "hostname", &name) == 0 && strcasecmp(name, hostname) == 0 &&
            json_get_string(node, "node_id", &id) == 0)
            strbuf_addf(&ids, " %s", id);
    return err_fail(EINVAL, "find node %s: several nodes have this name; give one of the ids%s",
                    hostname, ids.data);
}

/* The node of this id or host name, from the list. */
static int find_node(struct cli *cli, const char *word, json_t **ret_node)
{
    const char *key = parse_uuid(word) == 0 ? "node_id" : "hostname", *value;
    AUTO_JSON json_t *body = NULL;
    json_t *list, *node, *found = NULL;
    size_t i;
    int r;

    r = fetch_nodes(cli, &body);
    if (r < 0)
        return r;
    list = json_object_get(body, "nodes");
    json_array_foreach (list, i, node) {
        if (json_get_string(node, key, &value) < 0 || strcasecmp(value, word) != 0)
            continue;
        if (found)
            return fail_ambiguous(list, word);
        found = node;
    }
    if (!found)
        return err_fail(ENOENT, "find node %s: there is none; 'quiltctl node ls' lists them", word);
    *ret_node = json_incref(found);
    return 0;
}

static void add_member(struct table *table, const char *key, const json_t *value)
{
    bool is_time = strcmp(key, "registered_at") == 0 || strcmp(key, "last_heartbeat") == 0;
    char age[AGE_TEXT_SIZE];

    table_add(table, key);
    if (is_time && json_is_integer(value)) {
        table_add(table, age_format(json_integer_value(value), clock_unix_s(), age));
    } else if (json_is_string(value)) {
        table_add(table, json_string_value(value));
    } else if (json_is_null(value)) {
        table_add(table, NULL);
    } else {
        AUTO_FREE char *text = json_to_text(value);

        table_add(table, text);
    }
}

int cmd_node_show(struct cli *cli, char **args)
{
    static const char *const headers[] = {"FIELD", "VALUE", NULL};
    CLEANUP(table_deinit) struct table table;
    AUTO_JSON json_t *node = NULL;
    const char *key;
    json_t *value;
    int r;

    table_init(&table, headers);
    r = find_node(cli, args[0], &node);
    if (r < 0)
        return r;
    if (cli->format == OUTPUT_JSON)
        return output_json(node);
    json_object_foreach (node, key, value)
        add_member(&table, key, value);
    return output_table(&table);
}

/* What is done: "removed". */
static int say_done(const struct cli *cli, const char *done, const json_t *node, const char *more)
{
    const char *id = json_string_value(json_object_get(node, "node_id"));
    const char *hostname = json_string_value(json_object_get(node, "hostname"));
    AUTO_STRBUF struct strbuf text = {0};
    AUTO_JSON json_t *said = NULL;

    if (cli->format == OUTPUT_JSON) {
        said = json_pack("{s:s, s:s}", done, id, "hostname", hostname);
        return output_json(said);
    }
    strbuf_addf(&text, "%s node ", done);
    strbuf_add_printable(&text, hostname);
    strbuf_addf(&text, " (%s)%s\n", id, more);
    return output_text(text.data);
}

static void warn_of_agent(const struct cli *cli)
{
    (void)fprintf(stderr, "quiltctl: the node was up; %s\n",
                  http_url_is_tls(cli->control_plane)
                      ? "it is cut off now, and comes back as a new node if it is given an access "
                        "token that is made from now on"
                      : "while its agent runs it will register again ('quiltctl node leave' over "
                        "there ends that)");
}

static int find_joining_tokens(struct cli *cli, struct strbuf *ids)
{
    AUTO_JSON json_t *body = NULL;
    int r = edge_control_list(cli, "/api/tokens", "tokens", "list tokens", &body);

    return r < 0 ? r : view_joining_tokens(json_object_get(body, "tokens"), clock_unix_s(), ids);
}

/* The tokens that there are do not let it in again from its address; but hosts have others. */
static void warn_of_tokens(struct cli *cli)
{
    AUTO_STRBUF struct strbuf ids = {0};

    if (!http_url_is_tls(cli->control_plane))
        return;
    if (find_joining_tokens(cli, &ids) < 0)
        (void)fprintf(stderr, "quiltctl: whether tokens to join with are left is not known: %s\n",
                      err_text());
    else if (ids.len > 0)
        (void)fprintf(stderr,
                      "quiltctl: from another address it could join as another node with a token "
                      "that is still good:%s; 'quiltctl token rm ID' ends one\n",
                      ids.data);
}

/* The node of this id or host name; *ret_path: "/api/nodes/ID" and the suffix. Caller frees. */
static int find_node_path(struct cli *cli, const char *word, const char *suffix, json_t **ret_node,
                          char **ret_path)
{
    AUTO_JSON json_t *node = NULL;
    const char *id, *hostname;
    int r = find_node(cli, word, &node);

    if (r < 0)
        return r;
    if (json_get_string(node, "node_id", &id) < 0 || parse_uuid(id) < 0 ||
        json_get_string(node, "hostname", &hostname) < 0)
        return err_fail(EREMOTEIO, "find node %s: the control plane's answer makes no sense", word);
    *ret_path = mem_printf("/api/nodes/%s%s", id, suffix);
    *ret_node = TAKE_PTR(node);
    return 0;
}

int cmd_node_rm(struct cli *cli, char **args)
{
    AUTO_JSON json_t *node = NULL;
    AUTO_FREE char *path = NULL;
    const char *status;
    int r = find_node_path(cli, args[0], "", &node, &path);

    if (r == 0)
        r = edge_control(cli, "DELETE", path, "remove node", NULL);
    if (r < 0)
        return r;
    if (json_get_string(node, "status", &status) == 0 && strcmp(status, "up") == 0)
        warn_of_agent(cli);
    warn_of_tokens(cli);
    return say_done(cli, "removed", node, "");
}

int cmd_node_revoke(struct cli *cli, char **args)
{
    AUTO_JSON json_t *node = NULL;
    AUTO_FREE char *path = NULL;
    int r = find_node_path(cli, args[0], "/revoke", &node, &path);

    if (r == 0)
        r = edge_control(cli, "POST", path, "revoke node", NULL);
    if (r < 0)
        return r;
    warn_of_tokens(cli);
    return say_done(
        cli, "revoked", node,
        "; it comes back, with its subnet, when its agent is given an access token that "
        "is made from now on");
}

/* {"content":{"identity":{"node_token":"..."}}}, as the agent keeps it. what: the wish, in words.
 */
static int read_token(const struct cli *cli, const char *what, char **ret_token)
{
    AUTO_FREE char *path = mem_printf("%s/agent.json", cli->state_dir);
    AUTO_SECRET char *text = NULL;
    AUTO_JSON json_t *state = NULL;
    const json_t *identity;
    const char *token;
    size_t n;
    int r;

    r = file_read(path, STATE_MAX_BYTES, &text, &n);
    if (r == -ENOENT)
        return err_fail(ENOENT,
                        "%s: %s is not there; has this node joined? "
                        "--state-dir DIR names the agent's other place",
                        what, path);
    if (r == -EACCES)
        return err_fail(EACCES, "%s: %s is for root; be root on this node", what, path);
    if (r < 0)
        return err_wrap(r, "%s", what);
    r = json_parse(text, n, &state);
    if (r < 0)
        return err_wrap(r, "%s: %s is damaged", what, path);
    identity = json_object_get(json_object_get(state, "content"), "identity");
    r = json_get_string(identity, "node_token", &token);
    if (r < 0 && json_object_get(identity, "node_id"))
        return err_fail(ENOKEY,
                        "%s: %s has no token: this node came back without its state; "
                        "start its agent with --on-stop leave and stop it",
                        what, path);
    if (r < 0)
        return err_wrap(r, "%s: %s names no node", what, path);
    *ret_token = mem_strdup(token);
    return 0;
}

#define TABLE_MAX_BYTES (64 * 1024 * 1024)

/* 127.0.0.1:9180 of http://127.0.0.1:9180. Elsewhere than on this host an agent is what somebody
 * has named, and none of this concerns it. */
static int find_agents_port(const struct cli *cli, uint32_t *ret_addr, uint16_t *ret_port)
{
    static const char scheme[] = "http://", name[] = "localhost:";
    const char *host = cli->agent + strlen(scheme);
    AUTO_FREE char *local = NULL;

    if (strncmp(cli->agent, scheme, strlen(scheme)) != 0)
        return -ENOENT;
    if (strncmp(host, name, strlen(name)) == 0)
        local = mem_printf("127.0.0.1:%s", host + strlen(name));
    return parse_addr_port(local ? local : host, ret_addr, ret_port) < 0 ? -ENOENT : 0;
}

/* While no agent runs, its port is free for every user of this host. The token is for who could
 * read it anyway: root, and who has the file. */
static int check_listener(const struct cli *cli, const char *what)
{
    AUTO_FREE char *path = mem_printf("%s/agent.json", cli->state_dir), *tcp = NULL, *tcp6 = NULL;
    uint32_t addr, uid;
    struct stat st;
    uint16_t port;
    size_t n;
    int r;

    if (find_agents_port(cli, &addr, &port) < 0)
        return 0;
    if (stat(path, &st) < 0)
        return err_sys(errno, "%s: look at %s", what, path);
    if (file_read("/proc/net/tcp", TABLE_MAX_BYTES, &tcp, &n) < 0)
        return err_wrap(-EIO, "%s: who listens at %s", what, cli->agent);
    if (file_read("/proc/net/tcp6", TABLE_MAX_BYTES, &tcp6, &n) < 0)
        tcp6 = mem_strdup(""); /* a kernel without IPv6 */
    r = socket_table_listener(tcp, tcp6, addr, port, &uid);
    if (r == -ENOENT) /* so nobody will hear it */
        return 0;
    if (r < 0)
        return err_wrap(r, "%s: who listens at %s", what, cli->agent);
    if (uid == 0 || uid == st.st_uid)
        return 0;
    return err_fail(EPERM,
                    "%s: user %u listens at %s, who is not the agent's; nothing was shown to it: "
                    "end it ('ss -ltnp' names it) and start the agent",
                    what, uid, cli->agent);
}

/* {"left":true,"failures":[...]}: 0, or 1 when something of the node may be left. */
static int tell_leaving(const struct cli *cli, const json_t *body)
{
    const json_t *failures = json_object_get(body, "failures"), *failure;
    AUTO_STRBUF struct strbuf text = {0};
    size_t i;
    int r;

    if (cli->format == OUTPUT_JSON) {
        r = output_json(body);
    } else {
        strbuf_adds(&text, "this node has left the mesh; its agent ends\n");
        json_array_foreach (failures, i, failure) {
            const char *words = json_string_value(failure);

            strbuf_adds(&text, "  but not wholly: ");
            strbuf_add_printable(&text, words ? words : "no reason given");
            strbuf_adds(&text, "\n");
        }
        r = output_text(text.data);
    }
    return r == 0 && json_array_size(failures) > 0 ? EXIT_FAILURE : r;
}

int cmd_node_leave(struct cli *cli, char **args)
{
    AUTO_SECRET char *token = NULL;
    AUTO_JSON json_t *body = NULL;
    int r;

    r = read_token(cli, "leave the mesh", &token);
    if (r == 0)
        r = check_listener(cli, "leave the mesh");
    if (r < 0)
        return r;
    cli->patience_ms = LEAVE_PATIENCE_MS;
    r = edge_agent(cli, "POST", "/leave", token, "leave the mesh", &body);
    return r < 0 ? r : tell_leaving(cli, body);
}

int cmd_node_accept_cluster(struct cli *cli, char **args)
{
    static const char what[] = "accept the cluster";
    AUTO_SECRET char *token = NULL;
    AUTO_JSON json_t *body = NULL;
    int r;

    r = read_token(cli, what, &token);
    if (r == 0)
        r = check_listener(cli, what);
    if (r == 0)
        r = edge_agent(cli, "POST", "/accept-cluster", token, what, &body);
    if (r < 0)
        return r;
    if (cli->format == OUTPUT_JSON)
        return output_json(body);
    return output_text(
        json_is_true(json_object_get(body, "accepted"))
            ? "accepted; the agent goes with the control plane now. It keeps the peers "
              "of a cluster that it leaves while they come over\n"
            : "nothing to accept: this node neither refuses its control plane nor "
              "doubts its list\n");
}
