/* The access tokens that people hand out. */
#include "control/services/tokens.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/json.h"

void tokens_deinit(struct tokens *tokens)
{
    struct token *token, *next;

    HASH_ITER (by_id, tokens->by_id, token, next)
        tokens_remove(tokens, token);
}

/* ---- the stored form ------------------------------------------------------------------------- */

static char *facts_to_json(const struct token_facts *facts)
{
    return mem_printf("{\"role\":\"%s\",\"secret_sha256\":\"%s\",\"created_at\":%lld,"
                      "\"expires_at\":%lld,\"max_uses\":%lld,\"uses\":%lld}",
                      access_token_word(facts->role), facts->secret_sha256,
                      (long long)facts->created_at, (long long)facts->expires_at,
                      (long long)facts->max_uses, (long long)facts->uses);
}

static int read_words(const json_t *object, struct token_facts *facts)
{
    const char *role = NULL, *digest = NULL;
    int r = json_get_string(object, "role", &role);

    if (r == 0)
        r = json_get_string(object, "secret_sha256", &digest);
    if (r < 0)
        return r;
    if (!access_token_role(role, &facts->role))
        return err_fail(EINVAL, "role: is '%.32s'", role);
    if (strlen(digest) != SHA256_HEX_SIZE - 1)
        return err_fail(EINVAL, "secret_sha256: must have %d digits", SHA256_HEX_SIZE - 1);
    memcpy(facts->secret_sha256, digest, SHA256_HEX_SIZE);
    return 0;
}

static int read_facts(const struct store_record *record, struct token_facts *facts)
{
    AUTO_JSON json_t *object = NULL;
    int r = json_parse(record->body, strlen(record->body), &object);

    if (r == 0 && strlen(record->id) != ACCESS_TOKEN_ID_SIZE - 1)
        r = err_fail(EINVAL, "id: must have %d characters", ACCESS_TOKEN_ID_SIZE - 1);
    if (r == 0)
        r = read_words(object, facts);
    if (r == 0)
        r = json_get_int(object, "created_at", 0, INT64_MAX, &facts->created_at);
    if (r == 0)
        r = json_get_int(object, "expires_at", 0, INT64_MAX, &facts->expires_at);
    if (r == 0)
        r = json_get_int(object, "max_uses", 0, TOKEN_USES_MAX, &facts->max_uses);
    if (r == 0)
        r = json_get_int(object, "uses", 0, TOKEN_USES_MAX, &facts->uses);
    if (r == 0)
        memcpy(facts->id, record->id, sizeof facts->id);
    return r;
}

int tokens_load(struct tokens *tokens, const struct store_record *record)
{
    struct token_facts facts = {0};
    int r = read_facts(record, &facts);

    if (r < 0) {
        (void)err_wrap(r, "stored token %.32s", record->id);
        return STORE_DAMAGED;
    }
    tokens_add(tokens, &facts, record->revision);
    tokens_find(tokens, facts.id)->made_revision = record->created_revision;
    return 0;
}

/* ---- as the API shows them ------------------------------------------------------------------- */

static void add_or_null(struct strbuf *out, const char *name, int64_t value)
{
    if (value > 0)
        strbuf_addf(out, ",\"%s\":%lld", name, (long long)value);
    else
        strbuf_addf(out, ",\"%s\":null", name);
}

void token_to_json(const struct token_facts *facts, struct strbuf *out)
{
    strbuf_addf(out, "{\"id\":\"%s\",\"role\":\"%s\",\"created_at\":%lld", facts->id,
                access_token_word(facts->role), (long long)facts->created_at);
    add_or_null(out, "expires_at", facts->expires_at);
    add_or_null(out, "max_uses", facts->max_uses);
    strbuf_addf(out, ",\"uses\":%lld}", (long long)facts->uses);
}

/* A table keeps the order in which it was filled. */
void tokens_list_to_json(const struct tokens *tokens, struct strbuf *out)
{
    const struct token *token;

    strbuf_adds(out, "{\"tokens\":[");
    for (token = tokens->by_id; token; token = token->by_id.next) {
        if (token != tokens->by_id)
            strbuf_adds(out, ",");
        token_to_json(&token->facts, out);
    }
    strbuf_adds(out, "]}");
}

/* ---- who has one ----------------------------------------------------------------------------- */

struct token *tokens_find(const struct tokens *tokens, const char *id)
{
    struct token *token;

    HASH_FIND(by_id, tokens->by_id, id, strlen(id), token);
    return token;
}

static bool is_used_up(const struct token *token)
{
    return token->facts.max_uses > 0 && token->facts.uses >= token->facts.max_uses;
}

static bool has_expired(const struct token *token, int64_t now)
{
    return token->facts.expires_at > 0 && now >= token->facts.expires_at;
}

uint64_t tokens_oldest_joining(const struct tokens *tokens, int64_t now)
{
    uint64_t oldest = UINT64_MAX;
    const struct token *token;

    for (token = tokens->by_id; token; token = token->by_id.next)
        if (token->facts.role == ACCESS_JOINING && !is_used_up(token) && !has_expired(token, now) &&
            token->made_revision < oldest)
            oldest = token->made_revision;
    return oldest;
}

enum tokens_outcome tokens_check(const struct tokens *tokens, const char *id,
                                 const char *secret_sha256, int64_t now, struct token **ret_token)
{
    struct token *token = tokens_find(tokens, id);

    if (!token || !secret_equal(secret_sha256, token->facts.secret_sha256)) {
        (void)err_fail(EACCES,
                       "the token %s is not known here: it was removed, or is of another "
                       "cluster; make one with 'quiltctl token create'",
                       id);
        return TOKENS_UNKNOWN;
    }
    if (has_expired(token, now)) {
        (void)err_fail(EACCES, "the token %s has expired; make one with 'quiltctl token create'",
                       id);
        return TOKENS_EXPIRED;
    }
    *ret_token = token;
    if (!is_used_up(token))
        return TOKENS_GOOD;
    (void)err_fail(EACCES,
                   "the token %s has been used as often as it may be (%lld); make one with "
                   "'quiltctl token create'",
                   id, (long long)token->facts.max_uses);
    return TOKENS_USED_UP;
}

/* ---- changes --------------------------------------------------------------------------------- */

void tokens_write_create(struct store_change *set, const struct token_facts *facts)
{
    store_add_create(set, TOKEN_KIND, facts->id, NULL, facts_to_json(facts));
}

void tokens_write_delete(struct store_change *set, const struct token *token)
{
    store_add_delete(set, TOKEN_KIND, token->facts.id, token->revision);
}

void tokens_write_use(struct store_change *set, struct token *token, struct registry_change *change)
{
    struct token_facts next = token->facts;

    if (next.max_uses == 0)
        return;
    next.uses++;
    token->use = change;
    store_add_update(set, TOKEN_KIND, next.id, token->revision, NULL, facts_to_json(&next));
}

void tokens_add(struct tokens *tokens, const struct token_facts *facts, uint64_t revision)
{
    struct token *token = NEW(struct token);

    token->facts = *facts;
    token->revision = token->made_revision = revision;
    HASH_ADD_KEYPTR(by_id, tokens->by_id, token->facts.id, strlen(token->facts.id), token);
    tokens->count++;
}

void tokens_remove(struct tokens *tokens, struct token *token)
{
    HASH_DELETE(by_id, tokens->by_id, token);
    tokens->count--;
    free(token);
}

void tokens_used(struct token *token, uint64_t revision)
{
    token->use = NULL;
    if (revision == 0)
        return;
    token->facts.uses++;
    token->revision = revision;
}
