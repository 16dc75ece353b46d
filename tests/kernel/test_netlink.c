/* Requests, dumps and notifications as such. */
#include "lib/net/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/loop.h"
#include "lib/net/message.h"
#include "lib/net/neigh.h"
#include "lib/net/route.h"
#include "lib/net/socket.h"
#include "tests/kernel/lab.h"

/* ---- answers ---------------------------------------------------------------------------- */

/* A device with so many alternative names that its description is larger than the first buffer. */
static void an_answer_larger_than_the_buffer_is_asked_for_again(void **state)
{
    struct nl *nl = *state;
    size_t room = nl->data_size;
    struct link_info info;
    char name[128];

    lab_do("ip", "link", "add", "d0", "type", "veth", "peer", "name", "p0");
    memset(name, 'n', sizeof name - 1);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name + 100, sizeof name - 100, "%026d", i);
        lab_do("ip", "link", "property", "add", "dev", "d0", "altname", name);
    }
    assert_ok(link_get(nl, "d0", &info));
    assert_string_equal(info.name, "d0");
    assert_true(nl->data_size > room);
}

struct counted {
    int begins;
    int messages;
    int fail_at; /* 0: never */
};

static void count_begin(void *data)
{
    struct counted *c = data;

    c->begins++;
    c->messages = 0;
}

static int count_message(const struct nlmsghdr *message, void *data)
{
    struct counted *c = data;

    c->messages++;
    return c->messages == c->fail_at ? err_fail(ERANGE, "enough") : 0;
}

static int dump_neighbours(struct nl *nl, int ifindex, struct counted *c)
{
    union nl_request request = {0};
    struct ndmsg *header = nl_request_begin(&request.header, RTM_GETNEIGH, 0, sizeof *header);

    header->ndm_family = AF_INET;
    mnl_attr_put_u32(&request.header, NDA_IFINDEX, (uint32_t)ifindex);
    return nl_dump(nl, &request.header, count_begin, count_message, c);
}

static void add_neighbours(struct nl *nl, int ifindex, uint32_t count)
{
    AUTO_NL_BATCH struct nl_batch *batch = nl_batch_new();

    for (uint32_t n = 0; n < count; n++) {
        struct neigh_entry entry = {
            .ifindex = ifindex, .addr = 0x0a000000 + n, .mac = mac_from_ip4(n)};

        neigh_fill_replace(nl_batch_next(batch, NULL), &entry);
    }
    assert_ok(nl_batch_send(nl, batch));
    for (size_t n = 0; n < count; n++)
        assert_int_equal(nl_batch_result(batch, n)->result, 0);
}

/* The rest of a dump has to be read: the kernel refuses another one before. */
static void a_dump_that_its_reader_ends_leaves_the_socket_usable(void **state)
{
    struct counted c = {.fail_at = 3};
    int ifindex = lab_vxlan(*state);

    add_neighbours(*state, ifindex, 2000);
    assert_error(dump_neighbours(*state, ifindex, &c), ERANGE);
    assert_string_equal(err_text(), "enough");
    assert_int_equal(c.messages, 3);
    c = (struct counted){0};
    assert_ok(dump_neighbours(*state, ifindex, &c));
    assert_int_equal(c.begins, 1);
    assert_int_equal(c.messages, 2000);
}

/* Disturbs the first `attempts` attempts of a dump: a device that comes and goes while it is half
 * read makes the kernel mark it as interrupted. */
struct disturbance {
    int attempts;
    int begins;
    bool is_due;
};

static void disturb_begin(void *data)
{
    struct disturbance *d = data;

    d->is_due = d->begins++ < d->attempts;
}

static int disturb(const struct nlmsghdr *message, void *data)
{
    struct disturbance *d = data;

    if (!d->is_due)
        return 0;
    d->is_due = false;
    lab_do("ip", "link", "add", "late", "type", "veth", "peer", "name", "p0");
    lab_do("ip", "link", "del", "late");
    return 0;
}

