/* Registering, to and from JSON. */
#include "lib/api/register.h"

#include <stdio.h>
#include <string.h>

#include "lib/api/fields.h"
#include "lib/api/mesh.h"
#include "lib/base/error.h"

#define INTERVAL_MS_MAX INT64_C(86400000)
#define CIDR_LEN_MIN 8
#define USUAL_BYTES 512 /* that an answer gets by with */

/* ---- the wish ------------------------------------------------------------------------------ */

/* It stands in an HTTP header when the node leaves. */
static int check_token(const char *token)
{
    if (strlen(token) >= NODE_TOKEN_TEXT_SIZE)
        return err_fail(EINVAL, "node_token: longer than %d characters", NODE_TOKEN_TEXT_SIZE - 1);
    for (const char *c = token; *c; c++)
        if (*c <= ' ' || *c > '~')
            return err_fail(EINVAL, "node_token: only printable ASCII without blanks");
    return 0;
}

bool api_is_new_token(const char *text)
{
    size_t digits = strspn(text, "0123456789abcdef");

    return digits == NODE_TOKEN_TEXT_SIZE - 1 && text[digits] == '\0';
}

static int get_tokens(const json_t *body, struct api_register_request *request)
{
    int r = field_get_optional_string(body, "node_token", &request->node_token);

    if (r == 0 && request->node_token)
        r = check_token(request->node_token);
    if (r == 0)
        r = field_get_optional_string(body, "new_token", &request->new_token);
    if (r == 0 && request->new_token && !api_is_new_token(request->new_token))
        r = err_fail(EINVAL, "new_token: must be %d hexadecimal digits (lower case)",
                     NODE_TOKEN_TEXT_SIZE - 1);
    return r;
}

static int get_pem(const json_t *body, const char *key, const char **ret_pem)
{
    int r = field_get_optional_string(body, key, ret_pem);

    if (r == 0 && *ret_pem && strlen(*ret_pem) > API_PEM_MAX)
        r = err_fail(EINVAL, "%s: longer than %d characters", key, API_PEM_MAX);
    return r;
}

int api_register_request_from_json(const json_t *body, struct api_register_request *ret)
{
    struct api_register_request request = {.cpu_cores = -1, .ram_mb = -1, .generation = -1};
    int r = field_require_object(body);

    if (r == 0)
        r = field_get_hostname(body, "hostname", &request.hostname);
    if (r == 0)
        r = field_get_ip4(body, "host_ip", &request.host_ip);
    if (r == 0 && !ip4_is_unicast_host(request.host_ip))
        r = err_fail(EINVAL, "host_ip: must be an address that other hosts can reach");
    if (r == 0)
        r = field_get_optional_int(body, "cpu_cores", API_CORES_MAX, &request.cpu_cores);
    if (r == 0)
        r = field_get_optional_int(body, "ram_mb", API_RAM_MB_MAX, &request.ram_mb);
    if (r == 0)
        r = field_get_optional_uuid(body, "node_id", &request.node_id);
    if (r == 0)
        r = get_tokens(body, &request);
    if (r == 0)
        r = field_get_optional_uuid(body, "instance_id", &request.instance_id);
    if (r == 0)
        r = field_get_optional_uuid(body, "home_id", &request.home_id);
    if (r == 0)
        r = get_pem(body, "csr", &request.csr);
    if (r == 0)
        r = field_get_optional_prefix(body, "subnet", &request.subnet);
    if (r == 0)
        r = api_origin_from_json(body, &request.known);
    if (r == 0)
        r = field_get_optional_int(body, "generation", INT64_MAX, &request.generation);
    if (r < 0)
        return r;
    *ret = request;
    return 0;
}

char *api_register_request_to_json(const struct api_register_request *request)
{
    char ip[IP4_TEXT_SIZE], subnet[IP4_PREFIX_TEXT_SIZE];
    struct strbuf out = {0};

    strbuf_adds(&out, "{\"hostname\":");
    strbuf_add_json(&out, request->hostname);
    field_add_text(&out, "host_ip", ip4_format(request->host_ip, ip));
    field_add_int_or_null(&out, "cpu_cores", request->cpu_cores);
    field_add_int_or_null(&out, "ram_mb", request->ram_mb);
    field_add_text(&out, "node_id", request->node_id);
    field_add_text(&out, "node_token", request->node_token);
    field_add_text(&out, "new_token", request->new_token);
    field_add_text(&out, "instance_id", request->instance_id);
    field_add_text(&out, "home_id", request->home_id);
    field_add_text(&out, "csr", request->csr);
    if (request->subnet.len > 0)
        field_add_text(&out, "subnet", ip4_prefix_format(request->subnet, subnet));
    if (request->known.cluster_id[0])
        api_origin_add(&out, &request->known);
    field_add_int(&out, "generation", request->generation);
    strbuf_adds(&out, "}");
    return strbuf_take(&out);
}

/* ---- the cluster, and the answer ----------------------------------------------------------- */

struct api_cluster api_cluster_default(void)
{
    return (struct api_cluster){
        .cidr = MESH_CLUSTER_DEFAULT,
        .node_prefix_len = MESH_NODE_LEN_DEFAULT,
        .vni = MESH_VNI,
        .vxlan_port = MESH_VXLAN_PORT,
        .heartbeat_ms = 10000,
        .node_timeout_ms = 30000,
        .peer_sync_ms = 5000,
    };
}

