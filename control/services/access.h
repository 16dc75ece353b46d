/* Who may do what. Pure.
 *
 * Each route of the API has a rule: the roles that may take it, as bits. A rule without bits lets
 * nobody through, so what is forgotten is shut. A node may be let through for itself only: when the
 * path names that node (its first parameter).
 */
#pragma once

#include <stdbool.h>

#include "lib/base/strbuf.h"
#include "lib/tls/identity.h"

enum access_role {
    ACCESS_NOBODY,  /* showed nothing */
    ACCESS_OPEN,    /* plain HTTP: nobody is told apart, everybody may do everything */
    ACCESS_JOINING, /* has a token to become a node with */
    ACCESS_NODE,
    ACCESS_VIEWER,
    ACCESS_ADMIN,
    ACCESS_ROLE_COUNT
};

#define MAY(role) (1U << (role))
#define MAY_JOINING MAY(ACCESS_JOINING)
#define MAY_NODE MAY(ACCESS_NODE)
#define MAY_VIEWER MAY(ACCESS_VIEWER)
#define MAY_ADMIN MAY(ACCESS_ADMIN)
#define MAY_ANYBODY (1U << 16)
#define MAY_LOCAL (1U << 17)     /* anybody on the control plane's own host */
#define MAY_NODE_SELF (1U << 18) /* the node that the path names */

struct caller {
    enum access_role role;
    char name[TLS_NAME_SIZE]; /* a node's id, a user's name, a token's id; "" for nobody */
    bool is_local;            /* comes from the control plane's own host */
};

/* "nobody", "open", "joining", "node", "viewer", "admin". */
const char *access_role_word(enum access_role role);
/* For people: "a viewer". */
const char *access_role_phrase(enum access_role role);
/* Who may take a route of this rule, for people: "a viewer or an admin"; appended. */
void access_add_rule(unsigned int rule, struct strbuf *out);
/* The roles that a token can give: joining (its word there is "node"), viewer, admin. False when
 * the word is none of them. */
bool access_token_role(const char *word, enum access_role *ret_role);
const char *access_token_word(enum access_role role);

/* subject: the node that the path names, or NULL. */
bool access_is_allowed(unsigned int rule, const struct caller *caller, const char *subject);
