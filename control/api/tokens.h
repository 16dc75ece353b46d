/* The handlers of /api/tokens: making, listing and removing access tokens. */
#pragma once

#include "control/services/tokens.h"
#include "lib/http/server.h"

struct control;

void tokens_api_list(struct http_request *request, void *control);
void tokens_api_create(struct http_request *request, void *control);
void tokens_api_delete(struct http_request *request, void *control);

/* Makes a token's text and what is stored of it. ret_text has room for ACCESS_TOKEN_TEXT_SIZE. */
void tokens_api_make(const struct control *control, struct token_facts *facts, char *ret_text);

/* The use that was under way is over: a removal that has waited for it goes on. */
void tokens_api_unused(struct token *token);
/* At the end, when the store's thread has: changes that nobody will hear of. */
void tokens_api_free_all(struct control *control);
