/* What the node shows to be let in: the best that it has, and the next best when that is refused.
 * Pure.
 *
 *     certificate ──> node's token ──> access token ──> nothing is left
 *
 * In plain HTTP it has none of them, and shows nothing.
 */
#pragma once

#include <stdbool.h>

enum credential {
    CREDENTIAL_NONE,
    CREDENTIAL_CERT,         /* shown by the connection */
    CREDENTIAL_NODE_TOKEN,   /* that the node got when it registered first */
    CREDENTIAL_ACCESS_TOKEN, /* to become a node; for registering only */
    CREDENTIAL_COUNT
};

struct credentials {
    bool has[CREDENTIAL_COUNT];
    bool is_refused[CREDENTIAL_COUNT];
};

/* For people: "the certificate". */
const char *credential_words(enum credential credential);

/* CREDENTIAL_NONE when all that it has is refused, or it has nothing. */
enum credential credentials_best(const struct credentials *credentials);
void credentials_refuse(struct credentials *credentials, enum credential credential);
/* It is there anew: whatever was thought of the one before. */
void credentials_renew(struct credentials *credentials, enum credential credential, bool is_there);
/* All count again: what was refused may be taken some day. */
void credentials_forgive(struct credentials *credentials);
