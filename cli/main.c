/* quiltctl: the mesh in the hand. Parses, calls one of the daemons, prints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/verbs.h"
#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/http/client.h"
#include "lib/rpc/client.h"

#define WORDS_MAX 8
/* Of what is counted; what makes sense is the control plane's business. */
#define COUNT_MAX INT32_MAX

static const struct verb verbs[] = {
    {"node", "ls", "", 0, 0, "List the nodes of the mesh", cmd_node_ls},
    {"node", "show", "ID|HOSTNAME", 1, 0, "Show one node", cmd_node_show},
    {"node", "rm", "ID|HOSTNAME", 1, 0, "Forget a node; its subnet is given back", cmd_node_rm},
    {"node", "reserve", "HOST SUBNET", 2, 0, "Set a subnet aside for a new node", cmd_node_reserve},
    {"node", "revoke", "ID|HOSTNAME", 1, 0, "What proved a node proves nothing any more",
     cmd_node_revoke},
    {"node", "leave", "", 0, 0, "Take this node out of the mesh", cmd_node_leave},
    {"node", "accept-cluster", "", 0, 0, "Go with a control plane that is not believed",
     cmd_node_accept_cluster},
    {"reservation", "ls", "", 0, 0, "List the subnets that are set aside", cmd_reservation_ls},
    {"reservation", "rm", "HOST", 1, 0, "Take a reservation back", cmd_reservation_rm},
    {"token", "create", "", 0, VERB_TAKES_TOKENS, "Make a token to join with, or for the API",
     cmd_token_create},
    {"token", "ls", "", 0, 0, "List the tokens", cmd_token_ls},
    {"token", "rm", "ID", 1, 0, "Make a token worthless", cmd_token_rm},
    {"ca", "status", "", 0, 0, "How far the replacing of the CA has come", cmd_ca_status},
    {"ca", "rotate", "", 0, VERB_TAKES_FORCE, "Replace the CA", cmd_ca_rotate},
    {"endpoint", "attach", "ID NETNS", 2, VERB_TAKES_IFNAME | VERB_TAKES_IP,
     "Connect a network namespace (name or path)", cmd_endpoint_attach},
    {"endpoint", "detach", "ID", 1, VERB_TAKES_IFNAME, "Take it off the mesh again",
     cmd_endpoint_detach},
    {"endpoint", "ls", "", 0, 0, "List the endpoints of this node", cmd_endpoint_ls},
    {"route", "ls", "", 0, 0, "List the routes to the other nodes", cmd_route_ls},
    {NULL, "mesh", "", 0, 0, "How the nodes reach each other", cmd_mesh},
    {NULL, "status", "", 0, 0, "Is this node healthy, and what is wrong", cmd_status},
    {NULL, "doctor", "", 0, VERB_TAKES_FIX, "What is wrong with this node, and what mends it",
     cmd_doctor},
    {NULL, "trace", "SRC DST [PROTO [PORT]]", 2, 0, "Follow a packet and say where it dies",
     cmd_trace, 2},
    {NULL, "backup", "FILE", 1, 0, "Save the control plane's state to a file", cmd_backup},
    {NULL, "version", "", 0, 0, "Print the version", cmd_version},
};

/* Lives as long as the process, as the command line does. */
static struct cli cli = {
    .ttl_s = CLI_NOT_GIVEN, .ttl_secs = CLI_NOT_GIVEN, .max_uses = CLI_NOT_GIVEN};

/* Of several the last one holds. */
static int option_url(const char *text, void *out)
{
    char **url = out, *base;
    int r = http_base_url_parse(text, &base);

    if (r < 0)
        return r;
    free(*url);
    *url = base;
    return 0;
}

static int option_urls(const char *text, void *out)
{
    struct option_list *list = out;
    size_t i = list->count;
    int r = option_list(text, list);

    for (; r == 0 && i < list->count; i++) {
        AUTO_FREE char *base = NULL;

        r = http_base_url_parse(list->items[i], &base);
    }
    return r;
}

