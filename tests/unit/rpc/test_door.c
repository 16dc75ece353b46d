/* The door, its porter and its guests, without gRPC core: who is let in as what, who is not, and
 * how many. */
#include "lib/rpc/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/keyring_bed.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define HELLO PREFACE SETTINGS
#define HELLO_BYTES (sizeof PREFACE - 1 + sizeof SETTINGS - 1)
#define OTHER_UID 1000
#define WAIT_MS 10000
#define STEP_MS 5
#define INSIDE_MAX 512

struct bed {
    struct loop *loop;
    struct loop_source *timer;
    struct rpc_listen listen;
    struct rpc_tls tls;
    struct rpc_door *door;
    struct keyring_bed *papers; /* NULL: no TLS */
    uint32_t uid;               /* that plain TCP comes from */
    char dir[32];
    int inside[INSIDE_MAX];
    enum rpc_role roles[INSIDE_MAX];
    size_t inside_count;
    int outside[INSIDE_MAX];
    size_t outside_count;
    bool (*is_done)(struct bed *bed);
    int64_t waited_ms;
};

static void let_in(void *data, enum rpc_role role, int fd)
{
    struct bed *bed = data;

    assert_true(bed->inside_count < INSIDE_MAX);
    bed->roles[bed->inside_count] = role;
    bed->inside[bed->inside_count++] = fd;
}

static int find_uid(const struct rpc_ends *ends, uint32_t *ret_uid, void *data)
{
    const struct bed *bed = data;

    if (bed->uid == UINT32_MAX)
        return err_fail(ENOENT, "nobody");
    *ret_uid = bed->uid;
    return 0;
}

static enum rpc_role judge(const struct tls_peer *peer, const struct tls_keyring *own, void *data)
{
    return peer->identity.kind == TLS_KIND_NODE ? RPC_MASTER : RPC_READER;
}

/* ---- the loop, until something is so -------------------------------------------------------- */

static void on_step(void *data)
{
    struct bed *bed = data;

    if (bed->is_done(bed) || (bed->waited_ms += STEP_MS) > WAIT_MS)
        loop_exit(bed->loop, 0);
    else
        loop_timer_set_in(bed->timer, STEP_MS);
}

static void run_until(struct bed *bed, bool (*is_done)(struct bed *bed))
{
    bed->is_done = is_done;
    bed->waited_ms = 0;
    loop_timer_set_in(bed->timer, 0);
    assert_int_equal(loop_run(bed->loop), 0);
    assert_true(is_done(bed));
}

static uint64_t cuts(const struct bed *bed, int end)
{
    return rpc_door_figures(bed->door)->cuts[end];
}

static bool has_let_one_in(struct bed *bed)
{
    return bed->inside_count == 1;
}

/* ---- life ----------------------------------------------------------------------------------- */

static struct bed *open_bed(const char *listen, struct keyring_bed *papers)
{
    struct bed *bed = NEW(struct bed);
    struct rpc_door_config config = {.loop = NULL,
                                     .listen = &bed->listen,
                                     .find_uid = find_uid,
                                     .find_data = bed,
                                     .let_in = let_in,
                                     .data = bed};

    bed->papers = papers;
    if (papers)
        bed->tls = (struct rpc_tls){.files = papers->files, .judge = judge};
    config.tls = papers ? &bed->tls : NULL;
    memcpy(bed->dir, "/tmp/quilt-door-XXXXXX", 23);
    assert_non_null(mkdtemp(bed->dir));
    assert_int_equal(loop_new(&bed->loop), 0);
    config.loop = bed->loop;
    assert_int_equal(loop_add_timer(bed->loop, on_step, bed, &bed->timer), 0);
    if (listen) {
        assert_int_equal(rpc_listen_parse(listen, &bed->listen), 0);
    } else {
        AUTO_FREE char *path = mem_printf("unix:%s/socket", bed->dir);

        assert_int_equal(rpc_listen_parse(path, &bed->listen), 0);
    }
    if (rpc_door_new(&config, &bed->door) < 0)
        fail_msg("%s", err_text());
    return bed;
}

static int on_unix(void **state)
{
    *state = open_bed(NULL, NULL);
    return 0;
}

static int on_tcp(void **state)
{
    *state = open_bed("127.0.0.1:0", NULL);
    return 0;
}

