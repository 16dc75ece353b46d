/* JSON in C source, with the quotes that C likes: "{'a':1}". */
#pragma once

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "tests/unit/cmocka.h"

static inline json_t *quoted_json(const char *text)
{
    AUTO_FREE char *copy = mem_strdup(text);
    json_t *value = NULL;

    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    if (json_parse(copy, strlen(copy), &value) < 0)
        fail_msg("%s: %s", text, err_text());
    return value;
}
