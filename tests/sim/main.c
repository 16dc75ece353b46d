/* Runs seeds, one after the other, and says how to run a failing one again. See usage(). */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/parse.h"
#include "tests/sim/sim.h"

#define SEEDS_DEFAULT 1000
#define MUTATION_SEEDS 120

static const char *program;

/* ---- one seed ------------------------------------------------------------------------------ */

/* splitmix64 (Vigna), in the public domain: a seed becomes a state. */
static uint64_t split(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void sim_deinit(void)
{
    nemesis_deinit();
    while (sim.queue_count > 0)
        sim_cancel(sim.queue[0]);
    oracle_deinit();
    disk_deinit();
    network_deinit();
    free(sim.hosts);
    free(sim.queue);
    free(sim.violation);
}

static void sim_init(const struct sim_config *config)
{
    uint64_t x = config->seed;

    sim = (struct sim){.config = *config, .digest = 0xcbf29ce484222325};
    for (size_t i = 0; i < ARRAY_LEN(sim.random); i++)
        sim.random[i] = split(&x);
}

/* 0 when nothing was broken. */
static int run_seed(const struct sim_config *config, char **ret_violation, uint64_t *ret_digest)
{
    sim_init(config);
    nemesis_play();
    if (sim.config.is_tracing)
        printf("%" PRIu64 " events, digest %016" PRIx64 "\n", sim.events_run, sim.digest);
    *ret_violation = TAKE_PTR(sim.violation);
    *ret_digest = sim.digest;
    sim_deinit();
    return *ret_violation ? 1 : 0;
}

/* ---- many seeds ---------------------------------------------------------------------------- */

/* How to run the seed again that is running: made before it starts, for whoever is killed in the
 * middle of it may only write(2). */
static char replay[256];

static void set_replay(const struct sim_config *config)
{
    bool has_mutation = config->mutation != MUTATION_NONE;

    (void)snprintf(replay, sizeof replay, "again: %s --trace %s%s%s%" PRIu64 "\n", program,
                   has_mutation ? "--mutation " : "",
                   has_mutation ? mutation_name(config->mutation) : "", has_mutation ? " " : "",
                   config->seed);
}

static void on_fatal_signal(int signo)
{
    static const char text[] = "killed by a signal\n";

    if (write(STDOUT_FILENO, text, sizeof text - 1) < 0 ||
        write(STDOUT_FILENO, replay, strlen(replay)) < 0)
        _exit(1);
    (void)signal(signo, SIG_DFL);
    (void)raise(signo);
}

/* The first seed that broke something, or 0. */
static uint64_t run_seeds(const struct sim_config *config, uint64_t from, uint64_t to)
{
    uint64_t digest = 0, one;
    char *violation = NULL;

    for (uint64_t seed = from; seed <= to; seed++) {
        struct sim_config current = *config;

        current.seed = seed;
        set_replay(&current);
        if (run_seed(&current, &violation, &one) != 0) {
            printf("seed %" PRIu64 ": %s\n%s", seed, violation, replay);
            free(violation);
            return seed;
        }
        digest = (digest ^ one) * 0x100000001b3;
    }
    printf("seeds %" PRIu64 " to %" PRIu64 ": nothing broken, digest %016" PRIx64 "\n", from, to,
           digest);
    return 0;
}

/* ---- planted faults ------------------------------------------------------------------------ */

/* In a child: a fault may well be found by an assertion of the daemons' own. */
static bool is_found(enum mutation mutation)
{
    int status = 0;
    pid_t child;

    (void)fflush(stdout);
    child = fork();
    if (child == 0) {
        const struct sim_config config = {.mutation = mutation};
        bool found;

        printf("%s: ", mutation_name(mutation));
        (void)fflush(stdout); /* an abort would lose it */
        found = run_seeds(&config, 1, MUTATION_SEEDS) != 0;
        (void)fflush(stdout);
        _exit(found ? 10 : 0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    return WIFSIGNALED(status) ? WTERMSIG(status) == SIGABRT : WEXITSTATUS(status) == 10;
}

static int run_mutations(void)
{
    unsigned int missed = 0;

    for (int m = MUTATION_NONE + 1; m < MUTATION_COUNT; m++) {
        if (is_found((enum mutation)m))
            continue;
        printf("NOT FOUND: %s\n", mutation_name((enum mutation)m));
        missed++;
    }
    printf("%d planted faults, %u not found\n", MUTATION_COUNT - 1, missed);
    return missed > 0;
}

/* The same seed is the same run, byte for byte. */
static int run_twice(uint64_t from, uint64_t to)
{
    for (uint64_t seed = from; seed <= to; seed++) {
        const struct sim_config config = {.seed = seed};
        uint64_t first, second;
        char *violation = NULL;

        (void)run_seed(&config, &violation, &first);
        free(violation);
        (void)run_seed(&config, &violation, &second);
        free(violation);
        if (first != second) {
            printf("seed %" PRIu64 " does not run the same way twice\n", seed);
            return 1;
        }
    }
    printf("seeds %" PRIu64 " to %" PRIu64 " run the same way twice\n", from, to);
    return 0;
}

/* ---- the command line ---------------------------------------------------------------------- */

static int usage(void)
{
    printf("usage: sim [--trace] [--nodes N] [--mutation NAME] [SEED [LAST_SEED]]\n"
           "       sim --twice SEED LAST_SEED   the same seed must be the same run\n"
           "       sim --mutations              each planted fault must be found\n"
           "Without a seed: 1 to %d.\n",
           SEEDS_DEFAULT);
    return 2;
}

static bool find_mutation(const char *name, enum mutation *ret)
{
    for (int m = 0; m < MUTATION_COUNT; m++) {
        if (strcmp(mutation_name((enum mutation)m), name) != 0)
            continue;
        *ret = (enum mutation)m;
        return true;
    }
    return false;
}

/* --trace, --nodes and --mutation; returns the index of what follows, or -1. */
static int parse_options(int argc, char **argv, struct sim_config *config)
{
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        uint64_t nodes;

        if (strcmp(argv[i], "--trace") == 0) {
            config->is_tracing = true;
        } else if (strcmp(argv[i], "--nodes") == 0 && i + 1 < argc &&
                   parse_u64(argv[i + 1], 4000, &nodes) == 0) {
            config->nodes = (unsigned int)nodes;
            i++;
        } else if (strcmp(argv[i], "--mutation") == 0 && i + 1 < argc &&
                   find_mutation(argv[i + 1], &config->mutation)) {
            i++;
        } else {
            return -1;
        }
    }
    return i;
}

static bool parse_seeds(int argc, char **argv, int at, uint64_t *from, uint64_t *to)
{
    if (argc - at > 2)
        return false;
    if (argc - at > 0 && parse_u64(argv[at], INT64_MAX, from) < 0)
        return false;
    if (argc - at > 0)
        *to = *from;
    return argc - at < 2 || parse_u64(argv[at + 1], INT64_MAX, to) == 0;
}

int main(int argc, char **argv)
{
    struct sim_config config = {0};
    uint64_t from = 1, to = SEEDS_DEFAULT;
    int at;

    program = argv[0];
    if (argc == 2 && strcmp(argv[1], "--mutations") == 0)
        return run_mutations();
    if (argc == 4 && strcmp(argv[1], "--twice") == 0)
        return parse_seeds(argc, argv, 2, &from, &to) ? run_twice(from, to) : usage();
    at = parse_options(argc, argv, &config);
    if (at < 0 || !parse_seeds(argc, argv, at, &from, &to))
        return usage();
    (void)signal(SIGABRT, on_fatal_signal);
    (void)signal(SIGSEGV, on_fatal_signal);
    return run_seeds(&config, from, to) != 0;
}
