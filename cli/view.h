/* The control plane's answers about tokens and the CA, as people read them. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/table.h"
#include "lib/base/json.h"

/* The rows of /api/tokens' list, behind their header; now in Unix seconds. Initialises the table.
 * -EINVAL with a text: the answer makes no sense; the table can be freed all the same. */
int view_tokens(const json_t *list, int64_t now_s, bool is_wide, struct table *ret_table);

/* Appends the ids of those that let a node in, " 7ovuowvh 90zd728n", or nothing; the first few, and
 * how many more. -EINVAL with a text. */
int view_joining_tokens(const json_t *list, int64_t now_s, struct strbuf *out);

/* What a new token is good for: "good for 24h, for 1 node". -EINVAL with a text. */
int view_token_use(const json_t *token, struct strbuf *out);

/* /api/ca/status in words: the step, what is trusted, whom the next step waits for, and what to do
 * about it. -EINVAL with a text: the answer makes no sense. */
int view_ca(const json_t *status, bool is_wide, struct strbuf *out);
