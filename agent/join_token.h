/* The access token that the operator gives this node to join with. Read whenever it is needed, so
 * that a new one in the same file is found; a node that has joined needs it no more. */
#pragma once

#include <stdbool.h>

#include "lib/api/access_token.h"
#include "lib/base/secret.h"

struct join_token {
    const char *text; /* borrowed; or NULL, and then it is in */
    const char *file;
};

bool join_token_is_given(const struct join_token *source);
/* *ret_text as it stands in a header; caller frees with secret_free(). Both may be NULL. Negative
 * with a text that names the file and never quotes it. */
int join_token_read(const struct join_token *source, char **ret_text,
                    struct access_token *ret_token);
