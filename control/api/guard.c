/* The API's front door. */
#include "control/api/guard.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "control/api/answer.h"
#include "control/api/routes.h"
#include "control/control.h"
#include "lib/api/access_token.h"
#include "lib/base/error.h"
#include "lib/http/browser.h"

#define BEARER "Bearer "

/* ---- certificates ---------------------------------------------------------------------------- */

/* What was found out about a connection's certificate. */
struct papers {
    int outcome;      /* of tls_trust_verify() */
    uint64_t edition; /* of the trust that was asked */
    struct tls_peer peer;
    char error[256]; /* "": none */
};

static void examine(const struct control *c, struct papers *papers, const struct tls_der *chain,
                    size_t count)
{
    const struct tls_question question = {.chain = chain,
                                          .chain_len = count,
                                          .purpose = TLS_PURPOSE_CLIENT,
                                          .cluster_id = c->cluster.cluster_id,
                                          .now = clock_unix_s()};

    papers->edition = c->pki->edition;
    papers->outcome = tls_trust_verify(c->pki->files->trust, &question, &papers->peer);
    (void)snprintf(papers->error, sizeof papers->error, "%s",
                   papers->outcome != 0 ? err_text() : "");
}

/* NULL: the client has shown no certificate. A connection's is looked at once, and again when the
 * CAs have changed or its time is over. */
static const struct papers *papers_of(const struct control *c, struct http_request *request)
{
    struct papers *papers = http_connection_note(request);
    struct tls_der chain[TLS_CHAIN_MAX];
    size_t count;

    if (papers && papers->edition == c->pki->edition &&
        (papers->outcome != 0 || clock_unix_s() < papers->peer.not_after))
        return papers;
    count = http_request_certificates(request, chain);
    if (count == 0)
        return NULL;
    papers = NEW(struct papers);
    examine(c, papers, chain, count);
    http_connection_set_note(request, papers, free);
    return papers;
}

static int refuse(const char *text)
{
    return err_fail(EACCES, "%s", text);
}

static int recognize_node(struct control *c, const struct tls_peer *peer, struct visitor *v)
{
    struct node *node = registry_find(&c->registry, peer->identity.name);
    char key[SHA256_HEX_SIZE];

    sha256_format(&peer->spki, key);
    if (!node || !secret_equal(key, node->facts.key_sha256))
        return refuse("the certificate is of a node that was removed or revoked, or that has "
                      "another key now; join again with a new token");
    node->ca_spki = peer->ca_spki;
    v->node = node;
    memcpy(v->proof, key, sizeof v->proof);
    v->caller.role = ACCESS_NODE;
    memcpy(v->caller.name, peer->identity.name, sizeof v->caller.name);
    return 0;
}

