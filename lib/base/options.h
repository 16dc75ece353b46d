/* Command lines: long options from a table, each also from the environment as QUILT_<OPTION>
 * (upper case, '_' for '-'); the command line wins, an empty variable counts as none. By argp.
 * A variable that is an option's but for a slip, QUILT_TSL, is a usage error.
 * Every program gets --help, --version, --log-level and --log-format on top of its own table.
 *
 * A value is checked by its parser at once; a wrong one is a usage error (exit 2) that names the
 * option, or the variable, and says what would be right.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_USAGE 2
#define EXIT_DAMAGED 65 /* damaged state: the log says which file and how to recover */

/* Takes one value over into out. 0, or negative with a text. Called once for each time the option
 * is given, with the default's text when it is not given at all. */
typedef int (*option_parse_fn)(const char *text, void *out);

struct option_spec {
    const char *name;         /* without the dashes */
    char short_name;          /* 0: none */
    const char *arg;          /* what the value is called in --help; NULL: a flag (out is bool *) */
    const char *default_text; /* NULL: none */
    const char *help;
    bool is_required;
    option_parse_fn parse;
    void *out;
};

struct options {
    const char *program;
    const char *summary;  /* one sentence */
    const char *args_doc; /* of the words that are not options, "VERB ..."; NULL: there are none */
    const char *epilogue; /* below the options in --help; NULL: nothing */
    const struct option_spec *specs;
    size_t spec_count;
    char **ret_args; /* the words that are not options, in order; room for max_args, or NULL */
    size_t max_args;
    size_t ret_arg_count;
};

/* Parses, sets the log up, and returns; or prints help, version or a usage error and exits. */
void options_parse(struct options *options, int argc, char **argv);

/* Prints a usage error as options_parse does and exits with EXIT_USAGE. For what no single value's
 * parser can see. */
void options_usage_error(const struct options *options, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Parsers. */
int option_string(const char *text, void *out);   /* const char ** (borrowed), not empty */
int option_lifetime(const char *text, void *out); /* int64_t *, seconds */
int option_hostname(const char *text, void *out); /* const char ** (borrowed) */
/* "127.0.0.1:8080"; port 0: any. */
struct option_listen {
    uint32_t addr; /* host order */
    uint16_t port;
};
int option_listen(const char *text, void *out); /* struct option_listen * */

/* const char ** values of an option that may be repeated; an environment value may hold several,
 * separated by commas. */
struct option_list {
    const char *items[16];
    size_t count;
};
int option_list(const char *text, void *out); /* struct option_list * */

/* For parsers of options that are one of a few words: which. -EINVAL with a text that lists them.
 */
int option_choose(const char *text, const char *const *words, size_t count, size_t *ret_index);
