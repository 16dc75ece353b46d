/* The verbs of quiltctl: one table, and how a command line is matched against it. Pure. */
#pragma once

#include <stddef.h>

#include "lib/base/strbuf.h"

struct cli;

/* Options that only some verbs take. */
enum verb_option {
    VERB_TAKES_IFNAME = 1,
    VERB_TAKES_IP = 2,
    VERB_TAKES_TOKENS = 4, /* --role, --ttl, --ttl-secs, --max-uses */
    VERB_TAKES_FORCE = 8,
    VERB_TAKES_FIX = 16
};

struct verb {
    const char *group; /* "node"; NULL: the verb stands alone */
    const char *name;
    const char *args_doc; /* "ID NETNS"; "" when there are none */
    size_t arg_count;
    unsigned int options; /* enum verb_option */
    const char *help;
    /* args ends with NULL. 0; positive: the exit code, all has been said; negative with a text. */
    int (*run)(struct cli *cli, char **args);
    size_t optional_count; /* arguments more than arg_count that may be left out */
};

/* The verb of these words and where its arguments begin. -EINVAL with a text that says which words
 * would be right. */
int verbs_find(const struct verb *verbs, size_t count, char **words, size_t word_count,
               const struct verb **ret_verb, size_t *ret_first_arg);

/* "endpoint attach" */
void verb_add_name(const struct verb *verb, struct strbuf *out);

/* The list for --help; caller frees. */
char *verbs_help(const struct verb *verbs, size_t count);
