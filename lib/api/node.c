/* Nodes and the cluster's facts, to and from JSON. */
#include "lib/api/node.h"

#include <stdio.h>
#include <string.h>

#include "lib/api/mesh.h"
#include "lib/base/error.h"
#include "lib/base/parse.h"

#define CORES_MAX 65536
#define RAM_MB_MAX (INT64_C(1) << 40)
#define UNIX_SECONDS_MAX INT64_C(9999999999) /* ten digits */
#define INTERVAL_MS_MAX INT64_C(86400000)
#define CIDR_LEN_MIN 8

/* ---- fields -------------------------------------------------------------------------------- */

/* Puts the field's name in front of what a parser of its text said. */
static int named(int r, const char *key)
{
    return r < 0 ? err_wrap(r, "%s", key) : r;
}

static int get_uuid(const json_t *object, const char *key, char ret_id[static UUID_TEXT_SIZE])
{
    const char *text = NULL;
    int r = json_get_string(object, key, &text);

    if (r < 0)
        return r;
    r = named(parse_uuid(text), key);
    if (r < 0)
        return r;
    memcpy(ret_id, text, UUID_TEXT_SIZE);
    return 0;
}

static int get_ip4(const json_t *object, const char *key, uint32_t *ret_addr)
{
    const char *text = NULL;
    int r = json_get_string(object, key, &text);

    return r < 0 ? r : named(ip4_parse(text, ret_addr), key);
}

static int get_prefix(const json_t *object, const char *key, struct ip4_prefix *ret_prefix)
{
    const char *text = NULL;
    int r = json_get_string(object, key, &text);

    return r < 0 ? r : named(ip4_prefix_parse(text, ret_prefix), key);
}

static int get_hostname(const json_t *object, const char *key, const char **ret_text)
{
    int r = json_get_string(object, key, ret_text);

    return r < 0 ? r : named(parse_hostname(*ret_text), key);
}

/* A number that may be missing or null: then *ret_value is left as it is. */
static int get_optional_int(const json_t *object, const char *key, int64_t max, int64_t *ret_value)
{
    int r = json_get_int(object, key, 0, max, ret_value);

    return r == -ENOENT ? 0 : r;
}

/* A network that may be missing or null: then *ret_prefix is left as it is. */
static int get_optional_prefix(const json_t *object, const char *key, struct ip4_prefix *ret_prefix)
{
    int r = get_prefix(object, key, ret_prefix);

    return r == -ENOENT ? 0 : r;
}

/* A text that may be missing or null: then NULL. */
static int get_optional_string(const json_t *object, const char *key, const char **ret_text)
{
    int r = json_get_string(object, key, ret_text);

    if (r == -ENOENT)
        *ret_text = NULL;
    return r == -ENOENT ? 0 : r;
}

/* A UUID that may be missing or null: then NULL. */
static int get_optional_uuid(const json_t *object, const char *key, const char **ret_text)
{
    int r = get_optional_string(object, key, ret_text);

    return r == 0 && *ret_text ? named(parse_uuid(*ret_text), key) : r;
}

static int require_object(const json_t *value)
{
    return json_is_object(value) ? 0 : err_fail(EINVAL, "must be a JSON object");
}

/* Left out when it is negative. */
static void add_int(struct strbuf *out, const char *key, int64_t value)
{
    if (value >= 0)
        strbuf_addf(out, ",\"%s\":%lld", key, (long long)value);
}

/* Left out when it is NULL. */
static void add_text(struct strbuf *out, const char *key, const char *text)
{
    if (!text)
        return;
    strbuf_addf(out, ",\"%s\":", key);
    strbuf_add_json(out, text);
}

static void add_int_or_null(struct strbuf *out, const char *key, int64_t value)
{
    if (value < 0)
        strbuf_addf(out, ",\"%s\":null", key);
    else
        strbuf_addf(out, ",\"%s\":%lld", key, (long long)value);
}

/* ---- a node -------------------------------------------------------------------------------- */

static int get_status(const json_t *object, bool *ret_is_up)
{
    const char *status = NULL;
    int r = json_get_string(object, "status", &status);

    if (r < 0)
        return r;
    /* A word that a later control plane may add stands for a node that is not up. */
    *ret_is_up = strcmp(status, "up") == 0;
    return 0;
}

