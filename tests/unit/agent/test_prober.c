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

struct fixture {
    struct loop *loop;
    struct prober *prober;
    int taken; /* the socket of another process, or so it seems */
};

static void take_port(struct fixture *f, uint32_t addr)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(MESH_PROBE_PORT), .sin_addr.s_addr = htonl(addr)};

    f->taken = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(f->taken >= 0);
    assert_int_equal(bind(f->taken, (const struct sockaddr *)&at, sizeof at), 0);
}

static void on_nothing(void *unused)
{
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
    *ret = f;
    return loop_new(&f->loop);
}

static int drop(void **state)
{
    struct fixture *f = *state;

    cleanup_close(&f->taken);
    prober_free(f->prober);
    loop_free(f->loop);
    free(f);
    return 0;
}

static void set_no_peers(struct fixture *f)
{
    prober_set_peers(f->prober, VTEP, mem_array(1, sizeof(struct probe_target)), 0);
}

/* That of ICMP is this host's affair. */
static bool has_udp_problem(const struct fixture *f, const char *addr)
{
    const char *problem = prober_problem(f->prober);

    return problem && strstr(problem, "open UDP port 9180 on ") && strstr(problem, addr);
}

static void a_taken_port_of_the_host_is_tried_again(void **state)
{
    struct fixture *f = *state;

    take_port(f, HOST_IP);
    start(f);
    assert_true(has_udp_problem(f, "127.18.4.1"));
    assert_false(prober_drop_peer(f->prober, 0x0a2a0200)); /* all are to be set */
    set_no_peers(f);
    assert_true(has_udp_problem(f, "127.18.4.1"));
    cleanup_close(&f->taken);
    f->taken = -1;
    set_no_peers(f);
    assert_false(has_udp_problem(f, ""));
}

static void a_taken_port_of_the_vtep_is_tried_again(void **state)
{
    struct fixture *f = *state;

    take_port(f, VTEP);
    start(f);
    assert_false(has_udp_problem(f, ""));
    set_no_peers(f);
    assert_true(has_udp_problem(f, "127.18.4.2"));
    set_no_peers(f);
    assert_true(has_udp_problem(f, "127.18.4.2"));
    cleanup_close(&f->taken);
    f->taken = -1;
    set_no_peers(f);
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