static int option_runtime(const char *text, void *out)
{
    int r = rpc_target_check(text);

    return r < 0 ? r : option_string(text, out);
}

static int option_role(const char *text, void *out)
{
    static const char *const roles[] = {"node", "viewer", "admin"};
    size_t i;
    int r = option_choose(text, roles, ARRAY_LEN(roles), &i);

    if (r == 0)
        *(const char **)out = roles[i];
    return r;
}

static int option_ttl(const char *text, void *out)
{
    int r = strcmp(text, "0") != 0 ? option_lifetime(text, out) : 0;

    if (r < 0)
        return err_fail(-r, "%s; 0 is for ever", err_text());
    if (strcmp(text, "0") == 0)
        *(int64_t *)out = 0;
    return 0;
}

static int option_count(const char *text, void *out)
{
    uint64_t n;
    int r = parse_u64(text, COUNT_MAX, &n);

    if (r == 0)
        *(int64_t *)out = (int64_t)n;
    return r;
}

static const struct option_spec specs[] = {
    {.name = "control-plane",
     .arg = "URL",
     .parse = option_urls,
     .out = &cli.control_planes,
     .help = "The control plane; may be repeated (default: the agent's, else the one of this "
             "host)"},
    {.name = "runtime",
     .arg = "URL",
     .default_text = "http://127.0.0.1:50051",
     .parse = option_runtime,
     .out = &cli.runtime,
     .help = "This node's runtime, http://HOST:PORT, https://ADDR:PORT or unix:PATH"},
    {.name = "agent",
     .arg = "URL",
     .default_text = "http://127.0.0.1:9180",
     .parse = option_url,
     .out = &cli.agent,
     .help = "This node's agent"},
    {.name = "state-dir",
     .arg = "DIR",
     .default_text = "/var/lib/quilt-mesh",
     .parse = option_string,
     .out = &cli.state_dir,
     .help = "The agent's state: its token for 'node leave', its certificate"},
    {.name = "tls-dir",
     .arg = "DIR",
     .parse = option_string,
     .out = &cli.tls_dir,
     .help = "The control plane's directory with the admin's certificate (default: where it "
             "usually is)"},
    {.name = "tls-ca",
     .arg = "FILE",
     .parse = option_string,
     .out = &cli.tls_ca,
     .help = "The CA to know the control plane by (PEM; default: what this host has, or what the "
             "token pins)"},
    {.name = "tls-cert",
     .arg = "FILE",
     .parse = option_string,
     .out = &cli.tls_cert,
     .help = "The certificate to show it (PEM; default: what this host has)"},
    {.name = "tls-key",
     .arg = "FILE",
     .parse = option_string,
     .out = &cli.tls_key,
     .help = "The key of --tls-cert (PEM)"},
    {.name = "token",
     .arg = "TOKEN",
     .parse = option_string,
     .out = &cli.token,
     .help = "An access token to show it instead; others see the command line, so rather give "
             "it in a file or as QUILT_TOKEN"},
    {.name = "token-file",
     .arg = "FILE",
     .parse = option_string,
     .out = &cli.token_file,
     .help = "A file with an access token"},
    {.name = "output",
     .short_name = 'o',
     .arg = "FORMAT",
     .default_text = "table",
     .parse = option_output,
     .out = &cli.format,
     .help = "table, json or wide"},
    {.name = "ifname",
     .arg = "NAME",
     .parse = option_string,
     .out = &cli.ifname,
     .help = "The interface inside (endpoint attach, endpoint detach; default eth0)"},
    {.name = "ip",
     .arg = "ADDRESS",
     .parse = option_string,
     .out = &cli.ip,
     .help = "Ask for this address (endpoint attach)"},
    {.name = "role",
     .arg = "ROLE",
     .parse = option_role,
     .out = &cli.role,
     .help = "node (to join), viewer or admin (token create; default node)"},
    {.name = "ttl",
     .arg = "TIME",
     .parse = option_ttl,
     .out = &cli.ttl_s,
     .help = "How long it is good, 12h, 30d, 0 for ever (token create; default 24h for the role "
             "node, 30d for others)"},
    {.name = "ttl-secs",
     .arg = "NUMBER",
     .parse = option_count,
     .out = &cli.ttl_secs,
     .help = "The same in seconds"},
    {.name = "max-uses",
     .arg = "NUMBER",
     .parse = option_count,
     .out = &cli.max_uses,
     .help = "How many nodes it lets in, 0 any number (token create; default 1)"},
    {.name = "force",
     .out = &cli.is_forced,
     .help = "Do not wait for nodes that are down (ca rotate)"},
    {.name = "fix",
     .out = &cli.is_fixing,
     .help = "Mend what is ours to mend, and say what was done (doctor)"},
};