static int on_tls(void **state)
{
    void *papers = NULL;

    (void)keyring_bed_make(&papers);
    *state = open_bed("127.0.0.1:0", papers);
    return 0;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;
    void *papers = bed->papers;

    for (size_t i = 0; i < bed->outside_count; i++)
        close(bed->outside[i]);
    rpc_door_free(bed->door);
    for (size_t i = 0; i < bed->inside_count; i++)
        close(bed->inside[i]);
    rpc_listen_deinit(&bed->listen);
    loop_source_free(bed->timer);
    loop_free(bed->loop);
    assert_int_equal(rmdir(bed->dir), 0);
    if (papers)
        (void)keyring_bed_drop(&papers);
    free(bed);
    return 0;
}

/* ---- clients -------------------------------------------------------------------------------- */

static int connect_to(const struct bed *bed)
{
    struct sockaddr_un near = {.sun_family = AF_UNIX};
    const struct sockaddr_in far = {.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons((uint16_t)rpc_door_port(bed->door))};
    bool is_unix = bed->listen.path != NULL;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r;

    assert_true(fd >= 0);
    if (is_unix)
        memcpy(near.sun_path, bed->listen.path, strlen(bed->listen.path));
    r = is_unix ? connect(fd, (const struct sockaddr *)&near, sizeof near)
                : connect(fd, (const struct sockaddr *)&far, sizeof far);
    assert_int_equal(r, 0);
    return fd;
}

static int come(struct bed *bed, const char *bytes, size_t n)
{
    int fd = connect_to(bed);

    assert_true(bed->outside_count < INSIDE_MAX);
    bed->outside[bed->outside_count++] = fd;
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
    return fd;
}

/* ---- who is let in as what ------------------------------------------------------------------ */

static void who_has_the_sockets_files_is_a_master(void **state)
{
    struct bed *bed = *state;

    (void)come(bed, HELLO, HELLO_BYTES);
    run_until(bed, has_let_one_in);
    assert_int_equal(bed->roles[0], RPC_MASTER); /* the daemon's own user */
}

static void what_the_client_said_first_is_passed_on(void **state)
{
    struct bed *bed = *state;
    char got[HELLO_BYTES + 1];

    (void)come(bed, HELLO, HELLO_BYTES);
    run_until(bed, has_let_one_in);
    assert_int_equal(recv(bed->inside[0], got, sizeof got, 0), HELLO_BYTES);
    assert_memory_equal(got, HELLO, HELLO_BYTES);
}

static void a_client_without_frames_never_gets_in(void **state)
{
    struct bed *bed = *state;

    (void)come(bed, PREFACE, sizeof PREFACE - 1);
    (void)come(bed, HELLO, HELLO_BYTES);
    run_until(bed, has_let_one_in);
    assert_int_equal(rpc_door_figures(bed->door)->connections, 2);
}

static bool has_cut_no_http2(struct bed *bed)
{
    return cuts(bed, PATROL_NO_HTTP2) == 1;
}

static void who_speaks_something_else_is_cut_off(void **state)
{
    struct bed *bed = *state;
    char byte;
    int fd = come(bed, "GET / HTTP/1.1\r\n\r\n", 18);

    run_until(bed, has_cut_no_http2);
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    assert_int_equal(bed->inside_count, 0);
    assert_int_equal(rpc_door_figures(bed->door)->connections, 0);
}

static void plain_tcp_is_whose_uid_it_is(void **state)
{
    static const struct {
        uint32_t uid;
        enum rpc_role role;
    } cases[] = {{0, RPC_MASTER}, {OTHER_UID, RPC_STRANGER}, {UINT32_MAX, RPC_STRANGER}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bed *bed = open_bed("127.0.0.1:0", NULL);
        void *closed = bed;

        bed->uid = cases[i].uid;
        if (bed->uid == (uint32_t)geteuid())
            bed->uid = 0; /* the tester is nobody's master by that */
        (void)come(bed, HELLO, HELLO_BYTES);
        run_until(bed, has_let_one_in);
        assert_int_equal(bed->roles[0], cases[i].role);
        (void)close_bed(&closed);
    }
}

/* ---- how many ------------------------------------------------------------------------------- */

static void forget_inside(struct bed *bed)
{
    while (bed->inside_count > 0)
        close(bed->inside[--bed->inside_count]);
}

/* Ten of 74 were turned away, and then a master is let in. */
static bool has_let_a_master_in(struct bed *bed)
{
    bool are_all_there = cuts(bed, GUEST_TURNED_AWAY) == 10 && bed->inside_count == 64;

    if (bed->uid != 0 && !are_all_there)
        return false;
    if (bed->uid != 0) {
        assert_int_equal(rpc_door_figures(bed->door)->connections, 64);
        bed->uid = 0;
        forget_inside(bed);
        (void)come(bed, HELLO, HELLO_BYTES);
    }
    return bed->inside_count == 1;
}

