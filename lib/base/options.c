/* Command lines by argp, from a table. */
#include "lib/base/options.h"

#include <argp.h>
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/strbuf.h"

/* argp keys below this are the options' short names. */
#define FIRST_KEY 1000
#define KEY_VERSION 900
#define ENV_NAME_MAX 64
#define ENV_PREFIX "QUILT_"

struct log_options {
    enum log_level level;
    enum log_format format;
};

struct parse_state {
    struct options *options;
    struct option_spec *specs; /* the program's and the common ones */
    size_t count;
    bool *is_seen;
};

static int option_log_level(const char *text, void *out)
{
    if (!log_level_parse(text, out))
        return err_fail(EINVAL, "'%.64s' is not one of trace, debug, info, warn, error", text);
    return 0;
}

static int option_log_format(const char *text, void *out)
{
    if (!log_format_parse(text, out))
        return err_fail(EINVAL, "'%.64s' is not one of text, json", text);
    return 0;
}

void options_usage_error(const struct options *options, const char *fmt, ...)
{
    va_list args;

    (void)fprintf(stderr, "%s: ", options->program);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "\nTry '%s --help' for more information.\n", options->program);
    exit(EXIT_USAGE);
}

static int take_value(const struct option_spec *spec, const char *text)
{
    if (spec->arg)
        return spec->parse(text, spec->out);
    if (strcmp(text, "1") != 0 && strcmp(text, "true") != 0 && strcmp(text, "0") != 0 &&
        strcmp(text, "false") != 0)
        return err_fail(EINVAL, "'%.64s' is not true or false", text);
    *(bool *)spec->out = text[0] == '1' || text[0] == 't';
    return 0;
}

static error_t on_word(struct options *o, char *word)
{
    if (!o->ret_args)
        options_usage_error(o, "unexpected argument '%s'", word);
    if (o->ret_arg_count == o->max_args)
        options_usage_error(o, "too many arguments, from '%s' on", word);
    o->ret_args[o->ret_arg_count++] = word;
    return 0;
}

static error_t on_option(int key, char *arg, struct argp_state *argp)
{
    struct parse_state *state = argp->input;

    if (key == ARGP_KEY_ARG)
        return on_word(state->options, arg);
    if (key == KEY_VERSION) {
        (void)printf("%s %s\n", state->options->program, QUILT_VERSION);
        exit(0);
    }
    for (size_t i = 0; i < state->count; i++) {
        const struct option_spec *spec = &state->specs[i];

        if (key != FIRST_KEY + (int)i && !(spec->short_name && key == spec->short_name))
            continue;
        state->is_seen[i] = true;
        if (take_value(spec, arg ? arg : "true") < 0)
            options_usage_error(state->options, "--%s: %s", spec->name, err_text());
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static void env_name(const char *option, char ret_name[static ENV_NAME_MAX])
{
    (void)snprintf(ret_name, ENV_NAME_MAX, ENV_PREFIX "%s", option);
    for (char *p = ret_name; *p; p++)
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
}

/* What the command line left open: the environment, then the default. */
static void take_rest(const struct parse_state *state)
{
    for (size_t i = 0; i < state->count; i++) {
        const struct option_spec *spec = &state->specs[i];
        char name[ENV_NAME_MAX];
        const char *value;

        if (state->is_seen[i])
            continue;
        env_name(spec->name, name);
        value = getenv(name);
        if (value && value[0] == '\0')
            value = NULL;
        if (value && take_value(spec, value) < 0)
            options_usage_error(state->options, "%s: %s", name, err_text());
        if (!value && spec->default_text && take_value(spec, spec->default_text) < 0)
            options_usage_error(state->options, "default of --%s: %s", spec->name, err_text());
        if (!value && spec->is_required)
            options_usage_error(state->options, "--%s is required (or %s in the environment)",
                                spec->name, name);
    }
}

/* Whether the one becomes the other by a character that is missing, wrong or swapped with the next.
 */
static bool is_slip(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), i = 0;

    while (a[i] && a[i] == b[i])
        i++;
    if (n == m + 1)
        return strcmp(a + i + 1, b + i) == 0;
    if (m == n + 1)
        return strcmp(a + i, b + i + 1) == 0;
    if (n != m || i == n)
        return false;
    return strcmp(a + i + 1, b + i + 1) == 0 ||
           (a[i] == b[i + 1] && a[i + 1] == b[i] && strcmp(a + i + 2, b + i + 2) == 0);
}

/* A slip of the pen in a file of the environment must not start a daemon without what was meant:
 * without TLS, say. Variables of others, and of our other programs, are left alone. */
static void check_variable(const struct parse_state *state, const char *name)
{
    const char *meant = NULL;
    char known[ENV_NAME_MAX];

    for (size_t i = 0; i < state->count; i++) {
        env_name(state->specs[i].name, known);
        if (strcmp(name, known) == 0)
            return;
        if (is_slip(name, known))
            meant = state->specs[i].name;
    }
    if (!meant)
        return;
    env_name(meant, known);
    options_usage_error(state->options, "%s: there is no such variable; is %s meant?", name, known);
}

static void check_environment(const struct parse_state *state)
{
    for (char **variable = environ; variable && *variable; variable++) {
        size_t n = strcspn(*variable, "=");
        char name[ENV_NAME_MAX];

        if (strncmp(*variable, ENV_PREFIX, strlen(ENV_PREFIX)) != 0 || n >= sizeof name)
            continue;
        (void)snprintf(name, sizeof name, "%.*s", (int)n, *variable);
        check_variable(state, name);
    }
}

static const char about_environment[] = "Every option can also come from the environment, "
                                        "--log-level as QUILT_LOG_LEVEL for example; the "
                                        "command line wins.";

static char *option_help(const struct option_spec *spec)
{
    if (spec->is_required)
        return mem_printf("%s (required)", spec->help);
    if (spec->default_text && spec->default_text[0])
        return mem_printf("%s (default %s)", spec->help, spec->default_text);
    return mem_strdup(spec->help);
}

/* argp's own table; the help texts are owned by it. */
static struct argp_option *make_argp_options(const struct parse_state *state)
{
    struct argp_option *table = mem_array(state->count + 2, sizeof *table);

    memset(table, 0, (state->count + 2) * sizeof *table);
    for (size_t i = 0; i < state->count; i++) {
        const struct option_spec *spec = &state->specs[i];

        table[i].name = spec->name;
        table[i].key = spec->short_name ? spec->short_name : FIRST_KEY + (int)i;
        table[i].arg = spec->arg;
        table[i].doc = option_help(spec);
    }
    table[state->count] =
        (struct argp_option){.name = "version", .key = KEY_VERSION, .doc = "Print the version"};
    return table;
}

static void free_argp_options(struct argp_option *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)table[i].doc);
    free(table);
}

