/* The handlers of /api/tokens. */
#include "control/api/tokens.h"

#include <stdio.h>
#include <string.h>

#include "control/api/answer.h"
#include "control/control.h"
#include "lib/api/access_token.h"
#include "lib/base/error.h"
#include "lib/base/list.h"

#define JOIN_TTL_S (24LL * 3600)
#define PERSON_TTL_S (30LL * 24 * 3600)

/* A change of one token, from its request to its answer. */
struct token_change {
    struct store_change set;
    struct control *control;
    struct http_request *request; /* NULL: nobody waits for the answer */
    struct token *token;          /* that goes; NULL: one comes */
    struct token_facts facts;     /* of the one that comes */
    char text[ACCESS_TOKEN_TEXT_SIZE];
    struct token_change *prev, *next;             /* in the control plane's list of all */
    struct token_change *prev_other, *next_other; /* removals of the same token */
};

static void on_gone(void *data)
{
    struct token_change *change = data;

    change->request = NULL;
}

static void change_free(struct token_change *change)
{
    DL_DELETE(change->control->token_changes, change);
    explicit_bzero(change->text, sizeof change->text);
    store_change_deinit(&change->set);
    free(change);
}

void tokens_api_free_all(struct control *c)
{
    while (c->token_changes)
        change_free(c->token_changes);
}

/* NULL: it was answered that tokens are for TLS, or that it comes too late. */
static struct token_change *change_new(struct control *c, struct http_request *request)
{
    struct token_change *change;

    if (!c->pki) {
        http_reply_problem(request, 409,
                           "this control plane speaks plain HTTP, where nobody is asked for a "
                           "token; start it with --tls auto");
        return NULL;
    }
    if (answer_if_stopping(request, c))
        return NULL;
    change = NEW(struct token_change);
    change->control = c;
    change->request = request;
    change->set.at_unix_s = clock_unix_s();
    DL_APPEND(c->token_changes, change);
    http_request_on_gone(request, on_gone, change);
    return change;
}

/* ---- effects --------------------------------------------------------------------------------- */

static void answer_created(struct token_change *change)
{
    AUTO_STRBUF struct strbuf out = {0};

    token_to_json(&change->facts, &out);
    strbuf_cut(&out, 1); /* the closing brace comes behind the secret */
    strbuf_addf(&out, ",\"token\":\"%s\"}", change->text);
    http_reply_header(change->request, "Cache-Control", "no-store");
    http_reply_json(change->request, 201, out.data);
    explicit_bzero(out.data, out.len);
}

static void create(struct token_change *change)
{
    struct control *c = change->control;

    log_info("token made", LOG_S("id", change->facts.id),
             LOG_S("role", access_token_word(change->facts.role)));
    tokens_add(&c->tokens, &change->facts, change->set.revision);
    if (change->request)
        answer_created(change);
}

static void no_such_token(struct http_request *request)
{
    http_reply_problem(request, 404, "there is no token of this id");
}

static void answer_removed(struct token_change *change)
{
    if (change->request)
        http_reply_empty(change->request, 204);
}

/* Who wished for the same meanwhile finds that it is done. */
static void answer_removed_before(struct token_change *change)
{
    if (change->request)
        no_such_token(change->request);
}

static void answer_full(struct token_change *change)
{
    if (change->request)
        answer_storage_full(change->request, change->control);
}

/* Answers those who wanted the token gone, the first of them in its own way. */
static void end_removals(struct token *token, void (*first_fn)(struct token_change *change),
                         void (*other_fn)(struct token_change *change))
{
    const struct token_change *first = token->removals;
    struct token_change *change, *next;

    DL_FOREACH_SAFE2(token->removals, change, next, next_other)
    {
        (change == first ? first_fn : other_fn)(change);
        DL_DELETE2(token->removals, change, prev_other, next_other);
        change_free(change);
    }
}

static void remove_token(struct control *c, struct token *token)
{
    log_info("token removed", LOG_S("id", token->facts.id));
    watchers_cut(&c->watchers, token->facts.id);
    end_removals(token, answer_removed, answer_removed_before);
    tokens_remove(&c->tokens, token);
}

static void on_created(struct store_change *set, void *data)
{
    struct token_change *change = CONTAINER_OF(set, struct token_change, set);

    control_note_room(change->control, set->outcome);
    if (set->outcome == STORE_DONE) {
        change->control->registry.revision = set->revision;
        create(change);
    } else {
        answer_full(change);
    }
    change_free(change);
}

static void on_removed(struct store_change *set, void *data)
{
    struct token_change *change = CONTAINER_OF(set, struct token_change, set);
    struct control *c = change->control;

    control_note_room(c, set->outcome);
    if (set->outcome == STORE_DONE) {
        c->registry.revision = set->revision;
        remove_token(c, change->token);
    } else {
        end_removals(change->token, answer_full, answer_full);
    }
}

