/* One node as the control plane knows it. */
#include "control/services/node.h"

#include <stdio.h>
#include <string.h>

#include "lib/api/fields.h"
#include "lib/base/error.h"
#include "lib/base/parse.h"

#define BEAT_DIGITS 10
/* So many downs within such a time, and the operator is told. */
#define DOWNS_MANY 3
#define DOWNS_WITHIN_MS 300000
#define BEAT_MAX 9999999999LL /* the year 2286 */

/* Written for each change of a node: no printf. */
static void add_bool(struct strbuf *out, const char *start, bool value)
{
    strbuf_adds(out, start);
    strbuf_adds(out, value ? "true" : "false");
}

char *node_facts_to_json(const struct node_facts *facts)
{
    AUTO_STRBUF struct strbuf out = {0};

    api_node_to_json(&facts->api, &out, NULL);
    strbuf_cut(&out, 1); /* the closing brace comes behind our members */
    add_bool(&out, ",\"has_left\":", facts->has_left);
    add_bool(&out, ",\"holds_address\":", facts->holds_address);
    field_add_int(&out, "generation", facts->generation);
    field_add_text(&out, "instance_id", facts->instance_id);
    field_add_text(&out, "token_sha256", facts->token_sha256);
    field_add_text(&out, "home_id", facts->home_id[0] ? facts->home_id : NULL);
    field_add_text(&out, "key_sha256", facts->key_sha256[0] ? facts->key_sha256 : NULL);
    if (facts->api.is_beat_or_later)
        add_bool(&out, ",\"" API_BEAT_OR_LATER "\":", true);
    strbuf_adds(&out, "}");
    return strbuf_take(&out);
}

/* Stored before there were any: none is known. */
static int read_uuid(const json_t *object, const char *key, char ret_id[static UUID_TEXT_SIZE])
{
    const char *text = "";
    int r = json_get_string(object, key, &text);

    if (r == -ENOENT)
        return 0;
    if (r == 0 && text[0])
        r = parse_uuid(text);
    if (r < 0)
        return err_wrap(r, "%s", key);
    (void)snprintf(ret_id, UUID_TEXT_SIZE, "%s", text);
    return 0;
}

static int read_digest(const json_t *object, const char *key,
                       char ret_digest[static SHA256_HEX_SIZE])
{
    const char *text = NULL;
    int r = json_get_string(object, key, &text);

    if (r < 0)
        return r;
    if (strlen(text) != SHA256_HEX_SIZE - 1)
        return err_fail(EINVAL, "%s: must have %d digits", key, SHA256_HEX_SIZE - 1);
    memcpy(ret_digest, text, SHA256_HEX_SIZE);
    return 0;
}

/* What older versions did not store, or what not every node has, keeps its zero. */
static int if_there(int r)
{
    return r == -ENOENT ? 0 : r;
}

static int read_own_members(const json_t *object, struct node_facts *facts)
{
    int r = json_get_bool(object, "has_left", &facts->has_left);

    if (r == 0)
        r = json_get_bool(object, "holds_address", &facts->holds_address);
    if (r == 0)
        r = read_digest(object, "token_sha256", facts->token_sha256);
    if (r == 0)
        r = if_there(read_digest(object, "key_sha256", facts->key_sha256));
    if (r == 0)
        r = if_there(json_get_int(object, "generation", 0, INT64_MAX, &facts->generation));
    if (r == 0)
        r = read_uuid(object, "instance_id", facts->instance_id);
    return r == 0 ? read_uuid(object, "home_id", facts->home_id) : r;
}

int node_facts_from_json(const char *text, struct node_facts *ret_facts)
{
    AUTO_JSON json_t *object = NULL;
    struct node_facts facts = {0};
    int r = json_parse(text, strlen(text), &object);

    if (r == 0)
        r = api_node_from_json(object, &facts.api);
    if (r == 0)
        r = read_own_members(object, &facts);
    if (r < 0)
        return r;
    *ret_facts = facts;
    return 0;
}

