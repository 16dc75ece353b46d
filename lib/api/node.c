/* Nodes, to and from JSON. */
#include "lib/api/node.h"

#include <stdio.h>
#include <string.h>

#include "lib/api/fields.h"
#include "lib/base/error.h"

#define USUAL_BYTES 256 /* that a node gets by with, as JSON */

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
    int r = field_require_object(object);

    if (r == 0)
        r = field_get_uuid(object, "node_id", node.node_id);
    if (r == 0)
        r = field_get_hostname(object, "hostname", &hostname);
    if (r == 0)
        r = field_get_ip4(object, "host_ip", &node.host_ip);
    if (r == 0)
        r = field_get_prefix(object, "subnet", &node.subnet);
    if (r == 0)
        r = field_get_optional_int(object, "cpu_cores", API_CORES_MAX, &node.cpu_cores);
    if (r == 0)
        r = field_get_optional_int(object, "ram_mb", API_RAM_MB_MAX, &node.ram_mb);
    if (r == 0)
        r = get_status(object, &node.is_up);
    if (r == 0)
        r = field_get_optional_int(object, "registered_at", API_UNIX_SECONDS_MAX,
                                   &node.registered_at);
    if (r == 0)
        r = field_get_optional_int(object, "last_heartbeat", API_UNIX_SECONDS_MAX,
                                   &node.last_heartbeat);
    if (r < 0)
        return r;
    node.is_unknown = json_is_true(json_object_get(object, "unknown"));
    node.is_beat_or_later = json_is_true(json_object_get(object, API_BEAT_OR_LATER));
    (void)snprintf(node.hostname, sizeof node.hostname, "%s", hostname);
    *ret_node = node;
    return 0;
}

void api_node_to_json(const struct api_node *node, struct strbuf *out, size_t *ret_beat_offset)
{
    char ip[IP4_TEXT_SIZE], subnet[IP4_PREFIX_TEXT_SIZE];
    size_t start = out->len;

    strbuf_reserve(out, USUAL_BYTES);
    strbuf_adds(out, "{\"node_id\":");
    strbuf_add_json(out, node->node_id);
    field_add_text(out, "hostname", node->hostname);
    field_add_text(out, "host_ip", ip4_format(node->host_ip, ip));
    field_add_text(out, "subnet", ip4_prefix_format(node->subnet, subnet));
    field_add_int_or_null(out, "cpu_cores", node->cpu_cores);
    field_add_int_or_null(out, "ram_mb", node->ram_mb);
    field_add_text(out, "status", node->is_up ? "up" : "down");
    field_add_int(out, "registered_at", node->registered_at);
    strbuf_adds(out, ",\"last_heartbeat\":");
    if (ret_beat_offset)
        *ret_beat_offset = out->len - start;
    strbuf_add_u64_wide(out, (uint64_t)node->last_heartbeat, 10);
    strbuf_adds(out, "}");
}

int api_node_list_from_json(const json_t *value, struct api_node **ret_nodes, size_t *ret_count)
{
    AUTO_FREE struct api_node *nodes = NULL;
    const json_t *array = NULL, *item;
    size_t i;
    int r = field_require_object(value);

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
    int r = field_get_optional_string(object, "cluster_id", &cluster_id);

    if (r == 0 && cluster_id)
        r = field_get_uuid(object, "cluster_id", origin.cluster_id);
    if (r == 0)
        r = field_get_optional_int(object, "revision", INT64_MAX, &revision);
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

void api_origin_add(struct strbuf *out, const struct api_origin *origin)
{
    field_add_text(out, "cluster_id", origin->cluster_id[0] ? origin->cluster_id : NULL);
    field_add_u64(out, "revision", origin->revision);
}
