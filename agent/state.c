/* What the agent remembers, as JSON. */
#include "agent/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/base32.h"
#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/base/secret.h"

#define STATE_FORMAT 1

void agent_state_deinit(struct agent_state *state)
{
    free(state->peers);
    free(state->found);
    *state = (struct agent_state){0};
}

/* ---- writing ------------------------------------------------------------------------------- */

/* As access tokens write them. */
static void add_ca_pins(struct strbuf *out, const struct tls_pins *pins)
{
    strbuf_adds(out, ",\"ca_pins\":[");
    for (size_t i = 0; i < pins->count; i++) {
        char pin[BASE32_LEN(SHA256_SIZE) + 1];

        base32_encode(pins->items[i].bytes, SHA256_SIZE, pin);
        strbuf_addf(out, "%s\"%s\"", i > 0 ? "," : "", pin);
    }
    strbuf_adds(out, "]");
}

char *agent_state_to_json(const struct agent_state *state)
{
    AUTO_SECRET char *identity = api_register_reply_to_json(&state->identity);
    struct strbuf out = {0};
    char host_ip[IP4_TEXT_SIZE];

    strbuf_addf(&out, "{\"format\":%d,\"host_ip\":\"%s\",\"new_token\":\"%s\"", STATE_FORMAT,
                ip4_format(state->host_ip, host_ip), state->new_token);
    strbuf_adds(&out, ",\"access_token\":");
    strbuf_add_json(&out, state->access_token);
    add_ca_pins(&out, &state->ca_pins);
    if (state->identity.node_id[0])
        strbuf_addf(&out, ",\"identity\":%s", identity);
    strbuf_adds(&out, ",\"peers\":[");
    for (size_t i = 0; i < state->peer_count; i++) {
        if (i > 0)
            strbuf_adds(&out, ",\n");
        api_node_to_json(&state->peers[i], &out, NULL);
    }
    strbuf_adds(&out, "],\"found\":[");
    for (size_t i = 0; i < state->found_count; i++)
        strbuf_addf(&out, "%s{\"node_id\":\"%s\",\"bytes\":%u}", i > 0 ? "," : "",
                    state->found[i].node_id, state->found[i].bytes);
    strbuf_adds(&out, "]}");
    return strbuf_take(&out);
}

char *agent_change_to_json(const struct agent_change *change)
{
    struct strbuf out = {0};

    strbuf_addf(&out, "{\"revision\":%" PRIu64 ",\"peers\":[", change->revision);
    for (size_t i = 0; i < change->peer_count; i++) {
        if (i > 0)
            strbuf_adds(&out, ",");
        api_node_to_json(&change->peers[i], &out, NULL);
    }
    strbuf_adds(&out, "],\"gone\":[");
    for (size_t i = 0; i < change->gone_count; i++) {
        if (i > 0)
            strbuf_adds(&out, ",");
        strbuf_add_json(&out, change->gone[i]);
    }
    strbuf_adds(&out, "]}");
    return strbuf_take(&out);
}

/* ---- reading ------------------------------------------------------------------------------- */

static int get_ip4(const json_t *object, const char *key, uint32_t *ret)
{
    const char *text;
    int r = json_get_string(object, key, &text);

    if (r == 0)
        r = ip4_parse(text, ret);
    return r < 0 ? err_wrap(r, "%s", key) : 0;
}

static int read_peers(const json_t *content, struct api_node **ret_peers, size_t *ret_count)
{
    AUTO_FREE struct api_node *nodes = NULL;
    const json_t *peers;
    size_t count;
    int r = json_get_array(content, "peers", &peers);

    if (r < 0)
        return r;
    count = json_array_size(peers);
    nodes = mem_array(count + 1, sizeof *nodes);
    for (size_t i = 0; i < count; i++) {
        r = api_node_from_json(json_array_get(peers, i), &nodes[i]);
        if (r < 0)
            return err_wrap(r, "peer %zu", i);
    }
    *ret_peers = TAKE_PTR(nodes);
    *ret_count = count;
    return 0;
}

static int read_one_found(const json_t *item, struct agent_found *ret)
{
    const char *node_id = NULL;
    int64_t bytes;
    int r = json_get_string(item, "node_id", &node_id);

    if (r == 0)
        r = parse_uuid(node_id);
    if (r == 0)
        r = json_get_int(item, "bytes", 0, UINT16_MAX, &bytes);
    if (r < 0)
        return r;
    memcpy(ret->node_id, node_id, sizeof ret->node_id);
    ret->bytes = (uint32_t)bytes;
    return 0;
}

