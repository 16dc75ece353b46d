/* Command lines: each run is a child process of its own, judged by its exit code and its words. */
#include "lib/base/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "tests/unit/cmocka.h"

struct values {
    const char *name;
    int64_t wait_ms;
    struct ip4_prefix cidr;
    uint32_t addr;
    struct option_list urls;
    bool is_loud;
};

static int take_addr(const char *text, void *out)
{
    return ip4_parse(text, out);
}

static int take_prefix(const char *text, void *out)
{
    return ip4_prefix_parse(text, out);
}

static int take_duration(const char *text, void *out)
{
    return parse_duration_ms(text, out);
}

/* The program under test: parses, then prints what it got. */
static void run_program(int argc, char **argv, size_t max_args)
{
    struct values v = {0};
    const struct option_spec specs[] = {
        {.name = "host-ip",
         .arg = "IP",
         .is_required = true,
         .parse = take_addr,
         .out = &v.addr,
         .help = "The address"},
        {.name = "name",
         .short_name = 'n',
         .arg = "NAME",
         .default_text = "nobody",
         .parse = option_string,
         .out = &v.name,
         .help = "A name"},
        {.name = "wait",
         .arg = "TIME",
         .default_text = "30s",
         .parse = take_duration,
         .out = &v.wait_ms,
         .help = "How long"},
        {.name = "cidr",
         .arg = "NET",
         .default_text = "10.42.0.0/16",
         .parse = take_prefix,
         .out = &v.cidr,
         .help = "The network"},
        {.name = "url", .arg = "URL", .parse = option_list, .out = &v.urls, .help = "May repeat"},
        {.name = "loud", .out = &v.is_loud, .help = "A flag"},
    };
    char *words[2], addr[IP4_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];
    struct options o = {.program = "prog",
                        .summary = "Does something.",
                        .epilogue = "The end.",
                        .specs = specs,
                        .spec_count = ARRAY_LEN(specs),
                        .ret_args = max_args ? words : NULL,
                        .max_args = max_args};

    options_parse(&o, argc, argv);
    printf("%s %s %lld %s %d", ip4_format(v.addr, addr), v.name, (long long)v.wait_ms,
           ip4_prefix_format(v.cidr, cidr), v.is_loud);
    for (size_t i = 0; i < v.urls.count; i++)
        printf(" url:%s", v.urls.items[i]);
    for (size_t i = 0; i < o.ret_arg_count; i++)
        printf(" word:%s", words[i]);
    printf(" debug:%d", log_enabled(LOG_LEVEL_DEBUG));
    exit(0);
}

struct outcome {
    int code;
    char out[4096], err[4096];
};

static void read_all(int fd, char *ret_text, size_t size)
{
    size_t used = 0;
    ssize_t n;

    while ((n = read(fd, ret_text + used, size - 1 - used)) > 0)
        used += (size_t)n;
    ret_text[used] = '\0';
    close(fd);
}

/* line and env are words separated by '|'. */
static size_t split(char *line, char **words, size_t max)
{
    size_t count = 0;

    for (char *w = line, *end; w && *w; w = end) {
        end = strchr(w, '|');
        if (end)
            *end++ = '\0';
        assert_true(count < max);
        words[count++] = w;
    }
    return count;
}

static void be_child(const char *line, const char *env, size_t max_args, const int *out,
                     const int *err)
{
    char *argv[24] = {(char[]){"prog"}}, *vars[8];
    static char line_copy[512], env_copy[512]; /* the program keeps pointers into them */
    size_t argc, var_count;

    (void)snprintf(line_copy, sizeof line_copy, "%s", line);
    (void)snprintf(env_copy, sizeof env_copy, "%s", env);
    argc = 1 + split(line_copy, argv + 1, 20);
    var_count = split(env_copy, vars, 8);
    clearenv();
    for (size_t i = 0; i < var_count; i++)
        putenv(vars[i]);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    run_program((int)argc, argv, max_args);
}

static struct outcome run_words(const char *line, const char *env, size_t max_args)
{
    int out[2], err[2], status;
    struct outcome o;
    pid_t child;

    assert_true(pipe(out) == 0 && pipe(err) == 0);
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_child(line, env, max_args, out, err);
    close(out[1]);
    close(err[1]);
    read_all(out[0], o.out, sizeof o.out);
    read_all(err[0], o.err, sizeof o.err);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    o.code = WEXITSTATUS(status);
    return o;
}

