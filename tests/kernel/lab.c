/* A network namespace of the test's own. */
#include "tests/kernel/lab.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "lib/base/strbuf.h"
#include "lib/net/vxlan.h"

#define EXIT_SKIP 77 /* meson's word for it */
#define MAX_WORDS 32

void lab_require(void)
{
    if (geteuid() == 0 && unshare(CLONE_NEWNET) == 0)
        return;
    (void)fprintf(stderr, "skipped: needs root and network namespaces\n");
    exit(EXIT_SKIP);
}

int lab_setup(void **state)
{
    struct nl *nl = NULL;

    if (unshare(CLONE_NEWNET) < 0)
        return -1;
    assert_ok(nl_open(&nl));
    /* Without a loopback that is up there is no local table, and no route gets a gateway. */
    assert_ok(link_set_up(nl, lab_ifindex(nl, "lo"), true));
    *state = nl;
    return 0;
}

int lab_teardown(void **state)
{
    nl_close(*state);
    return 0;
}

static pid_t spawn(char **argv, int output_fd)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(r, 0);
    return pid;
}

char *lab_run(const char *program, ...)
{
    char *argv[MAX_WORDS] = {(char *)program};
    struct strbuf output = {0};
    char piece[4096];
    ssize_t n;
    va_list args;
    int pipe_fds[2];
    int status;
    pid_t pid;

    va_start(args, program);
    for (size_t i = 1; (argv[i] = va_arg(args, char *)); i++)
        assert_true(i + 1 < MAX_WORDS);
    va_end(args);
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid = spawn(argv, pipe_fds[1]);
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], piece, sizeof piece)) > 0)
        strbuf_add(&output, piece, (size_t)n);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return strbuf_take(&output);
}

int lab_ifindex(struct nl *nl, const char *name)
{
    struct link_info info;

    assert_ok(link_get(nl, name, &info));
    return info.ifindex;
}

int lab_vxlan(struct nl *nl)
{
    const struct vxlan_spec spec = {.name = "vxlan100",
                                    .alias = "quilt:test",
                                    .vni = 100,
                                    .port = 4789,
                                    .local = 0xc0000201,
                                    .mac = {{2, 0x51, 10, 42, 1, 0}},
                                    .mtu_bytes = 1450};
    int ifindex;

    assert_ok(vxlan_create(nl, &spec));
    ifindex = lab_ifindex(nl, "vxlan100");
    assert_ok(vxlan_set_up(nl, ifindex));
    return ifindex;
}

int lab_set_fdb(struct nl *nl, const struct fdb_entry *entry)
{
    union nl_request request = {0};

    fdb_fill_replace(&request.header, entry);
    return nl_transact(nl, &request.header);
}

int lab_delete_fdb(struct nl *nl, const struct fdb_entry *entry)
{
    union nl_request request = {0};

    fdb_fill_delete(&request.header, entry);
    return nl_transact(nl, &request.header);
}

int lab_delete_neigh(struct nl *nl, const struct neigh_entry *entry)
{
    union nl_request request = {0};

    neigh_fill_delete(&request.header, entry);
    return nl_transact(nl, &request.header);
}