/* An earlier release has written none. */
static int read_found(const json_t *content, struct agent_state *ret)
{
    const json_t *found;
    size_t count;
    int r = json_get_array(content, "found", &found);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    count = json_array_size(found);
    ret->found = mem_array(count + 1, sizeof *ret->found);
    for (size_t i = 0; i < count; i++) {
        r = read_one_found(json_array_get(found, i), &ret->found[i]);
        if (r < 0)
            return err_wrap(r, "found %zu", i);
    }
    ret->found_count = count;
    return 0;
}

static int read_new_token(const json_t *content, struct agent_state *ret)
{
    const char *text = "";
    int r = json_get_string(content, "new_token", &text);

    if (r < 0 && r != -ENOENT)
        return r;
    if (text[0] && !api_is_new_token(text))
        return err_fail(EINVAL, "new_token: is none");
    (void)snprintf(ret->new_token, sizeof ret->new_token, "%s", text);
    return 0;
}

/* An id, not a token: nothing secret. */
static int read_access_token(const json_t *content, struct agent_state *ret)
{
    const char *text = "";
    int r = json_get_string(content, "access_token", &text);

    if (r < 0 && r != -ENOENT)
        return r;
    if (strlen(text) >= sizeof ret->access_token)
        return err_fail(EINVAL, "access_token: longer than %zu characters",
                        sizeof ret->access_token - 1);
    memcpy(ret->access_token, text, strlen(text) + 1);
    return 0;
}

/* An earlier release has written none. */
static int read_ca_pins(const json_t *content, struct agent_state *ret)
{
    const json_t *list;
    json_t *item;
    size_t i;
    int r = json_get_array(content, "ca_pins", &list);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (json_array_size(list) > ARRAY_LEN(ret->ca_pins.items))
        return err_fail(EINVAL, "ca_pins: more than %zu", ARRAY_LEN(ret->ca_pins.items));
    json_array_foreach (list, i, item) {
        const char *text = json_string_value(item);

        if (!text ||
            base32_decode(text, strlen(text), ret->ca_pins.items[i].bytes, SHA256_SIZE) != 0)
            return err_fail(EINVAL, "ca_pins[%zu]: is none", i);
    }
    ret->ca_pins.count = json_array_size(list);
    return 0;
}

static int read_identity(const json_t *content, struct agent_state *ret)
{
    const json_t *identity = json_object_get(content, "identity");
    int r;

    ret->identity.cluster = api_cluster_default();
    r = identity ? api_register_reply_from_json(identity, &ret->identity) : 0;
    ret->identity.certificate = ret->identity.ca = NULL; /* are in files of their own */
    return r;
}

static int read_content(const json_t *content, struct agent_state *ret)
{
    int64_t format;
    int r = json_get_int(content, "format", STATE_FORMAT, STATE_FORMAT, &format);

    if (r == 0)
        r = get_ip4(content, "host_ip", &ret->host_ip);
    if (r == 0)
        r = read_new_token(content, ret);
    if (r == 0)
        r = read_access_token(content, ret);
    if (r == 0)
        r = read_ca_pins(content, ret);
    if (r == 0)
        r = read_identity(content, ret);
    if (r == 0)
        r = read_peers(content, &ret->peers, &ret->peer_count);
    if (r == 0)
        r = read_found(content, ret);
    return r;
}

int agent_state_from_json(const json_t *content, struct agent_state *ret_state)
{
    struct agent_state state = {0};

    if (read_content(content, &state) < 0) {
        agent_state_deinit(&state);
        return -EINVAL;
    }
    *ret_state = state;
    return 0;
}

static int read_gone(const json_t *record, struct agent_change *ret)
{
    const json_t *list;
    json_t *item;
    size_t i;
    int r = json_get_array(record, "gone", &list);

    if (r < 0)
        return r;
    ret->gone = mem_array(json_array_size(list) + 1, sizeof(const char *));
    json_array_foreach (list, i, item) {
        const char *node_id = json_string_value(item);

        if (!node_id || parse_uuid(node_id) < 0)
            return err_fail(EINVAL, "gone[%zu]: is no node id", i);
        ret->gone[ret->gone_count++] = node_id;
    }
    return 0;
}

int agent_change_from_json(const json_t *record, struct agent_change *ret_change)
{
    struct agent_change change = {0};
    int64_t revision;
    int r = json_get_int(record, "revision", 0, INT64_MAX, &revision);

    if (r == 0)
        r = read_peers(record, &change.peers, &change.peer_count);
    if (r == 0)
        r = read_gone(record, &change);
    if (r < 0) {
        agent_change_deinit(&change);
        return -EINVAL;
    }
    change.revision = (uint64_t)revision;
    *ret_change = change;
    return 0;
}

void agent_change_deinit(struct agent_change *change)
{
    free(change->peers);
    free(change->gone);
    *change = (struct agent_change){0};
}
