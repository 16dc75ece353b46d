/* quilt-mesh-control: the command line of the control plane. */
#include "control/control.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/parse.h"

struct listen {
    uint32_t addr;
    uint16_t port;
};

static int option_listen(const char *text, void *out)
{
    struct listen *listen = out;

    return parse_addr_port(text, &listen->addr, &listen->port);
}

static int option_node_prefix(const char *text, void *out)
{
    uint64_t len = 0;
    int r = parse_u64(text, 30, &len);

    if (r == 0 && len == 0)
        r = err_fail(EINVAL, "'%.64s' is not a prefix length from 1 to 30", text);
    if (r == 0)
        *(uint8_t *)out = (uint8_t)len;
    return r;
}

static int option_node_timeout(const char *text, void *out)
{
    int64_t ms = 0;
    int r = parse_duration_ms(text, &ms);

    if (r == 0 && ms < CONTROL_NODE_TIMEOUT_MIN_MS)
        r = err_fail(EINVAL, "'%.64s' is less than %dms", text, CONTROL_NODE_TIMEOUT_MIN_MS);
    if (r == 0)
        *(int64_t *)out = ms;
    return r;
}

static int option_cluster_cidr(const char *text, void *out)
{
    struct cluster_options alone = {0};
    struct cluster cluster;
    int r = ip4_prefix_parse(text, &alone.cidr);

    /* With the longest fitting node prefix: what is wrong now is wrong with any. */
    alone.node_prefix_len = alone.cidr.len <= 14 ? (uint8_t)(alone.cidr.len + 16) : 30;
    if (r == 0)
        r = cluster_found(&alone, "", &cluster);
    if (r == 0)
        *(struct ip4_prefix *)out = alone.cidr;
    return r;
}

int main(int argc, char **argv)
{
    struct control_config config = {0};
    struct listen listen = {0};
    /* The cluster's facts have no default here: what is not given is as it was stored. */
    const struct option_spec specs[] = {
        {.name = "listen",
         .arg = "ADDR:PORT",
         .default_text = "127.0.0.1:8080",
         .parse = option_listen,
         .out = &listen,
         .help = "Where the REST API is served; port 0: any free one"},
        {.name = "db-path",
         .arg = "FILE",
         .default_text = "quilt-mesh.db",
         .parse = option_string,
         .out = &config.db_path,
         .help = "The SQLite file with the cluster's state"},
        {.name = "cluster-cidr",
         .arg = "CIDR",
         .parse = option_cluster_cidr,
         .out = &config.cluster.cidr,
         .help = "The cluster's network (default 10.42.0.0/16); fixed at the first start"},
        {.name = "node-prefix",
         .arg = "LENGTH",
         .parse = option_node_prefix,
         .out = &config.cluster.node_prefix_len,
         .help = "Prefix length of a node's subnet (default 24); fixed at the first start"},
        {.name = "node-timeout",
         .arg = "TIME",
         .default_text = "30s",
         .parse = option_node_timeout,
         .out = &config.node_timeout_ms,
         .help = "A node that is silent for so long is down"},
    };
    struct options options = {
        .program = "quilt-mesh-control",
        .summary = "The control plane of a Quilt mesh: who is a node, and which subnet it has.",
        .specs = specs,
        .spec_count = ARRAY_LEN(specs),
    };

    options_parse(&options, argc, argv);
    config.listen_addr = listen.addr;
    config.listen_port = listen.port;
    return control_run(&config);
}
