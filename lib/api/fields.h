/* Members of JSON objects that several of lib/api's types have, read strictly and written.
 *
 * Readers return 0, -ENOENT when the member is missing or null, -EINVAL when it is wrong; the text
 * names the member. Those that are optional return 0 when it is missing, and leave the output as it
 * is, or NULL where that is a text. Texts are borrowed from the object.
 */
#pragma once

#include "lib/base/ip4.h"
#include "lib/base/json.h"
#include "lib/base/random.h"
#include "lib/base/strbuf.h"

/* Puts the member's name in front of what a parser of its text said. */
int field_named(int r, const char *key);
int field_require_object(const json_t *value);

int field_get_uuid(const json_t *object, const char *key, char ret_id[static UUID_TEXT_SIZE]);
int field_get_ip4(const json_t *object, const char *key, uint32_t *ret_addr);
int field_get_prefix(const json_t *object, const char *key, struct ip4_prefix *ret_prefix);
int field_get_hostname(const json_t *object, const char *key, const char **ret_text);

/* From 0 to max. */
int field_get_optional_int(const json_t *object, const char *key, int64_t max, int64_t *ret_value);
int field_get_optional_prefix(const json_t *object, const char *key, struct ip4_prefix *ret_prefix);
int field_get_optional_string(const json_t *object, const char *key, const char **ret_text);
int field_get_optional_uuid(const json_t *object, const char *key, const char **ret_text);

/* Append a member behind others. Left out when it is negative, or NULL. */
void field_add_int(struct strbuf *out, const char *key, int64_t value);
void field_add_u64(struct strbuf *out, const char *key, uint64_t value);
void field_add_text(struct strbuf *out, const char *key, const char *text);
/* null when it is negative. */
void field_add_int_or_null(struct strbuf *out, const char *key, int64_t value);