void options_parse(struct options *o, int argc, char **argv)
{
    struct log_options log = {0};
    const struct option_spec common[] = {
        {.name = "log-level",
         .arg = "LEVEL",
         .default_text = "info",
         .parse = option_log_level,
         .out = &log.level,
         .help = "trace, debug, info, warn or error"},
        {.name = "log-format",
         .arg = "FORMAT",
         .default_text = "text",
         .parse = option_log_format,
         .out = &log.format,
         .help = "text (logfmt) or json, to stderr"},
    };
    struct parse_state state = {.options = o, .count = o->spec_count + ARRAY_LEN(common)};
    struct argp argp = {.parser = on_option, .args_doc = o->args_doc};
    AUTO_FREE char *doc = mem_printf("%s\v%s%s%s", o->summary, about_environment,
                                     o->epilogue ? "\n\n" : "", o->epilogue ? o->epilogue : "");
    AUTO_FREE bool *is_seen = mem_zalloc(state.count * sizeof(bool));
    AUTO_FREE struct option_spec *specs = mem_array(state.count, sizeof *specs);
    struct argp_option *table;

    if (o->spec_count > 0)
        memcpy(specs, o->specs, o->spec_count * sizeof *specs);
    memcpy(specs + o->spec_count, common, sizeof common);
    state.specs = specs;
    state.is_seen = is_seen;
    table = make_argp_options(&state);
    argp.options = table;
    argp.doc = doc;
    argp_err_exit_status = EXIT_USAGE;
    o->ret_arg_count = 0;
    if (argp_parse(&argp, argc, argv, 0, NULL, &state) != 0)
        exit(EXIT_USAGE);
    free_argp_options(table, state.count);
    check_environment(&state);
    take_rest(&state);
    log_setup(log.level, log.format);
}

int option_string(const char *text, void *out)
{
    if (text[0] == '\0')
        return err_fail(EINVAL, "must not be empty");
    *(const char **)out = text;
    return 0;
}

int option_lifetime(const char *text, void *out)
{
    return parse_lifetime_s(text, out);
}

int option_hostname(const char *text, void *out)
{
    int r = parse_hostname(text);

    if (r < 0)
        return r;
    *(const char **)out = text;
    return 0;
}

int option_listen(const char *text, void *out)
{
    struct option_listen *listen = out;

    return parse_addr_port(text, &listen->addr, &listen->port);
}

int option_list(const char *text, void *out)
{
    struct option_list *list = out;
    char *copy = mem_strdup(text); /* kept for the life of the process, as argv is */

    for (char *item = copy, *comma; item; item = comma) {
        comma = strchr(item, ',');
        if (comma)
            *comma++ = '\0';
        if (item[0] == '\0')
            return err_fail(EINVAL, "'%.64s' has an empty item", text);
        if (list->count == ARRAY_LEN(list->items))
            return err_fail(EINVAL, "more than %zu values", ARRAY_LEN(list->items));
        list->items[list->count++] = item;
    }
    return 0;
}

static int fail_choice(const char *text, const char *const *words, size_t count)
{
    AUTO_STRBUF struct strbuf list = {0};

    for (size_t i = 0; i < count; i++)
        strbuf_addf(&list, "%s%s", i > 0 ? ", " : "", words[i]);
    return err_fail(EINVAL, "'%.64s' is not one of %s", text, list.data);
}

int option_choose(const char *text, const char *const *words, size_t count, size_t *ret_index)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) != 0)
            continue;
        *ret_index = i;
        return 0;
    }
    return fail_choice(text, words, count);
}
