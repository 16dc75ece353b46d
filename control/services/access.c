/* Who may do what. */
#include "control/services/access.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"

static const char *const words[] = {
    [ACCESS_NOBODY] = "nobody", [ACCESS_OPEN] = "open",     [ACCESS_JOINING] = "joining",
    [ACCESS_NODE] = "node",     [ACCESS_VIEWER] = "viewer", [ACCESS_ADMIN] = "admin",
};
static_assert(ARRAY_LEN(words) == ACCESS_ROLE_COUNT, "a word a role");

const char *access_role_word(enum access_role role)
{
    return words[role];
}

static const char *const phrases[] = {
    [ACCESS_NOBODY] = "nobody",
    [ACCESS_OPEN] = "anybody",
    [ACCESS_JOINING] = "who has a token to become a node with",
    [ACCESS_NODE] = "a node",
    [ACCESS_VIEWER] = "a viewer",
    [ACCESS_ADMIN] = "an admin",
};
static_assert(ARRAY_LEN(phrases) == ACCESS_ROLE_COUNT, "a phrase a role");

const char *access_role_phrase(enum access_role role)
{
    return phrases[role];
}

static void add_phrase(struct strbuf *out, size_t from, const char *phrase)
{
    strbuf_addf(out, "%s%s", out->len > from ? " or " : "", phrase);
}

void access_add_rule(unsigned int rule, struct strbuf *out)
{
    size_t from = out->len;

    if (rule & MAY_ANYBODY)
        add_phrase(out, from, phrases[ACCESS_OPEN]);
    for (int role = ACCESS_JOINING; role < ACCESS_ROLE_COUNT; role++)
        if (rule & MAY(role))
            add_phrase(out, from, phrases[role]);
    if (rule & MAY_NODE_SELF)
        add_phrase(out, from, "the node itself");
    if (rule & MAY_LOCAL)
        add_phrase(out, from, "anybody on its host");
}

/* A token for a node is one to become a node with. */
const char *access_token_word(enum access_role role)
{
    return role == ACCESS_JOINING ? words[ACCESS_NODE] : words[role];
}

bool access_token_role(const char *word, enum access_role *ret_role)
{
    static const enum access_role roles[] = {ACCESS_JOINING, ACCESS_VIEWER, ACCESS_ADMIN};

    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (strcmp(word, access_token_word(roles[i])) == 0) {
            *ret_role = roles[i];
            return true;
        }
    }
    return false;
}

bool access_is_allowed(unsigned int rule, const struct caller *caller, const char *subject)
{
    if (rule & MAY_ANYBODY || (rule & MAY_LOCAL && caller->is_local))
        return true;
    switch (caller->role) {
    case ACCESS_NOBODY:
        return false;
    case ACCESS_OPEN:
        return rule != 0;
    case ACCESS_NODE:
        if (rule & MAY_NODE_SELF && subject && strcasecmp(subject, caller->name) == 0)
            return true;
        return rule & MAY_NODE;
    case ACCESS_JOINING:
    case ACCESS_VIEWER:
    case ACCESS_ADMIN:
        return rule & MAY(caller->role);
    case ACCESS_ROLE_COUNT:
        break;
    }
    return false;
}
