/* Heartbeats, to and from JSON. */
#include "lib/api/heartbeat.h"

#include <string.h>

#include "lib/api/fields.h"
#include "lib/base/error.h"

#define USUAL_BYTES 256 /* that an answer gets by with */

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
    const char *version = NULL, *ca = NULL;
    int r = field_require_object(body);

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(numbers); i++)
        r = field_get_optional_int(body, numbers[i].key, INT64_MAX, numbers[i].value);
    if (r == 0)
        r = field_get_optional_string(body, "agent_version", &version);
    if (r == 0 && version && strlen(version) >= sizeof h.agent_version)
        r = err_fail(EINVAL, "agent_version: longer than %zu characters",
                     sizeof h.agent_version - 1);
    if (r == 0)
        r = field_get_optional_string(body, "ca_sha256", &ca);
    if (r == 0 && ca && strlen(ca) != SHA256_HEX_SIZE - 1)
        r = err_fail(EINVAL, "ca_sha256: must have %d digits", SHA256_HEX_SIZE - 1);
    if (r < 0)
        return r;
    if (version)
        memcpy(h.agent_version, version, strlen(version) + 1);
    if (ca)
        memcpy(h.ca_sha256, ca, sizeof h.ca_sha256);
    *ret = h;
    return 0;
}

void api_heartbeat_to_json(const struct api_heartbeat *h, struct strbuf *out)
{
    strbuf_adds(out, "{\"agent_version\":");
    strbuf_add_json(out, h->agent_version);
    field_add_int(out, "generation", h->generation);
    field_add_int(out, "revision_applied", h->revision_applied);
    field_add_int(out, "peers", h->peers);
    field_add_int(out, "peers_wanted", h->peers_wanted);
    field_add_int(out, "load_percent", h->load_percent);
    field_add_text(out, "ca_sha256", h->ca_sha256[0] ? h->ca_sha256 : NULL);
    strbuf_adds(out, "}");
}

void api_heartbeat_reply_to_json(const struct api_heartbeat_reply *reply, struct strbuf *out)
{
    strbuf_reserve(out, USUAL_BYTES);
    strbuf_adds(out, "{\"status\":\"ok\"");
    field_add_u64(out, "revision", reply->revision);
    field_add_int(out, "server_time", reply->server_time);
    api_cluster_add_intervals(out, &reply->cluster);
    field_add_text(out, "ca_sha256", reply->ca_sha256);
    if (reply->is_renewal_due)
        strbuf_adds(out, ",\"renew_certificate\":true");
    strbuf_adds(out, "}");
}

int api_heartbeat_reply_renewal(const json_t *value, const char **ret_ca_sha256,
                                bool *ret_is_renewal_due)
{
    const char *ca = NULL;
    bool is_due = false;
    int r = field_require_object(value);

    if (r == 0)
        r = field_get_optional_string(value, "ca_sha256", &ca);
    if (r == 0)
        r = json_get_bool(value, "renew_certificate", &is_due);
    if (r < 0 && r != -ENOENT)
        return r;
    *ret_ca_sha256 = ca;
    *ret_is_renewal_due = is_due;
    return 0;
}

int api_heartbeat_reply_time(const json_t *value, int64_t *ret_server_time)
{
    int r = field_require_object(value);

    return r == 0 ? json_get_int(value, "server_time", 0, INT64_MAX, ret_server_time) : r;
}

int api_heartbeat_reply_take(const json_t *value, struct api_cluster *cluster)
{
    struct api_cluster told = *cluster;
    int r = field_require_object(value);

    if (r == 0)
        r = api_cluster_get_intervals(value, &told);
    if (r == 0)
        *cluster = told;
    return r;
}
