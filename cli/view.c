/* Tokens and the CA, as people read them. */
#include "cli/view.h"

#include <string.h>

#include "cli/output.h"
#include "lib/base/error.h"

/* ---- tokens ---------------------------------------------------------------------------------- */

/* As the API shows it, with 0 for null. */
struct token_view {
    const char *id;
    const char *role;
    int64_t made_at;
    int64_t expires_at; /* 0: never */
    int64_t max_uses;   /* 0: any number */
    int64_t uses;
};

static int get_or_zero(const json_t *object, const char *key, int64_t *ret)
{
    int r = json_get_int(object, key, 0, INT64_MAX, ret);

    if (r != -ENOENT)
        return r;
    *ret = 0;
    return 0;
}

static int read_token(const json_t *json, struct token_view *token)
{
    int r = json_get_string(json, "id", &token->id);

    if (r == 0)
        r = json_get_string(json, "role", &token->role);
    if (r == 0)
        r = json_get_int(json, "created_at", 0, INT64_MAX, &token->made_at);
    if (r == 0)
        r = get_or_zero(json, "expires_at", &token->expires_at);
    if (r == 0)
        r = get_or_zero(json, "max_uses", &token->max_uses);
    if (r == 0)
        r = get_or_zero(json, "uses", &token->uses);
    return r < 0 ? err_wrap(-EINVAL, "token") : 0;
}

static const char *state_of(const struct token_view *token, int64_t now_s)
{
    if (token->expires_at > 0 && token->expires_at <= now_s)
        return "expired";
    return token->max_uses > 0 && token->uses >= token->max_uses ? "used up" : "good";
}

static void add_expiry(struct table *table, int64_t at, int64_t now_s)
{
    char text[AGE_TEXT_SIZE];

    if (at == 0)
        table_add(table, "never");
    else if (at > now_s)
        table_addf(table, "in %s", span_format(at - now_s, text));
    else
        table_add(table, age_format(at, now_s, text));
}

static void add_uses(struct table *table, const struct token_view *token)
{
    if (token->max_uses > 0)
        table_addf(table, "%lld of %lld", (long long)token->uses, (long long)token->max_uses);
    else
        table_add(table, "any number");
}

static void add_token(struct table *table, const struct token_view *token, int64_t now_s,
                      bool is_wide)
{
    char text[TIME_TEXT_SIZE], age[AGE_TEXT_SIZE];

    table_add(table, token->id);
    table_add(table, token->role);
    table_add(table, state_of(token, now_s));
    add_expiry(table, token->expires_at, now_s);
    add_uses(table, token);
    table_add(table, age_format(token->made_at, now_s, age));
    if (!is_wide)
        return;
    table_add(table, token->expires_at > 0 ? time_format(token->expires_at, text) : NULL);
    table_add(table, time_format(token->made_at, text));
}

int view_tokens(const json_t *list, int64_t now_s, bool is_wide, struct table *ret_table)
{
    static const char *const headers[] = {"ID", "ROLE", "STATE", "EXPIRES", "USES", "MADE", NULL};
    static const char *const wide_headers[] = {"ID",   "ROLE",       "STATE",   "EXPIRES", "USES",
                                               "MADE", "EXPIRES-AT", "MADE-AT", NULL};
    struct token_view token;
    const json_t *json;
    size_t i;

    table_init(ret_table, is_wide ? wide_headers : headers);
    json_array_foreach (list, i, json) {
        int r = read_token(json, &token);

        if (r < 0)
            return r;
        add_token(ret_table, &token, now_s, is_wide);
    }
    return 0;
}

#define NAMED_MAX 5

int view_joining_tokens(const json_t *list, int64_t now_s, struct strbuf *out)
{
    struct token_view token;
    const json_t *json;
    size_t i, count = 0;

    json_array_foreach (list, i, json) {
        int r = read_token(json, &token);

        if (r < 0)
            return r;
        if (strcmp(token.role, "node") != 0 || strcmp(state_of(&token, now_s), "good") != 0)
            continue;
        if (count++ < NAMED_MAX) {
            strbuf_adds(out, " ");
            strbuf_add_printable(out, token.id);
        }
    }
    if (count > NAMED_MAX)
        strbuf_addf(out, " and %zu more", count - NAMED_MAX);
    return 0;
}

int view_token_use(const json_t *json, struct strbuf *out)
{
    struct token_view token;
    char span[AGE_TEXT_SIZE];
    int r = read_token(json, &token);

    if (r < 0)
        return r;
    if (token.expires_at > 0)
        strbuf_addf(out, "good for %s", span_format(token.expires_at - token.made_at, span));
    else
        strbuf_adds(out, "good until it is removed");
    if (strcmp(token.role, "node") != 0)
        return 0;
    if (token.max_uses > 0)
        strbuf_addf(out, ", for %lld %s", (long long)token.max_uses,
                    token.max_uses == 1 ? "node" : "nodes");
    else
        strbuf_adds(out, ", for any number of nodes");
    return 0;
}

