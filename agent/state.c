/* The state file's text. */
#include "agent/state.h"

#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"

#define STATE_FORMAT 1
#define HEAD "{\"sha256\":\""
#define MIDDLE "\",\"content\":"
#define TAIL "}\n"

void agent_state_deinit(struct agent_state *state)
{
    free(state->peers);
    *state = (struct agent_state){0};
}

/* ---- writing ------------------------------------------------------------------------------- */

static void add_content(struct strbuf *out, const struct agent_state *state)
{
    AUTO_FREE char *identity = api_register_reply_to_json(&state->identity);
    char host_ip[IP4_TEXT_SIZE];

    strbuf_addf(out, "{\"format\":%d,\"host_ip\":\"%s\",\"identity\":", STATE_FORMAT,
                ip4_format(state->host_ip, host_ip));
    strbuf_adds(out, identity);
    strbuf_adds(out, ",\"peers\":[");
    for (size_t i = 0; i < state->peer_count; i++) {
        if (i > 0)
            strbuf_adds(out, ",\n");
        api_node_to_json(&state->peers[i], out, NULL);
    }
    strbuf_adds(out, "]}");
}

char *agent_state_to_text(const struct agent_state *state)
{
    AUTO_STRBUF struct strbuf content = {0};
    struct strbuf text = {0};
    char digest[SHA256_HEX_SIZE];

    add_content(&content, state);
    sha256_hex(content.data, content.len, digest);
    strbuf_adds(&text, HEAD);
    strbuf_adds(&text, digest);
    strbuf_adds(&text, MIDDLE);
    strbuf_add(&text, content.data, content.len);
    strbuf_adds(&text, TAIL);
    return strbuf_take(&text);
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

static int read_peers(const json_t *content, struct agent_state *ret)
{
    const json_t *peers;
    size_t count;
    int r = json_get_array(content, "peers", &peers);

    if (r < 0)
        return r;
    count = json_array_size(peers);
    ret->peers = mem_array(count + 1, sizeof *ret->peers);
    for (size_t i = 0; i < count; i++) {
        r = api_node_from_json(json_array_get(peers, i), &ret->peers[i]);
        if (r < 0)
            return err_wrap(r, "peer %zu", i);
    }
    ret->peer_count = count;
    return 0;
}

static int read_content(const json_t *content, struct agent_state *ret)
{
    int64_t format;
    int r = json_get_int(content, "format", STATE_FORMAT, STATE_FORMAT, &format);

    if (r == 0)
        r = get_ip4(content, "host_ip", &ret->host_ip);
    if (r == 0)
        r = api_register_reply_from_json(json_object_get(content, "identity"), &ret->identity);
    if (r == 0)
        r = read_peers(content, ret);
    return r;
}

/* The bytes of the content inside the frame, their checksum verified. */
static int unframe(const char *text, size_t n, const char **ret_content, size_t *ret_n)
{
    const size_t before = strlen(HEAD) + SHA256_HEX_SIZE - 1 + strlen(MIDDLE);
    const char *digest = text + strlen(HEAD);
    char right[SHA256_HEX_SIZE];

    if (n < before + strlen(TAIL) || memcmp(text, HEAD, strlen(HEAD)) != 0 ||
        memcmp(digest + SHA256_HEX_SIZE - 1, MIDDLE, strlen(MIDDLE)) != 0 ||
        memcmp(text + n - strlen(TAIL), TAIL, strlen(TAIL)) != 0)
        return err_fail(EINVAL, "it is not a whole state file");
    sha256_hex(text + before, n - before - strlen(TAIL), right);
    if (memcmp(digest, right, SHA256_HEX_SIZE - 1) != 0)
        return err_fail(EINVAL, "its checksum is wrong");
    *ret_content = text + before;
    *ret_n = n - before - strlen(TAIL);
    return 0;
}

int agent_state_from_text(const char *text, size_t n, struct agent_state *ret_state)
{
    struct agent_state state = {0};
    AUTO_JSON json_t *value = NULL;
    const char *content;
    size_t content_n;
    int r = unframe(text, n, &content, &content_n);

    if (r == 0)
        r = json_parse(content, content_n, &value);
    if (r == 0)
        r = read_content(value, &state);
    if (r < 0) {
        agent_state_deinit(&state);
        return -EINVAL;
    }
    *ret_state = state;
    return 0;
}
