/* Any text as an access token: what is taken is written again as the same text. */
#include <stdlib.h>
#include <string.h>

#include "lib/api/access_token.h"
#include "lib/base/strbuf.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO_STRBUF struct strbuf word = {0};
    AUTO_ACCESS_TOKEN struct access_token token;
    char text[ACCESS_TOKEN_TEXT_SIZE];

    strbuf_add(&word, bytes, n);
    if (access_token_parse(word.data, &token) < 0)
        return 0;
    access_token_format(&token, text);
    if (strcmp(text, word.data) != 0)
        abort();
    return 0;
}