/* ---- the CA ---------------------------------------------------------------------------------- */

static const struct {
    const char *step;
    const char *words;
    const char *next; /* NULL: there is none */
} steps[] = {
    {"settled", "One CA is trusted, and signs. It is not being replaced.", NULL},
    {"published", "Step 1 of 2: a new CA is published beside the old one, which still signs.",
     "The new one signs as soon as every node knows it."},
    {"promoted", "Step 2 of 2: the new CA signs, and nodes renew their certificates.",
     "The old one is dropped as soon as every node has a certificate of the new one.\n"
     "Access tokens that are older than the new one serve nobody then: 'quiltctl token create'."},
};

static int add_step(const json_t *status, struct strbuf *out, bool *ret_is_under_way)
{
    const char *step;
    int r = json_get_string(status, "step", &step);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (strcmp(steps[i].step, step) != 0)
            continue;
        strbuf_addf(out, "%s\n", steps[i].words);
        if (steps[i].next)
            strbuf_addf(out, "%s\n", steps[i].next);
        *ret_is_under_way = steps[i].next != NULL;
        return 0;
    }
    return err_fail(EINVAL, "step: '%.32s' is none that this quiltctl knows", step);
}

static int add_pins(const json_t *status, struct strbuf *out)
{
    const json_t *pins, *pin;
    size_t i;
    int r = json_get_array(status, "pins", &pins);

    if (r < 0)
        return r;
    strbuf_adds(out, "\nTrusted, by their pins:\n");
    json_array_foreach (pins, i, pin) {
        if (!json_is_string(pin))
            return err_fail(EINVAL, "pins: must be strings");
        strbuf_adds(out, "  ");
        strbuf_add_printable(out, json_string_value(pin));
        strbuf_adds(out, "\n");
    }
    return 0;
}

/* *ret_down: how many of those that are named are down. */
static int fill_nodes(const json_t *list, bool is_wide, struct table *table, size_t *ret_down)
{
    const json_t *node;
    size_t i;

    *ret_down = 0;
    json_array_foreach (list, i, node) {
        const char *hostname, *status, *id;
        int r = json_get_string(node, "hostname", &hostname);

        if (r == 0)
            r = json_get_string(node, "status", &status);
        if (r == 0)
            r = json_get_string(node, "node_id", &id);
        if (r < 0)
            return err_wrap(-EINVAL, "waiting_for");
        table_add(table, hostname);
        table_add(table, status);
        if (is_wide)
            table_add(table, id);
        *ret_down += strcmp(status, "down") == 0;
    }
    return 0;
}

static int add_nodes(const json_t *list, int64_t count, bool is_wide, struct strbuf *out)
{
    static const char *const headers[] = {"HOSTNAME", "STATUS", NULL};
    static const char *const wide_headers[] = {"HOSTNAME", "STATUS", "NODE-ID", NULL};
    CLEANUP(table_deinit) struct table table;
    size_t down;
    int r;

    table_init(&table, is_wide ? wide_headers : headers);
    r = fill_nodes(list, is_wide, &table, &down);
    if (r < 0)
        return r;
    strbuf_addf(out, "\nIt waits for %lld %s:\n\n", (long long)count,
                count == 1 ? "node" : "nodes");
    table_print(&table, out);
    if ((size_t)count > json_array_size(list))
        strbuf_addf(out, "and %lld more\n", (long long)count - (long long)json_array_size(list));
    if (down > 0)
        strbuf_adds(out, "\nThose that are down hold it up: start their agents, forget them "
                         "('quiltctl node rm'), or go on\nwithout them ('quiltctl ca rotate "
                         "--force'), and they must join again with a new access token.\n");
    return 0;
}

static int add_waiting(const json_t *status, bool is_wide, struct strbuf *out)
{
    const json_t *list;
    int64_t count;
    int r = json_get_array(status, "waiting_for", &list);

    if (r == 0)
        r = json_get_int(status, "waiting_for_count", 0, INT64_MAX, &count);
    if (r < 0)
        return r;
    if (count > 0)
        return add_nodes(list, count, is_wide, out);
    strbuf_adds(out, "\nIt waits for nobody, and goes on by itself within seconds.\n");
    return 0;
}

int view_ca(const json_t *status, bool is_wide, struct strbuf *out)
{
    bool is_under_way = false;
    int r = add_step(status, out, &is_under_way);

    if (r == 0)
        r = add_pins(status, out);
    if (r == 0 && is_under_way)
        r = add_waiting(status, is_wide, out);
    return r < 0 ? err_wrap(-EINVAL, "state of the CA") : 0;
}