static void check_verb_options(const struct options *options, const struct verb *verb)
{
    const struct {
        const char *name;
        bool is_given;
        unsigned int option;
    } rows[] = {
        {"ifname", cli.ifname, VERB_TAKES_IFNAME},
        {"ip", cli.ip, VERB_TAKES_IP},
        {"role", cli.role, VERB_TAKES_TOKENS},
        {"ttl", cli.ttl_s != CLI_NOT_GIVEN, VERB_TAKES_TOKENS},
        {"ttl-secs", cli.ttl_secs != CLI_NOT_GIVEN, VERB_TAKES_TOKENS},
        {"max-uses", cli.max_uses != CLI_NOT_GIVEN, VERB_TAKES_TOKENS},
        {"force", cli.is_forced, VERB_TAKES_FORCE},
        {"fix", cli.is_fixing, VERB_TAKES_FIX},
    };
    AUTO_STRBUF struct strbuf name = {0};

    verb_add_name(verb, &name);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].is_given && !(verb->options & rows[i].option))
            options_usage_error(options, "'%s' takes no --%s", name.data, rows[i].name);
    if (cli.ttl_s != CLI_NOT_GIVEN && cli.ttl_secs != CLI_NOT_GIVEN)
        options_usage_error(options, "--ttl and --ttl-secs say the same; give one of them");
}

static void check_credentials(const struct options *options)
{
    if (!cli.tls_cert != !cli.tls_key)
        options_usage_error(options, "--tls-cert and --tls-key go together");
    if (cli.token && cli.token_file)
        options_usage_error(options, "--token and --token-file say the same; give one of them");
    if ((cli.token || cli.token_file) && cli.tls_cert)
        options_usage_error(options, "either a token or a certificate is shown, not both");
    if (cli.token && cli.token != getenv("QUILT_TOKEN"))
        (void)fprintf(stderr, "quiltctl: --token is seen by all who list this host's processes; "
                              "--token-file FILE and QUILT_TOKEN are not\n");
}

static int run(const struct verb *verb, char **args)
{
    AUTO_STRBUF struct strbuf text = {0};
    int r = verb->run(&cli, args);

    if (r >= 0)
        return r;
    strbuf_add_printable(&text, err_text());
    (void)fprintf(stderr, "quiltctl: %s\n", text.data);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    AUTO_FREE char *epilogue = verbs_help(verbs, ARRAY_LEN(verbs));
    char *words[WORDS_MAX + 1] = {0};
    struct options options = {.program = "quiltctl",
                              .summary = "Looks at a Quilt Mesh and changes it.",
                              .args_doc = "VERB [ARGUMENT...]",
                              .epilogue = epilogue,
                              .specs = specs,
                              .spec_count = ARRAY_LEN(specs),
                              .ret_args = words,
                              .max_args = WORDS_MAX};
    const struct verb *verb;
    size_t first_arg;

    options_parse(&options, argc, argv);
    if (verbs_find(verbs, ARRAY_LEN(verbs), words, options.ret_arg_count, &verb, &first_arg) < 0)
        options_usage_error(&options, "%s", err_text());
    check_verb_options(&options, verb);
    check_credentials(&options);
    return run(verb, words + first_arg);
}