static void values_come_from_line_environment_and_defaults(void **state)
{
    static const struct {
        const char *line, *env, *out;
    } rows[] = {
        {"--host-ip=10.0.0.1", "", "10.0.0.1 nobody 30000 10.42.0.0/16 0 debug:0"},
        {"--host-ip|10.0.0.1|--wait|5m|--loud", "",
         "10.0.0.1 nobody 300000 10.42.0.0/16 1 debug:0"},
        {"--host-ip=10.0.0.1|-n|me", "", "10.0.0.1 me 30000 10.42.0.0/16 0 debug:0"},
        {"--host-ip=10.0.0.1|--name=a|--name=b", "", "10.0.0.1 b 30000 10.42.0.0/16 0 debug:0"},
        {"", "QUILT_HOST_IP=10.0.0.2|QUILT_NAME=env|QUILT_LOUD=true",
         "10.0.0.2 env 30000 10.42.0.0/16 1 debug:0"},
        {"--host-ip=10.0.0.1|--name=line", "QUILT_HOST_IP=10.0.0.2|QUILT_NAME=env",
         "10.0.0.1 line 30000 10.42.0.0/16 0 debug:0"},
        /* What the line overrides is not even looked at. */
        {"--host-ip=10.0.0.1", "QUILT_HOST_IP=garbage",
         "10.0.0.1 nobody 30000 10.42.0.0/16 0 debug:0"},
        {"--host-ip=10.0.0.1", "QUILT_NAME=|QUILT_LOUD=0",
         "10.0.0.1 nobody 30000 10.42.0.0/16 0 debug:0"},
        {"--host-ip=10.0.0.1|--url=a|--url=b", "",
         "10.0.0.1 nobody 30000 10.42.0.0/16 0 url:a url:b debug:0"},
        {"--host-ip=10.0.0.1|--url=a,b", "",
         "10.0.0.1 nobody 30000 10.42.0.0/16 0 url:a url:b debug:0"},
        {"--host-ip=10.0.0.1", "QUILT_URL=x,y",
         "10.0.0.1 nobody 30000 10.42.0.0/16 0 url:x url:y debug:0"},
        {"--host-ip=10.0.0.1|--url=a", "QUILT_URL=x,y",
         "10.0.0.1 nobody 30000 10.42.0.0/16 0 url:a debug:0"},
        {"--host-ip=10.0.0.1|--log-level=debug", "",
         "10.0.0.1 nobody 30000 10.42.0.0/16 0 debug:1"},
        {"--host-ip=10.0.0.1", "QUILT_LOG_LEVEL=trace",
         "10.0.0.1 nobody 30000 10.42.0.0/16 0 debug:1"},
        {"one|--host-ip=10.0.0.1|two", "",
         "10.0.0.1 nobody 30000 10.42.0.0/16 0 word:one word:two debug:0"},
        {"--host-ip=10.0.0.1|--|--name", "",
         "10.0.0.1 nobody 30000 10.42.0.0/16 0 word:--name debug:0"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome o = run_words(rows[i].line, rows[i].env, 2);

        assert_string_equal(o.err, "");
        assert_string_equal(o.out, rows[i].out);
        assert_int_equal(o.code, 0);
    }
}

#define TRY "Try 'prog --help' for more information.\n"

static void a_wrong_line_is_a_usage_error_that_names_the_option(void **state)
{
    static const struct {
        const char *line, *env, *err;
    } rows[] = {
        {"", "", "prog: --host-ip is required (or QUILT_HOST_IP in the environment)\n" TRY},
        {"", "QUILT_HOST_IP=",
         "prog: --host-ip is required (or QUILT_HOST_IP in the environment)\n" TRY},
        {"--host-ip=1.2.3", "", "prog: --host-ip: '1.2.3' is not an IPv4 address\n" TRY},
        {"", "QUILT_HOST_IP=x", "prog: QUILT_HOST_IP: 'x' is not an IPv4 address\n" TRY},
        {"--host-ip=10.0.0.1|--name=", "", "prog: --name: must not be empty\n" TRY},
        {"--host-ip=10.0.0.1|--wait=5", "",
         "prog: --wait: '5' is not a duration such as 30s, 500ms or 5m (1ms to 24h)\n" TRY},
        {"--host-ip=10.0.0.1|--wait=5|--wait=5s", "",
         "prog: --wait: '5' is not a duration such as 30s, 500ms or 5m (1ms to 24h)\n" TRY},
        {"--host-ip=10.0.0.1|--url=a,,b", "", "prog: --url: 'a,,b' has an empty item\n" TRY},
        {"--host-ip=10.0.0.1|--url=1,2,3,4,5,6,7,8,9|--url=1,2,3,4,5,6,7,8", "",
         "prog: --url: more than 16 values\n" TRY},
        {"--host-ip=10.0.0.1", "QUILT_LOUD=yes",
         "prog: QUILT_LOUD: 'yes' is not true or false\n" TRY},
        {"--host-ip=10.0.0.1|--log-level=loud", "",
         "prog: --log-level: 'loud' is not one of trace, debug, info, warn, error\n" TRY},
        {"--host-ip=10.0.0.1|--log-format=xml", "",
         "prog: --log-format: 'xml' is not one of text, json\n" TRY},
        {"--host-ip=10.0.0.1|a|b|c", "", "prog: too many arguments, from 'c' on\n" TRY},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome o = run_words(rows[i].line, rows[i].env, 2);

        assert_string_equal(o.out, "");
        assert_string_equal(o.err, rows[i].err);
        assert_int_equal(o.code, EXIT_USAGE);
    }
}

static void a_choice_is_one_of_its_words_and_nothing_near(void **state)
{
    static const char *const words[] = {"auto", "kernel", "none"};
    static const char *const bad[] = {"", "aut", "autos", "AUTO", "auto "};
    size_t i = 7;

    assert_int_equal(option_choose("kernel", words, ARRAY_LEN(words), &i), 0);
    assert_int_equal(i, 1);
    for (size_t k = 0; k < ARRAY_LEN(bad); k++)
        assert_int_equal(option_choose(bad[k], words, ARRAY_LEN(words), &i), -EINVAL);
    assert_int_equal(i, 1);
    assert_string_equal(err_text(), "'auto ' is not one of auto, kernel, none");
}

static void a_variable_with_a_slip_is_a_usage_error_and_others_are_left_alone(void **state)
{
    static const char *const slips[] = {"QUILT_WIAT", "QUILT_WAI", "QUILT_WAITT",
                                        "QUILT_WAIL", "QUILT_AIT", "QUILT_AWIT"};
    static const char others[] = "QUILT_BUILD=x|QUILT_WAITING=x|QUILT_TIAW=x|QUILT_=x|WAIL=x";
    struct outcome o;

    for (size_t i = 0; i < ARRAY_LEN(slips); i++) {
        AUTO_FREE char *env = mem_printf("%s=1s", slips[i]);
        AUTO_FREE char *err =
            mem_printf("prog: %s: there is no such variable; is QUILT_WAIT meant?\n" TRY, slips[i]);

        o = run_words("--host-ip=10.0.0.1", env, 2);
        assert_int_equal(o.code, EXIT_USAGE);
        assert_string_equal(o.err, err);
    }
    o = run_words("--host-ip=10.0.0.1", others, 2);
    assert_int_equal(o.code, 0);
}

static void what_argp_refuses_is_a_usage_error_too(void **state)
{
    static const char *const lines[] = {"--host-ip=10.0.0.1|--nonsense", "--host-ip",
                                        "--host-ip=10.0.0.1|--loud=1", "-x"};

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct outcome o = run_words(lines[i], "", 2);

        assert_int_equal(o.code, EXIT_USAGE);
        assert_non_null(strstr(o.err, "prog: "));
    }
}

