/* Listening addresses and targets as users write them. */
#include "lib/rpc/address.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

#define PATH_107                                                            \
    "/23456789012345678901234567890123456789012345678901234567890123456789" \
    "01234567890123456789012345678901234567"

static void targets_become_grpcs(void **state)
{
    static const char *const samples[][2] = {
        {"http://127.0.0.1:50051", "ipv4:127.0.0.1:50051"},
        {"http://127.0.0.1:50051/", "ipv4:127.0.0.1:50051"},
        {"http://localhost:1", "ipv4:127.0.0.1:1"},
        {"http://node-2.example:65535", "dns:///node-2.example:65535"},
        {"unix:/run/quilt/runtime.sock", "unix:/run/quilt/runtime.sock"},
        {"unix:///run/quilt/runtime.sock", "unix:/run/quilt/runtime.sock"},
        {"unix:/run/a b%?#\xc3\xbc", "unix:/run/a%20b%25%3F%23%C3%BC"},
        {"unix:" PATH_107, "unix:" PATH_107},
    };

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct rpc_target target;

        assert_int_equal(rpc_target_parse(samples[i][0], &target), 0);
        assert_string_equal(target.address, samples[i][1]);
        assert_false(target.is_tls);
        rpc_target_deinit(&target);
    }
}

static void over_tls_the_host_is_known_as_it_was_written(void **state)
{
    static const char *const samples[][3] = {
        {"https://192.168.1.10:50051", "ipv4:192.168.1.10:50051", "192.168.1.10"},
        {"https://localhost:1/", "ipv4:127.0.0.1:1", "localhost"},
    };

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct rpc_target target;

        assert_int_equal(rpc_target_parse(samples[i][0], &target), 0);
        assert_true(target.is_tls);
        assert_string_equal(target.address, samples[i][1]);
        assert_string_equal(target.host, samples[i][2]);
        rpc_target_deinit(&target);
    }
}

static void wrong_targets_are_refused_in_words(void **state)
{
    static const char *const samples[][2] = {
        {"", "\"\": must be http://HOST:PORT, https://ADDR:PORT or unix:PATH"},
        {"127.0.0.1:50051",
         "\"127.0.0.1:50051\": must be http://HOST:PORT, https://ADDR:PORT or unix:PATH"},
        {"https://a:1",
         "\"https://a:1\": over TLS the host is an address, which its certificate has"},
        {"https://a", "\"https://a\": must be http://HOST:PORT, https://ADDR:PORT or unix:PATH"},
        {"http://", "\"http://\": must be http://HOST:PORT, https://ADDR:PORT or unix:PATH"},
        {"http://a", "\"http://a\": must be http://HOST:PORT, https://ADDR:PORT or unix:PATH"},
        {"http://a:0", "\"http://a:0\": must be http://HOST:PORT, https://ADDR:PORT or unix:PATH"},
        {"http://a:65536",
         "\"http://a:65536\": must be http://HOST:PORT, https://ADDR:PORT or unix:PATH"},
        {"http://a:1/x",
         "\"http://a:1/x\": must be http://HOST:PORT, https://ADDR:PORT or unix:PATH"},
        {"http://a b:1", "\"http://a b:1\": \"a b\" is no host"},
        {"http://:1", "\"http://:1\": \"\" is no host"},
        {"unix:", "\"unix:\": a unix socket needs an absolute path, unix:/DIR/NAME"},
        {"unix:run/x", "\"unix:run/x\": a unix socket needs an absolute path, unix:/DIR/NAME"},
        {"unix:" PATH_107 "8",
         "\"unix:" PATH_107 "8\": longer than a unix socket's path may be (107 bytes)"},
    };

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct rpc_target target = {0};

        assert_int_equal(rpc_target_parse(samples[i][0], &target), -EINVAL);
        assert_string_equal(err_text(), samples[i][1]);
        assert_null(target.address);
    }
}

static void listening_addresses_are_tcp_or_unix(void **state)
{
    struct rpc_listen listen;

    assert_int_equal(rpc_listen_parse("127.0.0.1:50051", &listen), 0);
    assert_string_equal(listen.address, "127.0.0.1:50051");
    assert_int_equal(listen.ip, 0x7f000001);
    assert_int_equal(listen.port, 50051);
    assert_null(listen.path);
    rpc_listen_deinit(&listen);

    assert_int_equal(rpc_listen_parse("unix:/run/a b", &listen), 0);
    assert_string_equal(listen.address, "unix:/run/a b");
    assert_string_equal(listen.path, "/run/a b");
    rpc_listen_deinit(&listen);

    assert_int_equal(rpc_listen_parse("localhost:1", &listen), -EINVAL);
    assert_int_equal(rpc_listen_parse("unix:a", &listen), -EINVAL);
}