bool node_facts_equal(const struct node_facts *a, const struct node_facts *b)
{
    return strcmp(a->api.node_id, b->api.node_id) == 0 &&
           strcmp(a->api.hostname, b->api.hostname) == 0 && a->api.host_ip == b->api.host_ip &&
           ip4_prefix_equal(a->api.subnet, b->api.subnet) && a->api.cpu_cores == b->api.cpu_cores &&
           a->api.ram_mb == b->api.ram_mb && a->api.is_up == b->api.is_up &&
           a->api.registered_at == b->api.registered_at && a->has_left == b->has_left &&
           a->holds_address == b->holds_address && a->generation == b->generation &&
           strcmp(a->instance_id, b->instance_id) == 0 && strcmp(a->home_id, b->home_id) == 0 &&
           strcmp(a->token_sha256, b->token_sha256) == 0 &&
           strcmp(a->key_sha256, b->key_sha256) == 0;
}

static void make_json(struct node *node)
{
    struct strbuf out = {0};

    api_node_to_json(&node->facts.api, &out, &node->beat_offset);
    node->json_len = out.len;
    free(node->json);
    node->json = strbuf_take(&out);
}

struct node *node_new(const struct node_facts *facts)
{
    struct node *node = NEW(struct node);

    node->facts = *facts;
    node->report = api_heartbeat_empty();
    make_json(node);
    return node;
}

void node_to_list_json(const struct node *node, struct strbuf *out)
{
    strbuf_add(out, node->json, node->json_len);
    if (!node->is_unknown && !node->facts.api.is_beat_or_later)
        return;
    strbuf_cut(out, 1); /* the closing brace comes behind */
    strbuf_adds(out, node->is_unknown ? ",\"unknown\":true" : "");
    strbuf_adds(out, node->facts.api.is_beat_or_later ? ",\"" API_BEAT_OR_LATER "\":true" : "");
    strbuf_adds(out, "}");
}

void node_to_json(const struct node *node, struct strbuf *out)
{
    node_to_list_json(node, out);
    if (!node->report.agent_version[0])
        return;
    strbuf_cut(out, 1); /* the closing brace comes behind the report */
    strbuf_adds(out, ",\"agent\":");
    api_heartbeat_to_json(&node->report, out);
    strbuf_adds(out, "}");
}

void node_free(struct node *node)
{
    if (!node)
        return;
    book_deinit(&node->book);
    witnesses_deinit(&node->witnesses);
    free(node->json);
    free(node);
}

void node_set_facts(struct node *node, const struct node_facts *facts)
{
    struct api_node before = node->facts.api;

    node->facts = *facts;
    if (node->facts.api.last_heartbeat < before.last_heartbeat) {
        node->facts.api.last_heartbeat = before.last_heartbeat;
        node->facts.api.is_beat_or_later = before.is_beat_or_later;
    }
    make_json(node);
}

bool node_note_down(struct node *node, int64_t now_ms)
{
    if (node->downs == 0 || now_ms - node->downs_since_ms > DOWNS_WITHIN_MS) {
        node->downs_since_ms = now_ms;
        node->downs = 0;
    }
    if (++node->downs < DOWNS_MANY)
        return false;
    node->downs = 0;
    return true;
}

bool node_set_heartbeat(struct node *node, int64_t unix_s)
{
    struct api_node *api = &node->facts.api;
    bool was_or_later = api->is_beat_or_later;
    char digits[BEAT_DIGITS + 1];

    api->is_beat_or_later = false;
    if (api->last_heartbeat == unix_s || unix_s < 0 || unix_s > BEAT_MAX)
        return was_or_later;
    api->last_heartbeat = unix_s;
    (void)snprintf(digits, sizeof digits, "%10lld", (long long)unix_s);
    memcpy(node->json + node->beat_offset, digits, BEAT_DIGITS);
    return true;
}