static void a_program_without_words_refuses_them(void **state)
{
    struct outcome o = run_words("--host-ip=10.0.0.1|word", "", 0);

    assert_string_equal(o.err, "prog: unexpected argument 'word'\n" TRY);
    assert_int_equal(o.code, EXIT_USAGE);
}

static void help_shows_every_option_with_its_default(void **state)
{
    static const char *const words[] = {"Does something.",
                                        "--host-ip=IP",
                                        "The address (required)",
                                        "-n, --name=NAME",
                                        "A name (default nobody)",
                                        "--loud",
                                        "--log-level=LEVEL",
                                        "--log-format=FORMAT",
                                        "--version",
                                        "--help",
                                        "QUILT_LOG_LEVEL",
                                        "The end."};
    struct outcome o = run_words("--help", "", 2);

    assert_int_equal(o.code, 0);
    assert_string_equal(o.err, "");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        assert_non_null(strstr(o.out, words[i]));
}

static void version_is_program_and_number(void **state)
{
    struct outcome o = run_words("--version", "", 2);

    assert_int_equal(o.code, 0);
    assert_string_equal(o.out, "prog " QUILT_VERSION "\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_from_line_environment_and_defaults),
        cmocka_unit_test(a_wrong_line_is_a_usage_error_that_names_the_option),
        cmocka_unit_test(a_choice_is_one_of_its_words_and_nothing_near),
        cmocka_unit_test(a_variable_with_a_slip_is_a_usage_error_and_others_are_left_alone),
        cmocka_unit_test(what_argp_refuses_is_a_usage_error_too),
        cmocka_unit_test(a_program_without_words_refuses_them),
        cmocka_unit_test(help_shows_every_option_with_its_default),
        cmocka_unit_test(version_is_program_and_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