int api_node_from_json(const json_t *object, struct api_node *ret_node)
{
    struct api_node node = {.cpu_cores = -1, .ram_mb = -1};
    const char *hostname = NULL;
    int r = require_object(object);

    if (r == 0)
        r = get_uuid(object, "node_id", node.node_id);
    if (r == 0)
        r = get_hostname(object, "hostname", &hostname);
    if (r == 0)
        r = get_ip4(object, "host_ip", &node.host_ip);
    if (r == 0)
        r = get_prefix(object, "subnet", &node.subnet);
    if (r == 0)
        r = get_optional_int(object, "cpu_cores", CORES_MAX, &node.cpu_cores);
    if (r == 0)
        r = get_optional_int(object, "ram_mb", RAM_MB_MAX, &node.ram_mb);
    if (r == 0)
        r = get_status(object, &node.is_up);
    if (r == 0)
        r = get_optional_int(object, "registered_at", UNIX_SECONDS_MAX, &node.registered_at);
    if (r == 0)
        r = get_optional_int(object, "last_heartbeat", UNIX_SECONDS_MAX, &node.last_heartbeat);
    if (r < 0)
        return r;
    (void)snprintf(node.hostname, sizeof node.hostname, "%s", hostname);
    *ret_node = node;
    return 0;
}

void api_node_to_json(const struct api_node *node, struct strbuf *out, size_t *ret_beat_offset)
{
    char ip[IP4_TEXT_SIZE], subnet[IP4_PREFIX_TEXT_SIZE];
    size_t start = out->len;

    strbuf_addf(out, "{\"node_id\":\"%s\",\"hostname\":", node->node_id);
    strbuf_add_json(out, node->hostname);
    strbuf_addf(out, ",\"host_ip\":\"%s\",\"subnet\":\"%s\"", ip4_format(node->host_ip, ip),
                ip4_prefix_format(node->subnet, subnet));
    add_int_or_null(out, "cpu_cores", node->cpu_cores);
    add_int_or_null(out, "ram_mb", node->ram_mb);
    strbuf_addf(out, ",\"status\":\"%s\",\"registered_at\":%lld,\"last_heartbeat\":",
                node->is_up ? "up" : "down", (long long)node->registered_at);
    if (ret_beat_offset)
        *ret_beat_offset = out->len - start;
    strbuf_addf(out, "%10lld}", (long long)node->last_heartbeat);
}

int api_node_list_from_json(const json_t *value, struct api_node **ret_nodes, size_t *ret_count)
{
    AUTO_FREE struct api_node *nodes = NULL;
    const json_t *array = NULL, *item;
    size_t i;
    int r = require_object(value);

    if (r == 0)
        r = json_get_array(value, "nodes", &array);
    if (r < 0)
        return r;
    nodes = mem_array(json_array_size(array), sizeof *nodes);
    json_array_foreach (array, i, item) {
        r = api_node_from_json(item, &nodes[i]);
        if (r < 0)
            return err_wrap(r, "nodes[%zu]", i);
    }
    *ret_count = json_array_size(array);
    *ret_nodes = TAKE_PTR(nodes);
    return 0;
}

/* ---- where it comes from ------------------------------------------------------------------- */

int api_origin_from_json(const json_t *object, struct api_origin *ret_origin)
{
    struct api_origin origin = {0};
    const char *cluster_id = NULL;
    int64_t revision = 0;
    int r = get_optional_string(object, "cluster_id", &cluster_id);

    if (r == 0 && cluster_id)
        r = get_uuid(object, "cluster_id", origin.cluster_id);
    if (r == 0)
        r = get_optional_int(object, "revision", INT64_MAX, &revision);
    if (r < 0)
        return r;
    origin.revision = (uint64_t)revision;
    *ret_origin = origin;
    return 0;
}

int api_origin_check(const struct api_origin *known, const struct api_origin *told)
{
    if (!known->cluster_id[0] || !told->cluster_id[0])
        return 0;
    if (strcmp(known->cluster_id, told->cluster_id) != 0)
        return err_fail(ESTALE,
                        "the control plane is of cluster %s, the node belongs to cluster %s",
                        told->cluster_id, known->cluster_id);
    if (told->revision < known->revision)
        return err_fail(ESTALE,
                        "the control plane is at revision %llu, the node has seen revision %llu of "
                        "it: the control plane has lost what happened since",
                        (unsigned long long)told->revision, (unsigned long long)known->revision);
    return 0;
}

static void add_origin(struct strbuf *out, const struct api_origin *origin)
{
    if (origin->cluster_id[0])
        strbuf_addf(out, ",\"cluster_id\":\"%s\"", origin->cluster_id);
    strbuf_addf(out, ",\"revision\":%llu", (unsigned long long)origin->revision);
}

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

/* ---- registering --------------------------------------------------------------------------- */

