/* quilt-runtime: owns container addresses, routes and endpoints on a node. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/parse.h"
#include "runtime/runtime.h"

static bool is_unix(const char *addr)
{
    return strncmp(addr, "unix:", 5) == 0;
}

static int option_grpc_addr(const char *text, void *out)
{
    uint32_t addr;
    uint16_t port;
    int r = 0;

    if (is_unix(text) && text[5] != '/')
        r = err_fail(EINVAL, "'%.64s': the path behind unix: must be absolute", text);
    else if (!is_unix(text))
        r = parse_addr_port(text, &addr, &port);
    if (r < 0)
        return r;
    *(const char **)out = text;
    return 0;
}

static int option_metrics_addr(const char *text, void *out)
{
    uint32_t addr;
    uint16_t port;
    int r = parse_addr_port(text, &addr, &port);

    if (r < 0)
        return r;
    *(const char **)out = text;
    return 0;
}

/* An environment value may hold several words. */
static int option_open(const char *text, void *out)
{
    int r = 0;

    while (r == 0 && *text) {
        size_t len = strcspn(text, ",");
        AUTO_FREE char *word = mem_printf("%.*s", (int)len, text);

        r = firewall_open(out, word);
        text += len + (text[len] == ',');
    }
    return r;
}

static int option_conntrack(const char *text, void *out)
{
    static const char *const words[] = {"outside", "all"};
    size_t i;
    int r = option_choose(text, words, ARRAY_LEN(words), &i);

    if (r == 0)
        *(bool *)out = i == 1;
    return r;
}

static bool is_beyond(const char *grpc_addr)
{
    uint32_t addr;
    uint16_t port;

    return !is_unix(grpc_addr) && parse_addr_port(grpc_addr, &addr, &port) == 0 &&
           !ip4_is_loopback(addr);
}

/* What the agent keeps where the cluster speaks TLS. */
static const struct tls_keyring_files node_files = {
    .cert_file = "/var/lib/quilt-mesh/tls/node.pem",
    .key_file = "/var/lib/quilt-mesh/tls/node-key.pem",
    .ca_file = "/var/lib/quilt-mesh/tls/ca.pem",
};

/* Whoever reached it without TLS would command this node. That there is no certificate yet is no
 * mistake of the command line: it comes when the agent joins, and another start finds it. */
static int secure_reach(struct runtime_options *values)
{
    if (values->tls.cert_file || !is_beyond(values->grpc_addr))
        return 0;
    if (tls_keyring_stamp(&node_files) == 0)
        return err_fail(ENOKEY,
                        "--grpc-addr %s: beyond loopback gRPC goes over TLS only, and this node "
                        "has no certificate yet (%s): let its agent join a control plane of "
                        "https:// first, or give --tls-cert, --tls-key and --tls-ca, or an address "
                        "of 127.0.0.0/8, or unix:PATH",
                        values->grpc_addr, node_files.cert_file);
    values->tls = node_files;
    return 0;
}

static void check_tls(const struct options *options, const struct runtime_options *values)
{
    const struct tls_keyring_files *tls = &values->tls;

    if (!tls->cert_file != !tls->key_file || !tls->cert_file != !tls->ca_file)
        options_usage_error(options, "--tls-cert, --tls-key and --tls-ca go together");
    if (tls->cert_file && is_unix(values->grpc_addr))
        options_usage_error(options,
                            "--tls-cert is for an ADDR:PORT; on %s the kernel tells who calls",
                            values->grpc_addr);
}

static int run(struct runtime_options *options)
{
    struct runtime rt;
    int r = secure_reach(options), code;

    if (r < 0) {
        log_error("cannot start", LOG_ERR());
        return EXIT_FAILURE;
    }
    r = runtime_init(&rt, options);
    if (r < 0) {
        log_error("cannot start", LOG_ERR());
        runtime_deinit(&rt);
        return r == -EBADMSG ? EXIT_DAMAGED : 1;
    }
    daemon_ready(&rt.daemon, LOG_S("grpc_addr", options->grpc_addr),
                 LOG_U("endpoints", rt.state.endpoints.count),
                 LOG_U("routes", rt.state.routes.count));
    code = daemon_run(&rt.daemon);
    runtime_deinit(&rt);
    return code;
}

int main(int argc, char **argv)
{
    struct runtime_options values = {0};
    const struct option_spec specs[] = {
        {.name = "grpc-addr",
         .arg = "ADDR:PORT|unix:PATH",
         .default_text = "127.0.0.1:50051",
         .parse = option_grpc_addr,
         .out = &values.grpc_addr,
         .help = "Where to serve gRPC"},
        {.name = "state-dir",
         .arg = "DIR",
         .default_text = "/var/lib/quilt-runtime",
         .parse = option_string,
         .out = &values.state_dir,
         .help = "What survives restarts and reboots"},
        {.name = "run-dir",
         .arg = "DIR",
         .default_text = "/run/quilt",
         .parse = option_string,
         .out = &values.run_dir,
         .help = "What lives until reboot"},
        {.name = "tls-cert",
         .arg = "FILE",
         .parse = option_string,
         .out = &values.tls.cert_file,
         .help = "This node's certificate (PEM): gRPC goes over TLS, to who shows one himself "
                 "(default beyond loopback: the agent's)"},
        {.name = "tls-key",
         .arg = "FILE",
         .parse = option_string,
         .out = &values.tls.key_file,
         .help = "The key of --tls-cert (PEM)"},
        {.name = "tls-ca",
         .arg = "FILE",
         .parse = option_string,
         .out = &values.tls.ca_file,
         .help = "The CAs to know clients by (PEM)"},
        {.name = "metrics-addr",
         .arg = "ADDR:PORT",
         .default_text = "127.0.0.1:9181",
         .parse = option_metrics_addr,
         .out = &values.metrics_addr,
         .help = "Where to serve /metrics, /livez and /readyz"},
        {.name = "open-to-containers",
         .arg = "WORD,...",
         .parse = option_open,
         .out = &values.policy,
         .help = "What containers may reach besides: PORT/tcp and PORT/udp of the mesh's hosts, "
                 "hosts (all their ports), metadata (169.254.169.254)"},
        {.name = "conntrack",
         .arg = "WORD",
         .default_text = "outside",
         .parse = option_conntrack,
         .out = &values.policy.is_all_tracked,
         .help = "What of the containers the kernel tracks: outside (what leaves the mesh), or "
                 "all"},
    };
    struct options options = {.program = "quilt-runtime",
                              .summary = "Owns container addresses, routes and endpoints on a node "
                                         "of a Quilt mesh.",
                              .specs = specs,
                              .spec_count = ARRAY_LEN(specs)};

    options_parse(&options, argc, argv);
    check_tls(&options, &values);
    return run(&values);
}
