/* Rulesets as JSON values. */
#include "lib/net/nft_ruleset.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/net/nft.h"

static json_t *canonical(const char *key, const json_t *value);

/* ---- canonical form --------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* What the kernel counts by itself. */
static bool is_volatile(const char *key)
{
    static const char *const keys[] = {"handle", "index", "packets", "bytes", "used", "expires"};

    return is_one_of(key, keys, ARRAY_LEN(keys));
}

/* Lists whose order says nothing. */
static bool is_unordered(const char *key)
{
    static const char *const keys[] = {"elem", "set", "flags", "right"};

    return is_one_of(key, keys, ARRAY_LEN(keys));
}

struct sortable {
    char *text;
    json_t *value; /* borrowed */
};

static int by_text(const void *a, const void *b)
{
    const struct sortable *left = a;
    const struct sortable *right = b;

    return strcmp(left->text, right->text);
}

/* A sorted copy of an array. */
static json_t *sorted(const json_t *array)
{
    size_t count = json_array_size(array);
    AUTO_FREE struct sortable *items = mem_array(count + 1, sizeof *items);
    json_t *result = json_array();

    for (size_t i = 0; i < count; i++) {
        items[i].value = json_array_get(array, i);
        items[i].text = json_dumps(items[i].value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        if (!items[i].text)
            mem_exhausted(0);
    }
    qsort(items, count, sizeof *items, by_text);
    for (size_t i = 0; i < count; i++) {
        json_array_append(result, items[i].value);
        free(items[i].text);
    }
    return result;
}

static json_t *canonical_array(const char *key, const json_t *array)
{
    AUTO_JSON json_t *copy = json_array();
    size_t i;
    json_t *item;

    json_array_foreach (array, i, item)
        json_array_append_new(copy, canonical(NULL, item));
    return key && is_unordered(key) ? sorted(copy) : TAKE_PTR(copy);
}

/* {"prefix": {"addr": A, "len": 32}} is what A is listed as. */
static json_t *host_of_prefix(const json_t *object)
{
    const json_t *prefix = json_object_get(object, "prefix");
    json_t *addr = json_object_get(prefix, "addr");

    if (!addr || json_integer_value(json_object_get(prefix, "len")) != 32 ||
        strchr(json_string_value(addr) ? json_string_value(addr) : ":", ':'))
        return NULL;
    return json_incref(addr);
}

static json_t *canonical_object(const json_t *object)
{
    json_t *copy = host_of_prefix(object);
    const char *key;
    json_t *value;

    if (copy)
        return copy;
    copy = json_object();
    json_object_foreach ((json_t *)object, key, value) {
        if (is_volatile(key) ||
            (strcmp(key, "elem") == 0 && json_is_array(value) && json_array_size(value) == 0))
            continue;
        json_object_set_new(copy, key, canonical(key, value));
    }
    return copy;
}

static json_t *canonical(const char *key, const json_t *value)
{
    /* A counter without a name is nothing but its values. */
    if (key && strcmp(key, "counter") == 0 && json_is_object(value) &&
        !json_object_get(value, "name"))
        return json_null();
    /* One flag may stand without its list. */
    if (key && strcmp(key, "flags") == 0 && json_is_string(value))
        return json_pack("[O]", value);
    if (json_is_array(value))
        return canonical_array(key, value);
    if (json_is_object(value))
        return canonical_object(value);
    return json_deep_copy(value);
}

/* The one member of an entry: {"chain": {...}}. NULL when it is not of that shape. */
static json_t *entry_body(const json_t *entry, const char **ret_type)
{
    void *first = json_object_iter((json_t *)entry);

    if (!first || json_object_size(entry) != 1 || !json_is_object(json_object_iter_value(first)))
        return NULL;
    *ret_type = json_object_iter_key(first);
    return json_object_iter_value(first);
}

json_t *nft_ruleset_canonical(const json_t *ruleset)
{
    json_t *result = json_array();
    const char *type = "";
    json_t *entry;
    size_t i;

    json_array_foreach (ruleset, i, entry) {
        json_t *copy;
        json_t *body;

        if (json_object_get(entry, "metainfo"))
            continue;
        copy = canonical(NULL, entry);
        body = entry_body(copy, &type);
        if (body && strcmp(type, "rule") != 0)
            json_object_del(body, "comment");
        json_array_append_new(result, copy);
    }
    return result;
}

/* ---- comparison ------------------------------------------------------------------------- */

static const char *text_of(const json_t *body, const char *key)
{
    const char *text = json_string_value(json_object_get(body, key));

    return text ? text : "";
}

/* Files an entry where order matters no more: rules in a list for their chain, everything else
 * under type and name. */
static void file_entry(json_t *index, json_t *entry)
{
    const char *type = "";
    const json_t *body = entry_body(entry, &type);
    bool is_rule = body && strcmp(type, "rule") == 0;
    AUTO_FREE char *key = mem_printf("%s %s %s", type, text_of(body, is_rule ? "table" : "family"),
                                     text_of(body, is_rule ? "chain" : "name"));
    json_t *list = json_object_get(index, key);

    if (!list) {
        list = json_array();
        json_object_set_new(index, key, list);
    }
    json_array_append(list, entry);
}

static json_t *index_of(const json_t *ruleset)
{
    AUTO_JSON json_t *entries = nft_ruleset_canonical(ruleset);
    json_t *index = json_object();
    json_t *entry;
    size_t i;

    json_array_foreach (entries, i, entry)
        file_entry(index, entry);
    return index;
}

bool nft_ruleset_equal(const json_t *a, const json_t *b)
{
    AUTO_JSON json_t *index_a = index_of(a);
    AUTO_JSON json_t *index_b = index_of(b);

    return json_equal(index_a, index_b);
}

/* ---- commands --------------------------------------------------------------------------- */

/* When an entry is added: what others name goes before them. */
enum phase { PHASE_TABLE, PHASE_CHAIN, PHASE_OTHER, PHASE_RULE, PHASE_COUNT };

static enum phase phase_of(const char *type)
{
    static const struct {
        const char *type;
        enum phase phase;
    } phases[] = {{"table", PHASE_TABLE}, {"chain", PHASE_CHAIN}, {"rule", PHASE_RULE}};

    for (size_t i = 0; i < ARRAY_LEN(phases); i++)
        if (strcmp(type, phases[i].type) == 0)
            return phases[i].phase;
    return PHASE_OTHER;
}

static int check_entry(const json_t *entry, const char *family, const char *table)
{
    const char *type = "";
    const json_t *body = entry_body(entry, &type);
    const char *table_key = phase_of(type) == PHASE_TABLE ? "name" : "table";

    if (!body)
        return err_fail(EINVAL, "an entry is not {\"type\": {...}}");
    if (strcmp(text_of(body, "family"), family) != 0 ||
        strcmp(text_of(body, table_key), table) != 0)
        return err_fail(EINVAL, "a %s is not of table %s %s", type, family, table);
    return 0;
}

static void add_phase(json_t *commands, const json_t *ruleset, enum phase phase)
{
    const char *type = "";
    json_t *entry;
    size_t i;

    json_array_foreach (ruleset, i, entry) {
        if (entry_body(entry, &type) && phase_of(type) == phase)
            json_array_append_new(commands, json_pack("{sO}", "add", entry));
    }
}

static int check_entries(const json_t *ruleset, const char *family, const char *table)
{
    json_t *entry;
    size_t i;
    int r = 0;

    json_array_foreach (ruleset, i, entry) {
        r = check_entry(entry, family, table);
        if (r < 0)
            break;
    }
    return r;
}

int nft_ruleset_commands(const json_t *ruleset, const char *family, const char *table,
                         json_t **ret_commands)
{
    AUTO_JSON json_t *clean = nft_ruleset_canonical(ruleset);
    json_t *commands = NULL;
    int r = check_entries(clean, family, table);

    if (r < 0)
        return r;
    /* Adding what may be there makes deleting it safe; then everything is new. */
    commands = json_pack("[{s{s{ssss}}}{s{s{ssss}}}]", "add", "table", "family", family, "name",
                         table, "delete", "table", "family", family, "name", table);
    for (enum phase phase = PHASE_TABLE; phase < PHASE_COUNT; phase++)
        add_phase(commands, clean, phase);
    *ret_commands = json_pack("{so}", "nftables", commands);
    return 0;
}

/* ---- changes in place -------------------------------------------------------------------- */

static bool has_elements(const char *type)
{
    return strcmp(type, "set") == 0 || strcmp(type, "map") == 0;
}

/* The thing of this type and name; NULL when there is none. Rules are none. */
static const json_t *find_thing(const json_t *ruleset, const char *type, const char *name)
{
    json_t *entry;
    size_t i;

    json_array_foreach (ruleset, i, entry) {
        const char *other = "";
        const json_t *body = entry_body(entry, &other);

        if (body && strcmp(other, type) == 0 && strcmp(text_of(body, "name"), name) == 0)
            return body;
    }
    return NULL;
}

static bool is_same_but_elements(const json_t *a, const json_t *b)
{
    AUTO_JSON json_t *bare_a = json_copy((json_t *)a), *bare_b = json_copy((json_t *)b);

    (void)json_object_del(bare_a, "elem");
    (void)json_object_del(bare_b, "elem");
    return json_equal(bare_a, bare_b);
}

/* What is of no type that is known here may be named by anything. */
static bool can_change(const json_t *have, const json_t *want)
{
    static const char *const types[] = {"table", "chain", "set", "map", "counter", "rule"};
    const char *type = "";
    json_t *entry;
    size_t i;

    json_array_foreach (have, i, entry) {
        const json_t *body = entry_body(entry, &type), *other;

        if (!body || !is_one_of(type, types, ARRAY_LEN(types)))
            return false;
        other = strcmp(type, "rule") == 0 ? NULL : find_thing(want, type, text_of(body, "name"));
        if (other && !is_same_but_elements(body, other))
            return false;
    }
    return true;
}

/* verb: "flush", "delete". */
static void add_verb(json_t *commands, const char *verb, const char *type, const json_t *body)
{
    json_array_append_new(commands, json_pack("{s{s{sOsOsO}}}", verb, type, "family",
                                              json_object_get(body, "family"), "table",
                                              json_object_get(body, "table"), "name",
                                              json_object_get(body, "name")));
}

static void add_elements(json_t *commands, const json_t *body, json_t *elements)
{
    if (json_array_size(elements) > 0)
        json_array_append_new(commands, json_pack("{s{s{sOsOsOsO}}}", "add", "element", "family",
                                                  json_object_get(body, "family"), "table",
                                                  json_object_get(body, "table"), "name",
                                                  json_object_get(body, "name"), "elem", elements));
}

/* A chain that stays loses its rules, which all come anew. */
static void add_flushes(json_t *commands, const json_t *have, const json_t *want)
{
    const char *type = "";
    json_t *entry;
    size_t i;

    json_array_foreach (have, i, entry) {
        const json_t *body = entry_body(entry, &type);
        const json_t *other = find_thing(want, type, text_of(body, "name"));
        json_t *elements = json_object_get(other, "elem");

        if (strcmp(type, "chain") == 0) {
            add_verb(commands, "flush", type, body);
        } else if (has_elements(type) && other &&
                   !json_equal(json_object_get(body, "elem"), elements)) {
            add_verb(commands, "flush", type, body);
            add_elements(commands, body, elements);
        }
    }
}

static void add_new(json_t *commands, const json_t *have, const json_t *want, enum phase phase)
{
    const char *type = "";
    json_t *entry;
    size_t i;

    json_array_foreach (want, i, entry) {
        const json_t *body = entry_body(entry, &type);

        if (phase_of(type) == phase &&
            (phase == PHASE_RULE || !find_thing(have, type, text_of(body, "name"))))
            json_array_append_new(commands, json_pack("{sO}", "add", entry));
    }
}

/* When no rule names it any more. */
static void add_removals(json_t *commands, const json_t *have, const json_t *want)
{
    const char *type = "";
    json_t *entry;
    size_t i;

    json_array_foreach (have, i, entry) {
        const json_t *body = entry_body(entry, &type);

        if (phase_of(type) != PHASE_RULE && !find_thing(want, type, text_of(body, "name")))
            add_verb(commands, "delete", type, body);
    }
}

int nft_ruleset_change_commands(const json_t *have, const json_t *want, const char *family,
                                const char *table, json_t **ret_commands)
{
    AUTO_JSON json_t *old = nft_ruleset_canonical(have), *new = nft_ruleset_canonical(want);
    json_t *commands;
    int r = check_entries(new, family, table);

    if (r < 0)
        return r;
    if (!can_change(old, new))
        return nft_ruleset_commands(want, family, table, ret_commands);
    commands = json_array();
    add_flushes(commands, old, new);
    for (enum phase phase = PHASE_TABLE; phase < PHASE_COUNT; phase++)
        add_new(commands, old, new, phase);
    add_removals(commands, old, new);
    *ret_commands = json_pack("{so}", "nftables", commands);
    return 0;
}