bool api_is_new_token(const char *text)
{
    size_t digits = strspn(text, "0123456789abcdef");

    return digits == NODE_TOKEN_TEXT_SIZE - 1 && text[digits] == '\0';
}

static int get_tokens(const json_t *body, struct api_register_request *request)
{
    int r = get_optional_string(body, "node_token", &request->node_token);

    if (r == 0 && request->node_token)
        r = check_token(request->node_token);
    if (r == 0)
        r = get_optional_string(body, "new_token", &request->new_token);
    if (r == 0 && request->new_token && !api_is_new_token(request->new_token))
        r = err_fail(EINVAL, "new_token: must be %d hexadecimal digits (lower case)",
                     NODE_TOKEN_TEXT_SIZE - 1);
    return r;
}

int api_register_request_from_json(const json_t *body, struct api_register_request *ret)
{
    struct api_register_request request = {.cpu_cores = -1, .ram_mb = -1, .generation = -1};
    int r = require_object(body);

    if (r == 0)
        r = get_hostname(body, "hostname", &request.hostname);
    if (r == 0)
        r = get_ip4(body, "host_ip", &request.host_ip);
    if (r == 0 && !ip4_is_unicast_host(request.host_ip))
        r = err_fail(EINVAL, "host_ip: must be an address that other hosts can reach");
    if (r == 0)
        r = get_optional_int(body, "cpu_cores", CORES_MAX, &request.cpu_cores);
    if (r == 0)
        r = get_optional_int(body, "ram_mb", RAM_MB_MAX, &request.ram_mb);
    if (r == 0)
        r = get_optional_uuid(body, "node_id", &request.node_id);
    if (r == 0)
        r = get_tokens(body, &request);
    if (r == 0)
        r = get_optional_uuid(body, "instance_id", &request.instance_id);
    if (r == 0)
        r = get_optional_prefix(body, "subnet", &request.subnet);
    if (r == 0)
        r = api_origin_from_json(body, &request.known);
    if (r == 0)
        r = get_optional_int(body, "generation", INT64_MAX, &request.generation);
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
    strbuf_addf(&out, ",\"host_ip\":\"%s\"", ip4_format(request->host_ip, ip));
    add_int_or_null(&out, "cpu_cores", request->cpu_cores);
    add_int_or_null(&out, "ram_mb", request->ram_mb);
    add_text(&out, "node_id", request->node_id);
    add_text(&out, "node_token", request->node_token);
    add_text(&out, "new_token", request->new_token);
    add_text(&out, "instance_id", request->instance_id);
    if (request->subnet.len > 0)
        strbuf_addf(&out, ",\"subnet\":\"%s\"", ip4_prefix_format(request->subnet, subnet));
    if (request->known.cluster_id[0])
        add_origin(&out, &request->known);
    add_int(&out, "generation", request->generation);
    strbuf_adds(&out, "}");
    return strbuf_take(&out);
}

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

static int get_intervals(const json_t *object, struct api_cluster *cluster)
{
    int r =
        get_optional_int(object, "heartbeat_interval_ms", INTERVAL_MS_MAX, &cluster->heartbeat_ms);

    if (r == 0)
        r = get_optional_int(object, "node_timeout_ms", INTERVAL_MS_MAX, &cluster->node_timeout_ms);
    if (r == 0)
        r = get_optional_int(object, "peer_sync_interval_ms", INTERVAL_MS_MAX,
                             &cluster->peer_sync_ms);
    if (r == 0 &&
        (cluster->heartbeat_ms < 10 || cluster->node_timeout_ms < 10 || cluster->peer_sync_ms < 10))
        r = err_fail(EINVAL, "the cluster's settings contradict each other");
    return r;
}

static void add_intervals(struct strbuf *out, const struct api_cluster *c)
{
    strbuf_addf(out,
                ",\"heartbeat_interval_ms\":%lld,\"node_timeout_ms\":%lld,"
                "\"peer_sync_interval_ms\":%lld",
                (long long)c->heartbeat_ms, (long long)c->node_timeout_ms,
                (long long)c->peer_sync_ms);
}

