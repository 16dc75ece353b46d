/* Whose a socket is, by the kernel's word, on loopback. */
#include "lib/net/owner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/cmocka.h"

/* Both ends of a connection. */
struct pair {
    int listener, client, server;
    struct owner_question question; /* about the client's */
};

static struct sockaddr_in name_of(int fd)
{
    struct sockaddr_in addr = {0};
    socklen_t size = sizeof addr;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    return addr;
}

static void pair_open(struct pair *pair)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    pair->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(pair->listener, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(pair->listener, 1), 0);
    addr = name_of(pair->listener);
    pair->client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(pair->client, (struct sockaddr *)&addr, sizeof addr), 0);
    pair->server = accept(pair->listener, NULL, NULL);
    assert_true(pair->server >= 0);
    pair->question = (struct owner_question){.local_addr = INADDR_LOOPBACK,
                                             .remote_addr = INADDR_LOOPBACK,
                                             .local_port = ntohs(name_of(pair->client).sin_port),
                                             .remote_port = ntohs(addr.sin_port)};
}

static void pair_close(const struct pair *pair)
{
    close(pair->listener);
    close(pair->client);
    close(pair->server);
}

static void a_socket_is_its_makers(void **state)
{
    uint32_t uid = UINT32_MAX;
    struct pair pair;

    pair_open(&pair);
    assert_int_equal(owner_find(&pair.question, &uid), 0);
    assert_int_equal(uid, getuid());
    pair_close(&pair);
}

static void one_that_its_owner_has_closed_is_nobodys(void **state)
{
    uint32_t uid = UINT32_MAX;
    struct pair pair;

    pair_open(&pair);
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    assert_int_equal(owner_find(&pair.question, &uid), -ENOENT);
    assert_int_equal(uid, UINT32_MAX);
    pair_close(&pair);
}

static void one_that_is_not_there_is_nobodys(void **state)
{
    uint32_t uid = UINT32_MAX;
    struct pair pair;

    pair_open(&pair);
    pair.question.remote_port ^= 1;
    assert_int_equal(owner_find(&pair.question, &uid), -ENOENT);
    assert_int_equal(uid, UINT32_MAX);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_is_its_makers),
        cmocka_unit_test(one_that_its_owner_has_closed_is_nobodys),
        cmocka_unit_test(one_that_is_not_there_is_nobodys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