static int dump_links(struct nl *nl, struct disturbance *d)
{
    union nl_request request = {0};

    (void)nl_request_begin(&request.header, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
    return nl_dump(nl, &request.header, disturb_begin, disturb, d);
}

static void add_devices(int count)
{
    for (int i = 0; i < count; i++) {
        char name[IFNAMSIZ];
        char peer[IFNAMSIZ];

        (void)snprintf(name, sizeof name, "a%d", i);
        (void)snprintf(peer, sizeof peer, "b%d", i);
        lab_do("ip", "link", "add", name, "type", "veth", "peer", "name", peer);
    }
}

static void a_dump_that_was_disturbed_is_asked_again(void **state)
{
    struct disturbance d = {.attempts = 2};

    add_devices(40);
    assert_ok(dump_links(*state, &d));
    assert_int_equal(d.begins, 3);
}

static void a_dump_that_is_disturbed_each_time_gives_up(void **state)
{
    struct disturbance d = {.attempts = 1000};

    add_devices(40);
    assert_error(dump_links(*state, &d), EAGAIN);
    assert_int_equal(d.begins, 16);
}

/* A stranger who knows our port id cannot answer for the kernel. */
static void a_stranger_is_not_listened_to(void **state)
{
    struct nl *nl = *state;
    struct nl *stranger = NULL;
    struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_pid = nl->port_id};
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
    } forged = {.header = {.nlmsg_len = sizeof forged,
                           .nlmsg_type = NLMSG_ERROR,
                           .nlmsg_seq = nl->sequence + 1,
                           .nlmsg_pid = nl->port_id},
                .error = {.error = -EPERM}};
    struct link_info info;

    assert_ok(nl_socket_open(NETLINK_ROUTE, &stranger));
    assert_int_equal(sendto(nl_socket_fd(stranger), &forged, sizeof forged, 0,
                            (struct sockaddr *)&to, sizeof to),
                     sizeof forged);
    assert_ok(link_get(nl, "lo", &info));
    nl_close(stranger);
}

/* ---- notifications ---------------------------------------------------------------------- */

#define MAX_EVENTS 64

struct story {
    struct loop *loop;
    struct nl_monitor *monitor;
    struct loop_source *end;
    struct nl_event events[MAX_EVENTS];
    size_t count;
    void (*then)(struct story *s); /* what the test does once all is heard; NULL: it ends */
    struct nl *nl;
    int ifindex;
};

static void on_event(const struct nl_event *event, void *data)
{
    struct story *s = data;

    if (s->count < MAX_EVENTS)
        s->events[s->count++] = *event;
    loop_timer_set_in(s->end, 0);
}

static void on_end(void *data)
{
    struct story *s = data;
    void (*then)(struct story * s) = s->then;

    s->then = NULL;
    if (then)
        then(s);
    else
        loop_exit(s->loop, 0);
}

static void listen_to(struct story *s)
{
    static const int groups[] = {RTNLGRP_LINK,
                                 RTNLGRP_IPV4_IFADDR,
                                 RTNLGRP_NEIGH,
                                 RTNLGRP_IPV4_ROUTE,
                                 RTNLGRP_IPV4_RULE,
                                 RTNLGRP_IPV4_NETCONF,
                                 0};

    memset(s, 0, sizeof *s);
    assert_ok(loop_new(&s->loop));
    assert_ok(loop_add_timer(s->loop, on_end, s, &s->end));
    assert_ok(nl_monitor_new(s->loop, groups, on_event, s, &s->monitor));
}

static void stop_listening(struct story *s)
{
    nl_monitor_free(s->monitor);
    loop_source_free(s->end);
    loop_free(s->loop);
}

/* The latest of its kind. */
static const struct nl_event *find(const struct story *s, enum nl_event_type type, bool is_removal)
{
    for (size_t i = s->count; i > 0; i--)
        if (s->events[i - 1].type == type && s->events[i - 1].is_removal == is_removal)
            return &s->events[i - 1];
    fail_msg("no event of type %d", (int)type);
    return NULL;
}

