/* JSON from outside, read strictly: jansson, with errors that name the field.
 *
 * json_t references are owned as jansson says; AUTO_JSON releases a local one.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

static inline void cleanup_json(json_t **j)
{
    json_decref(*j);
}
#define AUTO_JSON CLEANUP(cleanup_json)

#define JSON_DEPTH_MAX 16 /* arrays and objects inside each other */

/* Parses one value; anything behind it, a doubled key, or more than JSON_DEPTH_MAX levels are an
 * error. -EINVAL with the place. */
int json_parse(const char *bytes, size_t n, json_t **ret_value);
/* The same, for texts that are not to make work: one of more than max_values values, each of which
 * but the first is behind a comma, is an error, too. */
int json_parse_bounded(const char *bytes, size_t n, size_t max_values, json_t **ret_value);

/* Members of an object. Each returns 0, -ENOENT when the member is missing or null, -EINVAL when it
 * has another type or is out of range; the text names the member ("hostname: must be a string").
 * Strings are borrowed from the object and hold no NUL. */
int json_get_string(const json_t *object, const char *key, const char **ret);
int json_get_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *ret);
int json_get_bool(const json_t *object, const char *key, bool *ret);
int json_get_array(const json_t *object, const char *key, const json_t **ret);

/* Compact text of a value, keys in order of insertion. Caller frees. */
char *json_to_text(const json_t *value);
