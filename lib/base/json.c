/* JSON from outside, read strictly. */
#include "lib/base/json.h"

#include <stdint.h>
#include <stdlib.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

/* Without memory it would call a text invalid that is none, and lose members of what it builds. */
__attribute__((constructor)) static void use_our_memory(void)
{
    json_set_alloc_funcs(mem_alloc, free);
}

/* Refuses what would be too deep or too much, before anything is built of it. Texts that are no
 * JSON may be misjudged, and are refused in any case. jansson has a limit of depth of its own, of
 * 2048, which it reaches by calling itself as often; and of two bytes ("1,") it makes a value that
 * takes fifty and a hundred times as long as looking at them here. */
static int check_shape(const char *bytes, size_t n, size_t max_values)
{
    bool is_in_string = false;
    size_t values = 0;
    int depth = 0;

    for (const char *p = bytes; p < bytes + n; p++) {
        if (*p == '"')
            is_in_string = !is_in_string;
        else if (is_in_string)
            p += *p == '\\';
        else if ((*p == '[' || *p == '{') && ++depth > JSON_DEPTH_MAX)
            return err_fail(EINVAL, "not valid JSON: more than %d levels deep (byte %td)",
                            JSON_DEPTH_MAX, p - bytes + 1);
        else if (*p == ']' || *p == '}')
            depth--;
        else if (*p == ',' && ++values >= max_values)
            return err_fail(EINVAL, "more than %zu values of JSON", max_values);
    }
    return 0;
}

int json_parse_bounded(const char *bytes, size_t n, size_t max_values, json_t **ret_value)
{
    int r = check_shape(bytes, n, max_values);
    json_error_t where;
    json_t *value;

    if (r < 0)
        return r;
    value = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (!value)
        return err_fail(EINVAL, "not valid JSON: %s (line %d, column %d)", where.text, where.line,
                        where.column);
    *ret_value = value;
    return 0;
}

int json_parse(const char *bytes, size_t n, json_t **ret_value)
{
    return json_parse_bounded(bytes, n, SIZE_MAX, ret_value);
}

static int get_typed(const json_t *object, const char *key, json_type type, const char *type_words,
                     const json_t **ret)
{
    const json_t *v = json_object_get(object, key);

    if (!v || json_is_null(v))
        return err_fail(ENOENT, "%s: missing", key);
    if (json_typeof(v) != type)
        return err_fail(EINVAL, "%s: must be %s", key, type_words);
    *ret = v;
    return 0;
}

int json_get_string(const json_t *object, const char *key, const char **ret)
{
    const json_t *v;
    int r = get_typed(object, key, JSON_STRING, "a string", &v);

    if (r < 0)
        return r;
    *ret = json_string_value(v);
    return 0;
}

int json_get_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *ret)
{
    const json_t *v;
    int r = get_typed(object, key, JSON_INTEGER, "a whole number", &v);

    if (r < 0)
        return r;
    if (json_integer_value(v) < min || json_integer_value(v) > max)
        return err_fail(EINVAL, "%s: must be from %lld to %lld", key, (long long)min,
                        (long long)max);
    *ret = json_integer_value(v);
    return 0;
}

int json_get_bool(const json_t *object, const char *key, bool *ret)
{
    const json_t *v = json_object_get(object, key);

    if (!v || json_is_null(v))
        return err_fail(ENOENT, "%s: missing", key);
    if (!json_is_boolean(v))
        return err_fail(EINVAL, "%s: must be true or false", key);
    *ret = json_is_true(v);
    return 0;
}

int json_get_array(const json_t *object, const char *key, const json_t **ret)
{
    return get_typed(object, key, JSON_ARRAY, "an array", ret);
}

char *json_to_text(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (!text)
        mem_exhausted(0);
    return text;
}