static void each_kind_of_change_is_heard(void **state)
{
    int ifindex = lab_vxlan(*state);
    const struct nl_event *event;
    struct story s;

    listen_to(&s);
    lab_do("ip", "addr", "add", "10.42.1.0/32", "dev", "vxlan100");
    lab_do("ip", "neigh", "add", "10.42.2.0", "lladdr", "02:51:0a:2a:02:00", "dev", "vxlan100");
    lab_do("ip", "route", "add", "10.42.2.0/24", "via", "10.42.2.0", "dev", "vxlan100", "onlink",
           "proto", "81");
    lab_do("sysctl", "-q", "-w", "net.ipv4.conf.vxlan100.forwarding=1");
    lab_do("ip", "route", "del", "10.42.2.0/24");
    lab_do("ip", "rule", "add", "to", "192.0.2.1", "lookup", "77");
    lab_do("ip", "rule", "del", "to", "192.0.2.1", "lookup", "77");
    lab_do("ip", "link", "set", "vxlan100", "down");
    assert_int_equal(loop_run(s.loop), 0);
    assert_int_equal(find(&s, NL_EVENT_ADDR, false)->ifindex, ifindex);
    assert_int_equal(find(&s, NL_EVENT_NEIGH, false)->ifindex, ifindex);
    event = find(&s, NL_EVENT_ROUTE, false);
    assert_int_equal(event->protocol, 81);
    assert_int_equal(event->ifindex, ifindex);
    assert_int_equal(find(&s, NL_EVENT_NETCONF, false)->ifindex, ifindex);
    assert_int_equal(find(&s, NL_EVENT_ROUTE, true)->protocol, 81);
    (void)find(&s, NL_EVENT_RULE, false);
    (void)find(&s, NL_EVENT_RULE, true);
    event = find(&s, NL_EVENT_LINK, false);
    assert_int_equal(event->ifindex, ifindex);
    assert_string_equal(event->ifname, "vxlan100");
    assert_false(event->is_own);
    stop_listening(&s);
}

static void forwarding_entries_are_heard_as_neighbours(void **state)
{
    int ifindex = lab_vxlan(*state);
    struct story s;

    listen_to(&s);
    lab_do("bridge", "fdb", "add", "02:51:0a:2a:02:00", "dev", "vxlan100", "dst", "192.0.2.9");
    assert_int_equal(loop_run(s.loop), 0);
    assert_int_equal(find(&s, NL_EVENT_NEIGH, false)->ifindex, ifindex);
    stop_listening(&s);
}

static void own_changes_are_marked(void **state)
{
    struct route_entry entry = {.dst = {0x0a2a0200, 24}, .ifindex = lab_vxlan(*state)};
    struct story s;

    listen_to(&s);
    nl_monitor_ignore(s.monitor, *state);
    assert_ok(route_replace(*state, &entry));
    lab_do("ip", "route", "add", "10.42.3.0/24", "dev", "vxlan100", "proto", "81");
    assert_int_equal(loop_run(s.loop), 0);
    assert_int_equal(s.count, 2);
    assert_true(s.events[0].is_own);
    assert_false(s.events[1].is_own);
    stop_listening(&s);
}

static size_t count_of(const struct story *s, enum nl_event_type type)
{
    size_t count = 0;

    for (size_t i = 0; i < s->count; i++)
        count += s->events[i].type == type;
    return count;
}

static void one_change_after_the_overrun(struct story *s)
{
    struct neigh_entry entry = {.ifindex = s->ifindex, .addr = 0x0b000000, .mac = mac_from_ip4(1)};

    assert_int_equal(count_of(s, NL_EVENT_OVERRUN), 1);
    s->count = 0;
    assert_ok(neigh_replace(s->nl, &entry));
}

static void lost_notifications_are_one_overrun_and_then_all_is_heard_again(void **state)
{
    struct story s;

    listen_to(&s);
    s.nl = *state;
    s.ifindex = lab_vxlan(*state);
    s.then = one_change_after_the_overrun;
    add_neighbours(s.nl, s.ifindex, 20000);
    assert_int_equal(loop_run(s.loop), 0);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.events[0].type, NL_EVENT_NEIGH);
    assert_int_equal(s.events[0].ifindex, s.ifindex);
    stop_listening(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB_TEST(an_answer_larger_than_the_buffer_is_asked_for_again),
        LAB_TEST(a_dump_that_its_reader_ends_leaves_the_socket_usable),
        LAB_TEST(a_dump_that_was_disturbed_is_asked_again),
        LAB_TEST(a_dump_that_is_disturbed_each_time_gives_up),
        LAB_TEST(a_stranger_is_not_listened_to),
        LAB_TEST(each_kind_of_change_is_heard),
        LAB_TEST(forwarding_entries_are_heard_as_neighbours),
        LAB_TEST(own_changes_are_marked),
        LAB_TEST(lost_notifications_are_one_overrun_and_then_all_is_heard_again),
    };

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