static void submit(struct token_change *change, void (*on_outcome)(struct store_change *, void *))
{
    change->set.on_outcome = on_outcome;
    writer_submit(change->control->writer, &change->set);
}

/* ---- making ---------------------------------------------------------------------------------- */

void tokens_api_make(const struct control *c, struct token_facts *facts, char *ret_text)
{
    struct sha256 pins[ACCESS_TOKEN_PINS_MAX], secret;
    size_t count = tls_trust_count(c->pki->told);
    AUTO_ACCESS_TOKEN struct access_token token = {0};

    count = count < ARRAY_LEN(pins) ? count : ARRAY_LEN(pins);
    for (size_t i = 0; i < count; i++)
        pins[i] = tls_cert_facts(tls_trust_ca(c->pki->told, i))->spki;
    access_token_make(pins, count, &token);
    access_token_format(&token, ret_text);
    secret = access_token_secret_sha256(&token);
    sha256_format(&secret, facts->secret_sha256);
    memcpy(facts->id, token.id, sizeof facts->id);
    facts->created_at = clock_unix_s();
}

/* What was asked for: {"role": "node", "ttl_secs": 3600, "max_uses": 1}. */
static int read_wish(const json_t *body, struct token_facts *facts, int64_t *ret_ttl_s)
{
    const char *role = "node";
    int r = json_get_string(body, "role", &role);

    if (r < 0 && r != -ENOENT)
        return r;
    if (!access_token_role(role, &facts->role))
        return err_fail(EINVAL, "role: '%.32s' is not node, viewer or admin", role);
    *ret_ttl_s = facts->role == ACCESS_JOINING ? JOIN_TTL_S : PERSON_TTL_S;
    facts->max_uses = facts->role == ACCESS_JOINING;
    r = json_get_int(body, "ttl_secs", 0, TOKEN_TTL_MAX_S, ret_ttl_s);
    if (r == 0 || r == -ENOENT)
        r = json_get_int(body, "max_uses", 0, TOKEN_USES_MAX, &facts->max_uses);
    if (r == 0 && facts->max_uses > 0 && facts->role != ACCESS_JOINING)
        return err_fail(EINVAL, "max_uses: is for tokens of the role node only");
    return r == -ENOENT ? 0 : r;
}

/* Those that are on their way to the store need their room, too. */
static bool has_room(const struct control *c, struct http_request *request)
{
    const struct token_change *change;
    size_t count = c->tokens.count;

    DL_FOREACH(c->token_changes, change)
    count += !change->token;
    if (count < TOKENS_MAX)
        return true;
    http_reply_problem(request, 409,
                       "there are %d tokens already; remove some with 'quiltctl token rm'",
                       TOKENS_MAX);
    return false;
}

void tokens_api_create(struct http_request *request, void *data)
{
    struct control *c = data;
    AUTO_JSON json_t *body = answer_json_body(request);
    struct token_facts facts = {0};
    struct token_change *change;
    int64_t ttl_s = 0;

    if (!body || !has_room(c, request))
        return;
    if (read_wish(body, &facts, &ttl_s) < 0) {
        http_reply_problem(request, 422, "%s", err_text());
        return;
    }
    change = change_new(c, request);
    if (!change)
        return;
    change->facts = facts;
    tokens_api_make(c, &change->facts, change->text);
    if (ttl_s > 0)
        change->facts.expires_at = change->facts.created_at + ttl_s;
    tokens_write_create(&change->set, &change->facts);
    submit(change, on_created);
}

/* ---- the others ------------------------------------------------------------------------------ */

void tokens_api_list(struct http_request *request, void *data)
{
    const struct control *c = data;
    AUTO_STRBUF struct strbuf out = {0};

    tokens_list_to_json(&c->tokens, &out);
    http_reply_json(request, 200, out.data);
}

void tokens_api_unused(struct token *token)
{
    struct token_change *removal = token->removals;

    if (!removal)
        return;
    tokens_write_delete(&removal->set, token);
    submit(removal, on_removed);
}

/* One that lets somebody in just now lets in nobody else from here on, and goes right after. */
void tokens_api_delete(struct http_request *request, void *data)
{
    struct control *c = data;
    struct token *token = tokens_find(&c->tokens, http_request_param(request, 0));
    struct token_change *change;
    bool is_first;

    if (!token) {
        no_such_token(request);
        return;
    }
    change = change_new(c, request);
    if (!change)
        return;
    is_first = !token->removals;
    change->token = token;
    DL_APPEND2(token->removals, change, prev_other, next_other);
    if (is_first && !token->use)
        tokens_api_unused(token);
}
