/* What the node shows, best first. */
#include "agent/control_client/credentials.h"

#include <assert.h>
#include <string.h>

#include "lib/base/mem.h"

static const char *const words[] = {
    [CREDENTIAL_NONE] = "nothing",
    [CREDENTIAL_CERT] = "the certificate",
    [CREDENTIAL_NODE_TOKEN] = "the node's token",
    [CREDENTIAL_ACCESS_TOKEN] = "the access token",
};
static_assert(ARRAY_LEN(words) == CREDENTIAL_COUNT, "each has its words");

const char *credential_words(enum credential credential)
{
    return words[credential];
}

enum credential credentials_best(const struct credentials *c)
{
    for (int i = CREDENTIAL_NONE + 1; i < CREDENTIAL_COUNT; i++)
        if (c->has[i] && !c->is_refused[i])
            return (enum credential)i;
    return CREDENTIAL_NONE;
}

void credentials_refuse(struct credentials *c, enum credential credential)
{
    c->is_refused[credential] = true;
}

void credentials_renew(struct credentials *c, enum credential credential, bool is_there)
{
    c->has[credential] = is_there;
    c->is_refused[credential] = false;
}

void credentials_forgive(struct credentials *c)
{
    memset(c->is_refused, 0, sizeof c->is_refused);
}
