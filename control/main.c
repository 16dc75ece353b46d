/* quilt-mesh-control: the command line of the control plane. */
#include <string.h>

#include "control/control.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/parse.h"

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

static int option_tls(const char *text, void *out)
{
    enum pki_mode mode = strcmp(text, "auto") == 0  ? PKI_AUTO
                         : strcmp(text, "new") == 0 ? PKI_NEW
                         : strcmp(text, "off") == 0 ? PKI_OFF
                                                    : PKI_UNSAID;

    if (mode == PKI_UNSAID)
        return err_fail(EINVAL, "'%.64s' is none of auto, new and off", text);
    *(enum pki_mode *)out = mode;
    return 0;
}

static int option_server_name(const char *text, void *out)
{
    uint32_t addr;
    int r = ip4_parse(text, &addr) == 0 ? 0 : parse_hostname(text);

    if (r == 0)
        *(const char **)out = text;
    return r;
}

static int option_networks(const char *text, void *out)
{
    return networks_parse(text, out);
}

static void check_tls(const struct options *options, const struct control_config *values)
{
    const struct pki_options *pki = &values->pki;

    if (!pki->cert_file != !pki->key_file)
        options_usage_error(options, "--tls-cert and --tls-key go together");
    if (pki->ca_file && !pki->cert_file)
        options_usage_error(options, "--tls-ca goes with --tls-cert and --tls-key");
    if (pki->mode == PKI_OFF && pki->cert_file)
        options_usage_error(options, "--tls off contradicts --tls-cert");
    if (pki_check_options(pki, values->db_path) < 0)
        options_usage_error(options, "%s", err_text());
}

static void set_listen(struct control_config *config, const struct option_listen *listen)
{
    config->listen_addr = listen->addr;
    config->listen_port = listen->port;
    config->pki.listen_addr = listen->addr;
}

static struct control_config config;
static struct option_listen listen_at;

/* The cluster's facts have no default here: what is not given is as it was stored. */
static const struct option_spec specs[] = {
    {.name = "listen",
     .arg = "ADDR:PORT",
     .default_text = "127.0.0.1:8080",
     .parse = option_listen,
     .out = &listen_at,
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
    {.name = "tls",
     .arg = "auto|new|off",
     .parse = option_tls,
     .out = &config.pki.mode,
     .help = "HTTPS with certificates of its own, the same with another CA in place of a lost "
             "one, or plain HTTP (default: as it was, or off)"},
    {.name = "tls-dir",
     .arg = "DIR",
     .parse = option_string,
     .out = &config.pki.dir,
     .help = "Where the cluster's CA is kept (default: pki beside the database)"},
    {.name = "tls-name",
     .arg = "NAME",
     .parse = option_server_name,
     .out = &config.pki.extra_name,
     .help = "A further name or address that its certificate is to be for"},
    {.name = "tls-cert",
     .arg = "FILE",
     .parse = option_string,
     .out = &config.pki.cert_file,
     .help = "HTTPS with this certificate (PEM) instead of one of its own"},
    {.name = "tls-key",
     .arg = "FILE",
     .parse = option_string,
     .out = &config.pki.key_file,
     .help = "The key of --tls-cert (PEM)"},
    {.name = "tls-ca",
     .arg = "FILE",
     .parse = option_string,
     .out = &config.pki.ca_file,
     .help = "The CA of --tls-cert (PEM), which nodes are told (default: its last one)"},
    {.name = "node-cert-life",
     .arg = "TIME",
     .default_text = "30d",
     .parse = option_lifetime,
     .out = &config.pki.node_life_s,
     .help = "How long a node's certificate is valid; it is renewed in time by itself"},
    {.name = "node-networks",
     .arg = "CIDR[,CIDR...]",
     .parse = option_networks,
     .out = &config.node_networks,
     .help = "Over TLS, nodes may name addresses in these as theirs and come from others"},
};

int main(int argc, char **argv)
{
    struct options options = {
        .program = "quilt-mesh-control",
        .summary = "The control plane of a Quilt mesh: who is a node, and which subnet it has.",
        .specs = specs,
        .spec_count = ARRAY_LEN(specs),
    };

    options_parse(&options, argc, argv);
    check_tls(&options, &config);
    set_listen(&config, &listen_at);
    return control_run(&config);
}
