/* quilt-runtime: owns container addresses, routes and endpoints on a node. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/parse.h"
#include "runtime/runtime.h"

#define LOOPBACK_NET 127

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

static void warn_if_reachable(const char *grpc_addr)
{
    uint32_t addr;
    uint16_t port;

    if (!is_unix(grpc_addr) && parse_addr_port(grpc_addr, &addr, &port) == 0 &&
        addr >> 24 != LOOPBACK_NET)
        log_warn("plain gRPC beyond loopback: whoever reaches this address commands this node",
                 LOG_S("grpc_addr", grpc_addr));
}

static int run(const struct runtime_options *options)
{
    struct runtime rt;
    int r = runtime_init(&rt, options), code;

    if (r < 0) {
        log_error("cannot start", LOG_ERR());
        runtime_deinit(&rt);
        return r == -EBADMSG ? EXIT_DAMAGED : 1;
    }
    warn_if_reachable(options->grpc_addr);
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
        {.name = "metrics-addr",
         .arg = "ADDR:PORT",
         .default_text = "127.0.0.1:9181",
         .parse = option_metrics_addr,
         .out = &values.metrics_addr,
         .help = "Where to serve /metrics, /livez and /readyz"},
    };
    struct options options = {.program = "quilt-runtime",
                              .summary = "Owns container addresses, routes and endpoints on a node "
                                         "of a Quilt mesh.",
                              .specs = specs,
                              .spec_count = ARRAY_LEN(specs)};

    options_parse(&options, argc, argv);
    return run(&values);
}
