/* The access tokens that people hand out: to become a node with, or to use the API as a viewer or
 * an admin. What is kept of a token's secret is its SHA-256. Pure: the time and the store are
 * handed in.
 *
 * A token for a number of uses is counted down by the very change that it lets in, so that a crash
 * neither loses a use nor grants one twice. Such changes go one after another: while one is under
 * way, it is tokens_find(...)->use, and the next one waits for it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "control/services/access.h"
#include "control/services/pace.h"
#include "control/store/store.h"
#include "lib/api/access_token.h"
#include "lib/base/digest.h"
#include "lib/base/hash.h"
#include "lib/base/strbuf.h"

#define TOKEN_KIND "token"
#define TOKENS_MAX 1000
#define TOKEN_USES_MAX 100000
#define TOKEN_TTL_MAX_S (10LL * 365 * 24 * 3600)

struct registry_change;
struct token_change;

struct token_facts {
    char id[ACCESS_TOKEN_ID_SIZE];
    enum access_role role; /* joining, viewer or admin */
    char secret_sha256[SHA256_HEX_SIZE];
    int64_t created_at; /* Unix seconds */
    int64_t expires_at; /* Unix seconds; 0: never */
    int64_t max_uses;   /* 0: any number; always 0 for other roles than joining */
    int64_t uses;       /* counted when there is a maximum */
};

struct token {
    struct token_facts facts;
    uint64_t revision;           /* of its record */
    uint64_t made_revision;      /* of the change that made it */
    struct pace pace;            /* of requests that it lets in */
    struct registry_change *use; /* under way; NULL: none */
    /* Its owner's: under way, or waiting for the use; NULL: it stays. */
    struct token_change *removals;
    UT_hash_handle by_id;
};

struct tokens {
    struct token *by_id;
    size_t count;
};

void tokens_deinit(struct tokens *tokens);
/* A stored record, at start. 0, or STORE_DAMAGED with a text. */
int tokens_load(struct tokens *tokens, const struct store_record *record);

enum tokens_outcome {
    TOKENS_GOOD = 0,
    TOKENS_UNKNOWN, /* no such id, or another secret: not told apart */
    TOKENS_EXPIRED,
    TOKENS_USED_UP /* it is the right one, but lets nobody in any more */
};

struct token *tokens_find(const struct tokens *tokens, const char *id);
/* Whether somebody who presents this secret has a token; *ret_token (for good and used up ones) is
 * borrowed. The text (err_text()) says what to do. */
enum tokens_outcome tokens_check(const struct tokens *tokens, const char *id,
                                 const char *secret_sha256, int64_t now, struct token **ret_token);

/* The revision at which the oldest token was made that may let a node in, at now (0: whatever its
 * time); UINT64_MAX: there is none. */
uint64_t tokens_oldest_joining(const struct tokens *tokens, int64_t now);

/* {"tokens":[...]} as the API shows them, the oldest first; without digests. */
void tokens_list_to_json(const struct tokens *tokens, struct strbuf *out);
/* One of them. */
void token_to_json(const struct token_facts *facts, struct strbuf *out);

/* The change sets; they take effect by the functions below, when they are stored. */
void tokens_write_create(struct store_change *set, const struct token_facts *facts);
void tokens_write_delete(struct store_change *set, const struct token *token);
/* One use more, as part of the change that it lets in. Nothing for a token without a maximum. */
void tokens_write_use(struct store_change *set, struct token *token,
                      struct registry_change *change);

void tokens_add(struct tokens *tokens, const struct token_facts *facts, uint64_t revision);
void tokens_remove(struct tokens *tokens, struct token *token);
/* The change that was under way with it is stored at this revision, or (0) not at all. */
void tokens_used(struct token *token, uint64_t revision);
