/* The skeleton of a daemon, run in child processes: signals, readiness, exit codes. */
#include "lib/base/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

struct job {
    struct daemon daemon;
    int stops;
};

static void on_stop(void *data)
{
    struct job *job = data;

    job->stops++;
    loop_exit(job->daemon.loop, job->stops == 1 ? 0 : 9);
}

/* The child: ready, then runs until it is told to stop. */
static int run_daemon(bool has_stop_fn)
{
    struct job job = {0};
    int r;

    if (daemon_init(&job.daemon, has_stop_fn ? on_stop : NULL, &job) < 0)
        return 8;
    daemon_ready(&job.daemon, LOG_I("port", 80));
    r = daemon_run(&job.daemon);
    daemon_deinit(&job.daemon);
    return has_stop_fn && job.stops != 1 ? 7 : r;
}

static int stop_child(int signo, bool has_stop_fn)
{
    int err[2], status;
    char text[4096];
    ssize_t n;
    pid_t child;

    assert_int_equal(pipe(err), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(err[1], STDERR_FILENO);
        _exit(run_daemon(has_stop_fn));
    }
    close(err[1]);
    n = read(err[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "level=info msg=\"ready\" port=80\n"));
    assert_int_equal(kill(child, signo), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(err[0]);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void sigterm_and_sigint_end_it_well(void **state)
{
    assert_int_equal(stop_child(SIGTERM, false), 0);
    assert_int_equal(stop_child(SIGINT, false), 0);
    assert_int_equal(stop_child(SIGTERM, true), 0);
}

static void systemd_is_told_when_it_is_ready(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct daemon daemon;
    char text[64];
    ssize_t n;

    (void)snprintf(addr.sun_path + 1, sizeof addr.sun_path - 1, "quilt-test-%d", getpid());
    assert_int_equal(
        bind(fd, (struct sockaddr *)&addr,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(addr.sun_path + 1))),
        0);
    addr.sun_path[0] = '@';
    assert_int_equal(setenv("NOTIFY_SOCKET", addr.sun_path, 1), 0);
    assert_int_equal(daemon_init(&daemon, NULL, NULL), 0);
    daemon_ready_fields(&daemon, NULL, 0);
    n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, "READY=1");
    daemon_deinit(&daemon);
    unsetenv("NOTIFY_SOCKET");
    close(fd);
}

static void its_memory_is_nobody_elses(void **state)
{
    struct daemon daemon;

    assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
    assert_int_equal(daemon_init(&daemon, NULL, NULL), 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    daemon_deinit(&daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_memory_is_nobody_elses),
        cmocka_unit_test(sigterm_and_sigint_end_it_well),
        cmocka_unit_test(systemd_is_told_when_it_is_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
