/* The facts that a cluster is founded on. */
#include "control/services/cluster.h"

#include <assert.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"

#define PEER_SYNC_MAX_MS 5000
#define NODE_PREFIX_LEN_MAX 30

static int check_sizes(struct ip4_prefix cidr, uint8_t node_len)
{
    char text[IP4_PREFIX_TEXT_SIZE];

    (void)ip4_prefix_format(cidr, text);
    if (node_len > NODE_PREFIX_LEN_MAX)
        return err_fail(EINVAL, "node-prefix %u leaves no addresses for containers (at most %d)",
                        node_len, NODE_PREFIX_LEN_MAX);
    if (node_len <= cidr.len || 1ULL << (node_len - cidr.len) < CLUSTER_SUBNETS_MIN)
        return err_fail(EINVAL, "cluster-cidr %s has no room for %u subnets of /%u", text,
                        CLUSTER_SUBNETS_MIN, node_len);
    if (1ULL << (node_len - cidr.len) > CLUSTER_SUBNETS_MAX)
        return err_fail(EINVAL, "cluster-cidr %s has more than %u subnets of /%u", text,
                        CLUSTER_SUBNETS_MAX, node_len);
    return 0;
}

int cluster_found(const struct cluster_options *options, const char *cluster_id,
                  struct cluster *ret_cluster)
{
    const struct api_cluster defaults = api_cluster_default();
    struct cluster c = {
        .cidr = options->cidr.len > 0 ? options->cidr : defaults.cidr,
        .node_prefix_len =
            options->node_prefix_len > 0 ? options->node_prefix_len : defaults.node_prefix_len,
        .vni = defaults.vni,
        .vxlan_port = defaults.vxlan_port,
    };
    int r = api_cluster_check_cidr(c.cidr);

    if (r < 0)
        r = err_wrap(r, "cluster-cidr");
    else
        r = check_sizes(c.cidr, c.node_prefix_len);
    if (r < 0)
        return r;
    (void)stpncpy(c.cluster_id, cluster_id, sizeof c.cluster_id - 1);
    *ret_cluster = c;
    return 0;
}

int cluster_check_options(const struct cluster *cluster, const struct cluster_options *options)
{
    char stored[IP4_PREFIX_TEXT_SIZE], asked[IP4_PREFIX_TEXT_SIZE];

    if (options->cidr.len > 0 && !ip4_prefix_equal(options->cidr, cluster->cidr))
        return err_fail(
            EINVAL, "--cluster-cidr %s contradicts the cluster's %s, which cannot be changed",
            ip4_prefix_format(options->cidr, asked), ip4_prefix_format(cluster->cidr, stored));
    if (options->node_prefix_len > 0 && options->node_prefix_len != cluster->node_prefix_len)
        return err_fail(EINVAL,
                        "--node-prefix %u contradicts the cluster's %u, which cannot be changed",
                        options->node_prefix_len, cluster->node_prefix_len);
    return 0;
}

static const char *const certs_words[] = {
    [CLUSTER_CERTS_UNNOTED] = "",
    [CLUSTER_CERTS_WANTED] = "wanted",
    [CLUSTER_CERTS_OWN] = "own",
    [CLUSTER_CERTS_GIVEN] = "given",
};
static_assert(ARRAY_LEN(certs_words) == CLUSTER_CERTS_COUNT, "a word each");

char *cluster_to_json(const struct cluster *cluster)
{
    char cidr[IP4_PREFIX_TEXT_SIZE];
    bool are_noted = cluster->certs != CLUSTER_CERTS_UNNOTED;

    return mem_printf(
        "{\"cluster_id\":\"%s\",\"cluster_cidr\":\"%s\",\"node_prefix\":%u,"
        "\"vni\":%u,\"vxlan_port\":%u%s%s%s%s}",
        cluster->cluster_id, ip4_prefix_format(cluster->cidr, cidr), cluster->node_prefix_len,
        cluster->vni, cluster->vxlan_port, cluster->speaks_tls ? ",\"speaks_tls\":true" : "",
        are_noted ? ",\"certs\":\"" : "", certs_words[cluster->certs], are_noted ? "\"" : "");
}

/* Not there in those that have not, or that older versions stored. */
static int read_speaks_tls(const json_t *object, bool *ret)
{
    int r = json_get_bool(object, "speaks_tls", ret);

    return r == -ENOENT ? 0 : r;
}

/* A word of a later version is as good as none. */
static int read_certs(const json_t *object, enum cluster_certs *ret)
{
    const char *word = "";
    int r = json_get_string(object, "certs", &word);

    for (int i = 0; i < CLUSTER_CERTS_COUNT; i++)
        if (strcmp(word, certs_words[i]) == 0)
            *ret = (enum cluster_certs)i;
    return r == -ENOENT ? 0 : r;
}

static int read_members(const json_t *object, struct cluster *c)
{
    const char *id = NULL, *cidr = NULL;
    int64_t len = 0, vni = 0, port = 0;
    int r = json_get_string(object, "cluster_id", &id);

    if (r == 0)
        r = parse_uuid(id);
    if (r == 0)
        r = json_get_string(object, "cluster_cidr", &cidr);
    if (r == 0)
        r = ip4_prefix_parse(cidr, &c->cidr);
    if (r == 0)
        r = json_get_int(object, "node_prefix", 1, NODE_PREFIX_LEN_MAX, &len);
    if (r == 0)
        r = json_get_int(object, "vni", 1, 0xffffff, &vni);
    if (r == 0)
        r = json_get_int(object, "vxlan_port", 1, UINT16_MAX, &port);
    if (r == 0)
        r = read_speaks_tls(object, &c->speaks_tls);
    if (r == 0)
        r = read_certs(object, &c->certs);
    if (r < 0)
        return r;
    (void)stpncpy(c->cluster_id, id, sizeof c->cluster_id - 1);
    c->node_prefix_len = (uint8_t)len;
    c->vni = (uint32_t)vni;
    c->vxlan_port = (uint16_t)port;
    return check_sizes(c->cidr, c->node_prefix_len);
}

int cluster_from_json(const char *text, struct cluster *ret_cluster)
{
    AUTO_JSON json_t *object = NULL;
    struct cluster c = {0};
    int r = json_parse(text, strlen(text), &object);

    if (r == 0)
        r = read_members(object, &c);
    if (r < 0)
        return err_wrap(r, "stored facts of the cluster");
    *ret_cluster = c;
    return 0;
}

struct api_cluster cluster_to_api(const struct cluster *cluster, int64_t node_timeout_ms)
{
    int64_t sync_ms = node_timeout_ms / 6;

    return (struct api_cluster){
        .cidr = cluster->cidr,
        .node_prefix_len = cluster->node_prefix_len,
        .vni = cluster->vni,
        .vxlan_port = cluster->vxlan_port,
        .heartbeat_ms = node_timeout_ms / 3,
        .node_timeout_ms = node_timeout_ms,
        .peer_sync_ms = sync_ms < PEER_SYNC_MAX_MS ? sync_ms : PEER_SYNC_MAX_MS,
    };
}