int api_cluster_check_cidr(struct ip4_prefix cidr)
{
    const struct ip4_prefix link_local = {.addr = 169U << 24 | 254U << 16, .len = 16};
    char text[IP4_PREFIX_TEXT_SIZE];

    (void)ip4_prefix_format(cidr, text);
    if (cidr.len < CIDR_LEN_MIN)
        return err_fail(EINVAL, "%s is larger than a /%d", text, CIDR_LEN_MIN);
    if (!ip4_is_unicast_host(cidr.addr))
        return err_fail(EINVAL, "%s holds no addresses that hosts can have", text);
    if (ip4_prefix_covers(cidr, link_local) || ip4_prefix_covers(link_local, cidr))
        return err_fail(EINVAL, "%s holds link-local addresses (169.254.0.0/16)", text);
    return 0;
}

int api_cluster_get_intervals(const json_t *object, struct api_cluster *cluster)
{
    int r = field_get_optional_int(object, "heartbeat_interval_ms", INTERVAL_MS_MAX,
                                   &cluster->heartbeat_ms);

    if (r == 0)
        r = field_get_optional_int(object, "node_timeout_ms", INTERVAL_MS_MAX,
                                   &cluster->node_timeout_ms);
    if (r == 0)
        r = field_get_optional_int(object, "peer_sync_interval_ms", INTERVAL_MS_MAX,
                                   &cluster->peer_sync_ms);
    if (r == 0 &&
        (cluster->heartbeat_ms < 10 || cluster->node_timeout_ms < 10 || cluster->peer_sync_ms < 10))
        r = err_fail(EINVAL, "the cluster's settings contradict each other");
    return r;
}

void api_cluster_add_intervals(struct strbuf *out, const struct api_cluster *c)
{
    field_add_int(out, "heartbeat_interval_ms", c->heartbeat_ms);
    field_add_int(out, "node_timeout_ms", c->node_timeout_ms);
    field_add_int(out, "peer_sync_interval_ms", c->peer_sync_ms);
}

static int get_cluster(const json_t *object, struct api_cluster *cluster)
{
    int64_t node_prefix = cluster->node_prefix_len, vni = cluster->vni, port = cluster->vxlan_port;
    int r = field_get_optional_prefix(object, "cluster_cidr", &cluster->cidr);

    if (r == 0)
        r = field_get_optional_int(object, "node_prefix", 30, &node_prefix);
    if (r == 0)
        r = field_get_optional_int(object, "vni", 0xffffff, &vni);
    if (r == 0)
        r = field_get_optional_int(object, "vxlan_port", 65535, &port);
    if (r == 0)
        r = api_cluster_get_intervals(object, cluster);
    if (r < 0)
        return r;
    if (node_prefix <= cluster->cidr.len || vni == 0 || port == 0)
        return err_fail(EINVAL, "the cluster's settings contradict each other");
    cluster->node_prefix_len = (uint8_t)node_prefix;
    cluster->vni = (uint32_t)vni;
    cluster->vxlan_port = (uint16_t)port;
    return field_named(api_cluster_check_cidr(cluster->cidr), "cluster_cidr");
}

static int check_own_subnet(const struct api_register_reply *reply)
{
    const struct api_cluster *cluster = &reply->cluster;
    char subnet[IP4_PREFIX_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];

    if (reply->subnet.len == cluster->node_prefix_len &&
        ip4_prefix_covers(cluster->cidr, reply->subnet))
        return 0;
    return err_fail(EINVAL, "subnet: %s is no /%u inside %s",
                    ip4_prefix_format(reply->subnet, subnet), cluster->node_prefix_len,
                    ip4_prefix_format(cluster->cidr, cidr));
}

int api_register_reply_from_json(const json_t *value, struct api_register_reply *ret)
{
    struct api_register_reply reply = {.cluster = api_cluster_default()};
    const char *token = NULL;
    int r = field_require_object(value);

    if (r == 0)
        r = field_get_uuid(value, "node_id", reply.node_id);
    if (r == 0)
        r = field_get_prefix(value, "subnet", &reply.subnet);
    if (r == 0)
        r = field_get_optional_string(value, "node_token", &token);
    if (r == 0 && token)
        r = check_token(token);
    if (r == 0)
        r = get_cluster(value, &reply.cluster);
    if (r == 0)
        r = check_own_subnet(&reply);
    if (r == 0)
        r = api_origin_from_json(value, &reply.origin);
    if (r == 0)
        r = field_get_optional_int(value, "generation", INT64_MAX, &reply.generation);
    if (r == 0)
        r = get_pem(value, "certificate", &reply.certificate);
    if (r == 0)
        r = get_pem(value, "ca", &reply.ca);
    if (r < 0)
        return r;
    if (token)
        (void)snprintf(reply.node_token, sizeof reply.node_token, "%s", token);
    *ret = reply;
    return 0;
}

char *api_register_reply_to_json(const struct api_register_reply *reply)
{
    char subnet[IP4_PREFIX_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];
    const struct api_cluster *c = &reply->cluster;
    struct strbuf out = {0};

    strbuf_reserve(&out, USUAL_BYTES);
    strbuf_adds(&out, "{\"node_id\":");
    strbuf_add_json(&out, reply->node_id);
    field_add_text(&out, "subnet", ip4_prefix_format(reply->subnet, subnet));
    field_add_text(&out, "node_token", reply->node_token[0] ? reply->node_token : NULL);
    field_add_text(&out, "cluster_cidr", ip4_prefix_format(c->cidr, cidr));
    field_add_int(&out, "node_prefix", c->node_prefix_len);
    field_add_int(&out, "vni", c->vni);
    field_add_int(&out, "vxlan_port", c->vxlan_port);
    api_cluster_add_intervals(&out, c);
    api_origin_add(&out, &reply->origin);
    if (reply->generation > 0)
        field_add_int(&out, "generation", reply->generation);
    field_add_text(&out, "certificate", reply->certificate);
    field_add_text(&out, "ca", reply->ca);
    strbuf_adds(&out, "}");
    return strbuf_take(&out);
}