static_assert(sizeof PATH_107 == 108, "the longest path there can be");

/* Binds and, if asked, listens on a socket file in the test's own directory. */
static int make_socket(const char *path, bool is_listening)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(addr.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    if (is_listening)
        assert_int_equal(listen(fd, 1), 0);
    return fd;
}

struct place {
    char dir[32];
    char *path;
    struct rpc_listen listen;
};

static int new_place(void **state)
{
    struct place *p = NEW(struct place);
    AUTO_FREE char *text = NULL;

    (void)snprintf(p->dir, sizeof p->dir, "/tmp/quilt-rpc-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->path = mem_printf("%s/socket", p->dir);
    text = mem_printf("unix:%s", p->path);
    *state = p;
    return rpc_listen_parse(text, &p->listen);
}

static int free_place(void **state)
{
    struct place *p = *state;

    (void)unlink(p->path);
    assert_int_equal(rmdir(p->dir), 0);
    rpc_listen_deinit(&p->listen);
    free(p->path);
    free(p);
    return 0;
}

/* Where a listening socket that must not be would be written. */
static int no_fd, no_port;

static void a_stale_socket_file_is_replaced(void **state)
{
    struct place *p = *state;
    struct stat st;
    int fd, port;

    close(make_socket(p->path, false));
    assert_int_equal(rpc_listen_open(&p->listen, &fd, &port), 0);
    assert_int_equal(port, 0);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0660);
    rpc_listen_remove(&p->listen);
    assert_int_equal(access(p->path, F_OK), -1);
    close(fd);
}

static void a_socket_that_somebody_listens_on_is_left_alone(void **state)
{
    struct place *p = *state;
    int fd = make_socket(p->path, true);

    assert_int_equal(rpc_listen_open(&p->listen, &no_fd, &no_port), -EADDRINUSE);
    assert_non_null(strstr(err_text(), "/socket: Address already in use"));
    assert_int_equal(access(p->path, F_OK), 0);
    close(fd);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct place *p = *state;

    assert_int_equal(file_write_atomic(p->path, "x", 1, 0600), 0);
    assert_int_equal(rpc_listen_open(&p->listen, &no_fd, &no_port), -EEXIST);
    assert_int_equal(access(p->path, F_OK), 0);
}

static void a_missing_directory_says_so(void **state)
{
    struct rpc_listen l;

    assert_int_equal(rpc_listen_parse("unix:/nonexistent/socket", &l), 0);
    assert_int_equal(rpc_listen_open(&l, &no_fd, &no_port), -ENOENT);
    assert_string_equal(err_text(),
                        "listen on unix:/nonexistent/socket: No such file or directory");
    rpc_listen_deinit(&l);
}

static void a_taken_port_says_so(void **state)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof addr;
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO_FREE char *text = NULL, *expected = NULL;
    struct rpc_listen l;

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &n), 0);
    text = mem_printf("127.0.0.1:%d", ntohs(addr.sin_port));
    expected = mem_printf("listen on %s: Address already in use", text);
    assert_int_equal(rpc_listen_parse(text, &l), 0);
    assert_int_equal(rpc_listen_open(&l, &no_fd, &no_port), -EADDRINUSE);
    assert_string_equal(err_text(), expected);
    rpc_listen_deinit(&l);
}

static void an_address_of_another_machine_says_so(void **state)
{
    struct rpc_listen l;

    assert_int_equal(rpc_listen_parse("192.0.2.1:1", &l), 0);
    assert_int_equal(rpc_listen_open(&l, &no_fd, &no_port), -EADDRNOTAVAIL);
    assert_string_equal(err_text(), "listen on 192.0.2.1:1: Cannot assign requested address");
    rpc_listen_deinit(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_become_grpcs),
        cmocka_unit_test(over_tls_the_host_is_known_as_it_was_written),
        cmocka_unit_test(wrong_targets_are_refused_in_words),
        cmocka_unit_test(listening_addresses_are_tcp_or_unix),
        cmocka_unit_test_setup_teardown(a_stale_socket_file_is_replaced, new_place, free_place),
        cmocka_unit_test_setup_teardown(a_socket_that_somebody_listens_on_is_left_alone, new_place,
                                        free_place),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_is_left_alone, new_place,
                                        free_place),
        cmocka_unit_test(a_missing_directory_says_so),
        cmocka_unit_test(a_taken_port_says_so),
        cmocka_unit_test(an_address_of_another_machine_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