static int get_cluster(const json_t *object, struct api_cluster *cluster)
{
    int64_t node_prefix = cluster->node_prefix_len, vni = cluster->vni, port = cluster->vxlan_port;
    int r = get_optional_prefix(object, "cluster_cidr", &cluster->cidr);

    if (r == 0)
        r = get_optional_int(object, "node_prefix", 30, &node_prefix);
    if (r == 0)
        r = get_optional_int(object, "vni", 0xffffff, &vni);
    if (r == 0)
        r = get_optional_int(object, "vxlan_port", 65535, &port);
    if (r == 0)
        r = get_intervals(object, cluster);
    if (r < 0)
        return r;
    if (node_prefix <= cluster->cidr.len || vni == 0 || port == 0)
        return err_fail(EINVAL, "the cluster's settings contradict each other");
    cluster->node_prefix_len = (uint8_t)node_prefix;
    cluster->vni = (uint32_t)vni;
    cluster->vxlan_port = (uint16_t)port;
    return named(api_cluster_check_cidr(cluster->cidr), "cluster_cidr");
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
    int r = require_object(value);

    if (r == 0)
        r = get_uuid(value, "node_id", reply.node_id);
    if (r == 0)
        r = get_prefix(value, "subnet", &reply.subnet);
    if (r == 0)
        r = get_optional_string(value, "node_token", &token);
    if (r == 0 && token)
        r = check_token(token);
    if (r == 0)
        r = get_cluster(value, &reply.cluster);
    if (r == 0)
        r = check_own_subnet(&reply);
    if (r == 0)
        r = api_origin_from_json(value, &reply.origin);
    if (r == 0)
        r = get_optional_int(value, "generation", INT64_MAX, &reply.generation);
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

    strbuf_addf(&out, "{\"node_id\":\"%s\",\"subnet\":\"%s\"", reply->node_id,
                ip4_prefix_format(reply->subnet, subnet));
    if (reply->node_token[0]) {
        strbuf_adds(&out, ",\"node_token\":");
        strbuf_add_json(&out, reply->node_token);
    }
    strbuf_addf(&out, ",\"cluster_cidr\":\"%s\",\"node_prefix\":%u,\"vni\":%u,\"vxlan_port\":%u",
                ip4_prefix_format(c->cidr, cidr), c->node_prefix_len, c->vni, c->vxlan_port);
    add_intervals(&out, c);
    add_origin(&out, &reply->origin);
    if (reply->generation > 0)
        add_int(&out, "generation", reply->generation);
    strbuf_adds(&out, "}");
    return strbuf_take(&out);
}

/* ---- heartbeats ---------------------------------------------------------------------------- */

struct api_heartbeat api_heartbeat_empty(void)
{
    return (struct api_heartbeat){.generation = -1,
                                  .revision_applied = -1,
                                  .peers = -1,
                                  .peers_wanted = -1,
                                  .load_percent = -1};
}

int api_heartbeat_from_json(const json_t *body, struct api_heartbeat *ret)
{
    struct api_heartbeat h = api_heartbeat_empty();
    const struct {
        const char *key;
        int64_t *value;
    } numbers[] = {
        {"generation", &h.generation},
        {"revision_applied", &h.revision_applied},
        {"peers", &h.peers},
        {"peers_wanted", &h.peers_wanted},
        {"load_percent", &h.load_percent},
    };
    const char *version = NULL;
    int r = require_object(body);

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(numbers); i++)
        r = get_optional_int(body, numbers[i].key, INT64_MAX, numbers[i].value);
    if (r == 0)
        r = get_optional_string(body, "agent_version", &version);
    if (r == 0 && version && strlen(version) >= sizeof h.agent_version)
        r = err_fail(EINVAL, "agent_version: longer than %zu characters",
                     sizeof h.agent_version - 1);
    if (r < 0)
        return r;
    if (version)
        memcpy(h.agent_version, version, strlen(version) + 1);
    *ret = h;
    return 0;
}

void api_heartbeat_to_json(const struct api_heartbeat *h, struct strbuf *out)
{
    strbuf_adds(out, "{\"agent_version\":");
    strbuf_add_json(out, h->agent_version);
    add_int(out, "generation", h->generation);
    add_int(out, "revision_applied", h->revision_applied);
    add_int(out, "peers", h->peers);
    add_int(out, "peers_wanted", h->peers_wanted);
    add_int(out, "load_percent", h->load_percent);
    strbuf_adds(out, "}");
}

void api_heartbeat_reply_to_json(const struct api_heartbeat_reply *reply, struct strbuf *out)
{
    strbuf_addf(out, "{\"status\":\"ok\",\"revision\":%llu,\"server_time\":%lld",
                (unsigned long long)reply->revision, (long long)reply->server_time);
    add_intervals(out, &reply->cluster);
    strbuf_adds(out, "}");
}

int api_heartbeat_reply_take(const json_t *value, struct api_cluster *cluster)
{
    struct api_cluster told = *cluster;
    int r = require_object(value);

    if (r == 0)
        r = get_intervals(value, &told);
    if (r == 0)
        *cluster = told;
    return r;
}
