/* The prober's sockets: one that could not be had is tried again. On loopback. */
#include "agent/probe/prober.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/api/mesh.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

/* 127.18.4.1 and 127.18.4.2: nobody else's. */
#define HOST_IP 0x7f120401
#define VTEP 0x7f120402

#define PEER_IP 0x7f120403
#define DEADLINE_MS 5000

struct fixture {
    struct loop *loop;
    struct loop_source *deadline, *poll;
    struct prober *prober;
    int taken; /* the socket of another process, or so it seems */
    int peer;  /* that of a peer's agent */
};

static int open_port(uint32_t addr)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(MESH_PROBE_PORT), .sin_addr.s_addr = htonl(addr)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void give_back(struct fixture *f)
{
    cleanup_close(&f->taken);
    f->taken = -1;
}

static void on_nothing(void *unused)
{
}

static void on_deadline(void *data)
{
    fail_msg("nothing was tried again");
}

static void on_probe(void *data, uint32_t events)
{
    struct fixture *f = data;

    loop_exit(f->loop, 0);
}

/* That of ICMP is this host's affair. */
static bool has_udp_problem(const struct fixture *f, const char *addr)
{
    const char *problem = prober_problem(f->prober);

    return problem && strstr(problem, "open UDP port 9180 on ") && strstr(problem, addr);
}

static void on_poll(void *data)
{
    struct fixture *f = data;

    if (has_udp_problem(f, ""))
        loop_timer_set_in(f->poll, 10);
    else
        loop_exit(f->loop, 0);
}

static void start(struct fixture *f)
{
    const struct prober_config config = {
        .loop = f->loop, .host_ip = HOST_IP, .changed = on_nothing, .sized = on_nothing};

    assert_int_equal(prober_new(&config, &f->prober), 0);
}

static int make(void **ret)
{
    struct fixture *f = NEW(struct fixture);

    f->taken = -1;
    f->peer = open_port(PEER_IP);
    *ret = f;
    assert_int_equal(loop_new(&f->loop), 0);
    assert_int_equal(loop_add_timer(f->loop, on_poll, f, &f->poll), 0);
    return loop_add_timer(f->loop, on_deadline, f, &f->deadline);
}

static int drop(void **state)
{
    struct fixture *f = *state;

    cleanup_close(&f->taken);
    cleanup_close(&f->peer);
    prober_free(f->prober);
    loop_source_free(f->poll);
    loop_source_free(f->deadline);
    loop_free(f->loop);
    free(f);
    return 0;
}

static void set_peer(struct fixture *f)
{
    struct probe_target *targets = mem_array(1, sizeof *targets);

    targets[0] = (struct probe_target){.host_ip = PEER_IP, .vtep = PEER_IP + 1, .node_id = "peer"};
    prober_set_peers(f->prober, VTEP, targets, 1);
}

static void wait_for_probe(struct fixture *f)
{
    struct loop_source *source;

    assert_int_equal(loop_add_io(f->loop, f->peer, EPOLLIN, on_probe, f, &source), 0);
    loop_timer_set_in(f->deadline, DEADLINE_MS);
    assert_int_equal(loop_run(f->loop), 0);
    loop_source_free(source);
}

static void wait_for_sockets(struct fixture *f)
{
    loop_timer_set_in(f->poll, 0);
    loop_timer_set_in(f->deadline, DEADLINE_MS);
    assert_int_equal(loop_run(f->loop), 0);
}

static void a_taken_port_of_the_host_is_tried_again(void **state)
{
    struct fixture *f = *state;

    f->taken = open_port(HOST_IP);
    start(f);
    assert_true(has_udp_problem(f, "127.18.4.1"));
    set_peer(f);
    assert_true(has_udp_problem(f, "127.18.4.1"));
    give_back(f);
    wait_for_probe(f);
    assert_false(has_udp_problem(f, ""));
}

static void a_taken_port_of_the_vtep_is_tried_again(void **state)
{
    struct fixture *f = *state;

    f->taken = open_port(VTEP);
    start(f);
    assert_false(has_udp_problem(f, ""));
    set_peer(f);
    assert_true(has_udp_problem(f, "127.18.4.2"));
    give_back(f);
    wait_for_sockets(f);
    assert_false(has_udp_problem(f, ""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(a_taken_port_of_the_host_is_tried_again),
        TEST(a_taken_port_of_the_vtep_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