static int recognize(struct control *c, const struct papers *papers, struct visitor *v)
{
    const struct tls_identity *identity = &papers->peer.identity;

    if (papers->outcome != 0)
        return err_fail(EACCES, "certificate: %s", papers->error);
    v->good_until = papers->peer.not_after;
    v->ca_spki = papers->peer.ca_spki;
    switch (identity->kind) {
    case TLS_KIND_NODE:
        return recognize_node(c, &papers->peer, v);
    case TLS_KIND_USER:
        if (strcmp(identity->name, PKI_ADMIN_NAME) != 0)
            return refuse("the certificate is of a user that is not known here");
        v->caller.role = ACCESS_ADMIN;
        memcpy(v->caller.name, identity->name, sizeof v->caller.name);
        return 0;
    case TLS_KIND_CONTROL:
    case TLS_KIND_COUNT:
        break;
    }
    return refuse("the certificate is not one of a node or a user");
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static int admit_node(struct control *c, const char *text, struct visitor *v)
{
    char digest[SHA256_HEX_SIZE];

    sha256_hex(text, strlen(text), digest);
    v->node = registry_find_token(&c->registry, digest);
    if (!v->node)
        return refuse("the token is not that of a node here; it was removed or revoked: join again "
                      "with a new access token");
    v->caller.role = ACCESS_NODE;
    memcpy(v->caller.name, v->node->facts.api.node_id, UUID_TEXT_SIZE);
    memcpy(v->proof, digest, sizeof v->proof);
    return 0;
}

/* Of an access token that there is; guesses at it count apart from those at nothing. */
static uint32_t mark_of(const struct control *c, const char *id)
{
    uint32_t halves[2] = {0};

    if (tokens_find(&c->tokens, id))
        memcpy(halves, id, sizeof halves);
    return halves[0] ^ halves[1];
}

static int admit_holder(struct control *c, const char *text, struct visitor *v)
{
    AUTO_ACCESS_TOKEN struct access_token token = {0};
    struct sha256 secret;
    char digest[SHA256_HEX_SIZE];
    enum tokens_outcome outcome;
    int r = access_token_parse(text, &token);

    if (r < 0)
        return r;
    secret = access_token_secret_sha256(&token);
    sha256_format(&secret, digest);
    v->token_mark = mark_of(c, token.id);
    outcome = tokens_check(&c->tokens, token.id, digest, clock_unix_s(), &v->token);
    v->is_token_spent = outcome == TOKENS_USED_UP;
    if (outcome != TOKENS_GOOD && outcome != TOKENS_USED_UP)
        return -EACCES;
    v->caller.role = v->token->facts.role;
    v->good_until = v->token->facts.expires_at;
    memcpy(v->caller.name, token.id, sizeof token.id);
    return 0;
}

/* NULL: none was shown. */
static const char *bearer_token(const struct http_request *request)
{
    const char *value = http_request_header(request, "Authorization");

    if (!value || strncasecmp(value, BEARER, strlen(BEARER)) != 0)
        return NULL;
    return value + strlen(BEARER);
}

static int admit(struct control *c, const char *token, struct visitor *v)
{
    return api_is_new_token(token) ? admit_node(c, token, v) : admit_holder(c, token, v);
}

/* ---- the door -------------------------------------------------------------------------------- */

/* 0, with *v (zeros before) filled in, maybe as nobody; or negative: what was shown is not good. A
 * token is looked at first: it was put there for this request. */
static int identify(struct control *c, struct http_request *request, struct visitor *v)
{
    const struct papers *papers;
    const char *token;

    if (!c->pki) {
        v->caller.role = ACCESS_OPEN;
        return 0;
    }
    token = bearer_token(request);
    if (token)
        return admit(c, token, v);
    papers = papers_of(c, request);
    return papers ? recognize(c, papers, v) : 0;
}

/* Each is counted; of one address, ten a second are told. */
static void log_denial(struct control *c, const struct http_request *request,
                       const struct control_route *route, unsigned int status)
{
    const struct caller *caller = &c->visitor.caller;
    char addr[IP4_TEXT_SIZE];

    c->metrics.denials++;
    if (!guesses_note(&c->told_denials, http_request_client(request), clock_boot_ms()))
        return;
    log_info("request denied", LOG_S("client", ip4_format(http_request_client(request), addr)),
             LOG_S("role", access_role_word(caller->role)), LOG_S("name", caller->name),
             LOG_S("method", route->method), LOG_S("path", route->pattern), LOG_U("status", status),
             LOG_S("reason", status == 401 ? err_text() : "not for this role"));
}

static void deny_stranger(struct http_request *request, struct control *c,
                          const struct control_route *route)
{
    log_denial(c, request, route, 401);
    http_reply_header(request, "WWW-Authenticate", "Bearer realm=\"quilt\"");
    http_reply_problem(request, 401, "%s", err_text());
}

static void deny_role(struct http_request *request, struct control *c,
                      const struct control_route *route)
{
    const struct caller *caller = &c->visitor.caller;
    bool is_others = caller->role == ACCESS_NODE && (route->rule & MAY_NODE_SELF);
    AUTO_STRBUF struct strbuf whom = {0};

    if (caller->role == ACCESS_NOBODY) {
        (void)refuse("this needs a certificate or an access token of this cluster");
        deny_stranger(request, c, route);
        return;
    }
    log_denial(c, request, route, 403);
    access_add_rule(route->rule, &whom);
    http_reply_problem(request, 403, "%s may not %s %s%s; this is for %s",
                       access_role_phrase(caller->role), route->method, route->pattern,
                       is_others ? " of another node" : "", whom.data);
}

static const char *subject_of(const struct control_route *route, const struct http_request *request)
{
    return strchr(route->pattern, ':') ? http_request_param(request, 0) : NULL;
}

/* Whoever shares an address with somebody who guesses (a proxy's, a container its host's) must not
 * be kept out by that, so it is looked first whether there is what is guessed at: an access token
 * that exists has a count of its own, and a node's own token is no guess when it is right. Who
 * shows no token guesses nothing. True: it was answered that it has to wait. */
static bool slow_down(struct control *c, struct http_request *request, bool is_wrong)
{
    uint32_t row = http_request_client(request) ^ c->visitor.token_mark;
    int64_t now_ms = clock_boot_ms();

    if (!c->pki || !bearer_token(request) || (!is_wrong && !c->visitor.token))
        return false;
    if (!guesses_must_wait(&c->guesses, row, now_ms)) {
        if (is_wrong)
            (void)guesses_note(&c->guesses, row, now_ms);
        return false;
    }
    http_reply_header(request, "Retry-After", "1");
    http_reply_problem(request, 429, "too many wrong credentials from this address; wait");
    return true;
}

/* Whom a request counts for; NULL: nobody is known, or it is not counted. */
static struct pace *pace_of(struct control *c, const struct control_route *route)
{
    const struct visitor *v = &c->visitor;

    if (route->is_unpaced)
        return NULL;
    if (v->node)
        return &v->node->pace;
    if (v->token)
        return &v->token->pace;
    return v->caller.role == ACCESS_ADMIN ? &c->admin_pace : NULL;
}

/* Far above what agents and people need. A token that many hosts join with serves them all at once.
 * Heartbeats are not counted: whatever else a node does, or somebody in its name, it lives. */
static bool pace_down(struct http_request *request, struct control *c,
                      const struct control_route *route)
{
    static const struct pace_rule rules[ACCESS_ROLE_COUNT] = {
        [ACCESS_JOINING] = {.per_s = 1000, .at_once = 2000},
        [ACCESS_NODE] = {.per_s = 20, .at_once = 200},
        [ACCESS_VIEWER] = {.per_s = 100, .at_once = 1000},
        [ACCESS_ADMIN] = {.per_s = 100, .at_once = 1000},
    };
    struct pace *pace = pace_of(c, route);
    int64_t wait_ms = pace ? pace_take(pace, &rules[c->visitor.caller.role], clock_boot_ms()) : 0;

    if (wait_ms == 0)
        return false;
    c->metrics.paced++;
    answer_add_retry_after(request, wait_ms);
    http_reply_problem(request, 429, "too many requests of one %s; wait",
                       access_role_word(c->visitor.caller.role));
    return true;
}

static void let_in(struct http_request *request, struct control *c,
                   const struct control_route *route)
{
    struct visitor *v = &c->visitor;
    int r = identify(c, request, v);

    if (slow_down(c, request, r < 0))
        return;
    if (r < 0) /* what was shown counts for nothing, which some routes do not mind */
        *v = (struct visitor){.caller.is_local = v->caller.is_local};
    if (v->caller.role >= ACCESS_NODE)
        http_connection_vouch(request);
    if (pace_down(request, c, route))
        return;
    if (access_is_allowed(route->rule, &v->caller, subject_of(route, request)))
        route->fn(request, c);
    else if (r < 0)
        deny_stranger(request, c, route);
    else
        deny_role(request, c, route);
}

/* By a page that somebody looks at: what he may do here, the page may not. Answered then. */
static bool is_led_here(struct http_request *request, const struct control *c)
{
    const char *host = http_request_header(request, "Host");
    const char *names[] = {c->hostname, c->config.pki.extra_name};

    if (browser_is_from_other_page(http_request_header(request, "Origin"), host)) {
        http_reply_problem(request, 403, "web pages of another origin may not ask this");
        return true;
    }
    /* Elsewhere it goes by names that we cannot know. */
    if (c->pki || !ip4_is_loopback(c->config.listen_addr) ||
        !browser_asks_for_stranger(host, names, ARRAY_LEN(names)))
        return false;
    http_reply_problem(request, 421,
                       "the Host asked for is not this one; ask by an address, as localhost, or by "
                       "a name given with --tls-name");
    return true;
}

void guard_handle(struct http_request *request, void *data)
{
    struct control *c = data;
    const struct control_route *route = &control_routes[http_request_route(request)];

    if (is_led_here(request, c))
        return;
    c->visitor = (struct visitor){0};
    c->visitor.caller.is_local = (route->rule & MAY_LOCAL) && http_request_is_local(request);
    let_in(request, c, route);
    c->visitor = (struct visitor){0};
}
