/* Members of JSON objects. */
#include "lib/api/fields.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"

int field_named(int r, const char *key)
{
    return r < 0 ? err_wrap(r, "%s", key) : r;
}

int field_get_uuid(const json_t *object, const char *key, char ret_id[static UUID_TEXT_SIZE])
{
    const char *text = NULL;
    int r = json_get_string(object, key, &text);

    if (r < 0)
        return r;
    r = field_named(parse_uuid(text), key);
    if (r < 0)
        return r;
    memcpy(ret_id, text, UUID_TEXT_SIZE);
    return 0;
}

int field_get_ip4(const json_t *object, const char *key, uint32_t *ret_addr)
{
    const char *text = NULL;
    int r = json_get_string(object, key, &text);

    return r < 0 ? r : field_named(ip4_parse(text, ret_addr), key);
}

int field_get_prefix(const json_t *object, const char *key, struct ip4_prefix *ret_prefix)
{
    const char *text = NULL;
    int r = json_get_string(object, key, &text);

    return r < 0 ? r : field_named(ip4_prefix_parse(text, ret_prefix), key);
}

int field_get_hostname(const json_t *object, const char *key, const char **ret_text)
{
    int r = json_get_string(object, key, ret_text);

    return r < 0 ? r : field_named(parse_hostname(*ret_text), key);
}

/* What may be missing mostly is; there is no error to be put into words then. */
static bool is_there(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return value && !json_is_null(value);
}

int field_get_optional_int(const json_t *object, const char *key, int64_t max, int64_t *ret_value)
{
    return is_there(object, key) ? json_get_int(object, key, 0, max, ret_value) : 0;
}

int field_get_optional_prefix(const json_t *object, const char *key, struct ip4_prefix *ret_prefix)
{
    return is_there(object, key) ? field_get_prefix(object, key, ret_prefix) : 0;
}

int field_get_optional_string(const json_t *object, const char *key, const char **ret_text)
{
    *ret_text = NULL;
    return is_there(object, key) ? json_get_string(object, key, ret_text) : 0;
}

int field_get_optional_uuid(const json_t *object, const char *key, const char **ret_text)
{
    int r = field_get_optional_string(object, key, ret_text);

    return r == 0 && *ret_text ? field_named(parse_uuid(*ret_text), key) : r;
}

int field_require_object(const json_t *value)
{
    return json_is_object(value) ? 0 : err_fail(EINVAL, "must be a JSON object");
}

/* Answers to heartbeats and lists of nodes are made of these all day: no printf. */
static void add_key(struct strbuf *out, const char *key)
{
    strbuf_adds(out, ",\"");
    strbuf_adds(out, key);
    strbuf_adds(out, "\":");
}

void field_add_u64(struct strbuf *out, const char *key, uint64_t value)
{
    add_key(out, key);
    strbuf_add_u64(out, value);
}

void field_add_int(struct strbuf *out, const char *key, int64_t value)
{
    if (value >= 0)
        field_add_u64(out, key, (uint64_t)value);
}

void field_add_text(struct strbuf *out, const char *key, const char *text)
{
    if (!text)
        return;
    add_key(out, key);
    strbuf_add_json(out, text);
}

void field_add_int_or_null(struct strbuf *out, const char *key, int64_t value)
{
    if (value >= 0) {
        field_add_int(out, key, value);
        return;
    }
    add_key(out, key);
    strbuf_adds(out, "null");
}