static void of_one_stranger_there_are_so_many_and_masters_still_come(void **state)
{
    struct bed *bed = *state;

    bed->uid = OTHER_UID;
    for (int i = 0; i < 74; i++)
        (void)come(bed, HELLO, HELLO_BYTES);
    run_until(bed, has_let_a_master_in);
    assert_int_equal(bed->roles[0], RPC_MASTER);
}

static void a_door_that_is_shut_keeps_who_is_inside(void **state)
{
    struct bed *bed = *state;
    char got[4];
    int fd = come(bed, HELLO, HELLO_BYTES);

    run_until(bed, has_let_one_in);
    rpc_door_shut(bed->door);
    assert_int_equal(send(bed->inside[0], "bye", 3, 0), 3);
    rpc_door_free(bed->door);
    bed->door = NULL;
    assert_int_equal(recv(fd, got, sizeof got, 0), 3);
    assert_memory_equal(got, "bye", 3);
}

/* ---- over TLS ------------------------------------------------------------------------------- */

static struct keyring_client client;
static bool is_client_through;

static bool has_shaken_hands_and_is_in(struct bed *bed)
{
    if (!is_client_through && gnutls_handshake(client.session) == 0) {
        is_client_through = true;
        assert_int_equal(gnutls_record_send(client.session, HELLO, HELLO_BYTES), HELLO_BYTES);
    }
    return bed->inside_count == 1;
}

static void visit(struct bed *bed, const char *uri)
{
    const struct keyring_client_order order = {.ca = bed->papers->ca, .uri = uri, .protocol = "h2"};
    int fd = connect_to(bed);

    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    is_client_through = false;
    keyring_client_init(&client, fd, &order);
}

static void over_tls_the_owner_judges_and_bytes_come_in_plain(void **state)
{
    struct bed *bed = *state;
    char got[HELLO_BYTES];

    visit(bed, "spiffe://" CLUSTER "/user/ada");
    run_until(bed, has_shaken_hands_and_is_in);
    assert_int_equal(bed->roles[0], RPC_READER);
    assert_int_equal(recv(bed->inside[0], got, sizeof got, 0), HELLO_BYTES);
    assert_memory_equal(got, HELLO, HELLO_BYTES);
    keyring_client_deinit(&client);
}

static bool has_cut_no_tls(struct bed *bed)
{
    return cuts(bed, GUEST_NO_TLS) == 1;
}

static void plain_http2_is_no_handshake(void **state)
{
    struct bed *bed = *state;

    (void)come(bed, HELLO, HELLO_BYTES);
    run_until(bed, has_cut_no_tls);
    assert_int_equal(bed->inside_count, 0);
}

/* Of a hundred 36 had to go for those that came later; then somebody comes who means it. */
static bool has_let_the_visitor_in(struct bed *bed)
{
    char byte;

    if (cuts(bed, GUEST_TURNED_AWAY) < 36)
        return false;
    if (!client.session) {
        assert_int_equal(rpc_door_figures(bed->door)->connections, 64);
        assert_int_equal(recv(bed->outside[0], &byte, 1, MSG_DONTWAIT), 0); /* the oldest */
        assert_int_equal(recv(bed->outside[99], &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
        visit(bed, NODE_URI);
    }
    return has_shaken_hands_and_is_in(bed);
}

static void who_comes_takes_the_place_of_the_oldest_at_his_handshake(void **state)
{
    struct bed *bed = *state;

    client.session = NULL;
    for (int i = 0; i < 100; i++)
        (void)come(bed, "\x16\x03\x01", 3);
    run_until(bed, has_let_the_visitor_in);
    assert_int_equal(cuts(bed, GUEST_TURNED_AWAY), 37);
    assert_int_equal(bed->roles[0], RPC_MASTER);
    keyring_client_deinit(&client);
}

#define TEST(fn, setup) cmocka_unit_test_setup_teardown(fn, setup, close_bed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_has_the_sockets_files_is_a_master, on_unix),
        TEST(what_the_client_said_first_is_passed_on, on_unix),
        TEST(a_client_without_frames_never_gets_in, on_unix),
        TEST(who_speaks_something_else_is_cut_off, on_unix),
        cmocka_unit_test(plain_tcp_is_whose_uid_it_is),
        TEST(of_one_stranger_there_are_so_many_and_masters_still_come, on_tcp),
        TEST(a_door_that_is_shut_keeps_who_is_inside, on_unix),
        TEST(over_tls_the_owner_judges_and_bytes_come_in_plain, on_tls),
        TEST(plain_http2_is_no_handshake, on_tls),
        TEST(who_comes_takes_the_place_of_the_oldest_at_his_handshake, on_tls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
