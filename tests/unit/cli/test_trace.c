/* Where a packet died: judged from what is broken and from where it was seen; and how it is known.
 */
#include <string.h>

#include "cli/trace/flow.h"
#include "cli/trace/hop.h"
#include "tests/unit/cmocka.h"

#define SENT .was_sent = true
#define SEEN(...) .seen = {__VA_ARGS__}

static const struct {
    const char *end; /* NULL: it arrived, or nothing is known to the contrary */
    const char *why; /* a part of it */
    const char *broken;
    struct journey journey;
} rows[] = {
    {NULL, NULL, NULL, {SENT, .is_answered = true}},
    /* What was answered arrived, whatever looks wrong. */
    {NULL, NULL, "route", {SENT, .is_answered = true}},
    {NULL, NULL, NULL, {.was_sent = false}},
    {"fdb", "broken", "fdb", {.was_sent = false}},
    {"container", "broken", "container", {.was_impossible = true}},
    {"container", "a firewall inside", NULL, {SENT}},
    {"filter", "no other device", NULL, {SENT, SEEN(true)}},
    {"route", "broken", "route", {SENT, SEEN(true)}},
    {"underlay route", "broken", "underlay route", {SENT, SEEN(true)}},
    {"far endpoint", "the other did not", NULL, {SENT, .is_local = true, SEEN(true)}},
    {"fdb", "broken", "fdb", {SENT, SEEN(true, true)}},
    {"underlay route", "did not leave", NULL, {SENT, SEEN(true, true)}},
    {"underlay", "not even", NULL, {SENT, SEEN(true, true, true)}},
    {"underlay", "UDP 4789", NULL, {SENT, SEEN(true, false, true), .answers_host = true}},
    {"far endpoint", "no endpoint", NULL, {SENT, SEEN(true, false, true), .answers_vtep = true}},
    {NULL, NULL, NULL, {SENT, SEEN(true, true, true), .answers_vtep = true, .is_udp = true}},
    {"far endpoint", "ICMP", NULL, {SENT, SEEN(true, true, true, true), .is_refused = true}},
    {"far endpoint",
     "ICMP",
     NULL,
     {SENT, SEEN(true, false, true, true), .is_refused = true, .answers_vtep = true,
      .is_udp = true}},
    {"filter", "its answer", NULL, {SENT, SEEN(true, true, true, true)}},
};

static void the_hop_where_it_died_is_named(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(hops_deinit) struct hops hops = {0};
        AUTO_FREE char *why = NULL;
        const char *end;

        hops_add(&hops, "endpoint", HOP_FINE, mem_strdup("fine"));
        if (rows[i].broken)
            hops_add(&hops, rows[i].broken, HOP_BROKEN, mem_strdup("broken"));
        end = journey_end(&rows[i].journey, &hops, &why);
        if (!end != !rows[i].end || (end && strcmp(end, rows[i].end) != 0))
            fail_msg("row %zu: %s", i, end ? end : "none");
        if (rows[i].why && !strstr(why, rows[i].why))
            fail_msg("row %zu: %s", i, why);
    }
}

static void a_datagram_that_nobody_answers_is_no_failure_and_is_told(void **state)
{
    static const struct journey unanswered = {SENT, SEEN(true, false, true), .answers_vtep = true,
                                              .is_udp = true};
    AUTO_STRBUF struct strbuf out = {0};

    trace_print(&(struct hops){0}, &unanswered, NULL, NULL, &out);
    assert_string_equal(out.data, "\nA packet of ours:\n"
                                  "  left the container\n"
                                  "  left this host inside VXLAN\n"
                                  "  (by the eBPF path, past the overlay's device)\n"
                                  "  was not answered, which a datagram need not be\n");
}

/* 10.42.1.5 -> 10.42.2.7, ICMP echo, id 0x1234. */
#define ECHO 8, 0, 0, 0, 0x12, 0x34, 0, 0
#define REPLY 0, 0, 0, 0, 0x12, 0x34, 0, 0
#define FORTH(protocol) 0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 42, 1, 5, 10, 42, 2, 7
#define BACK(protocol) 0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 42, 2, 7, 10, 42, 1, 5
#define OUTER                                                                                  \
    0x45, 0, 0, 78, 0, 0, 0, 0, 64, 17, 0, 0, 192, 168, 1, 10, 192, 168, 1, 11, 0xc0, 0, 0x12, \
        0xb5, 0, 58, 0, 0, 8, 0, 0, 0, 0, 0, 100, 0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 8, 0

static void a_packet_is_known_again_inside_and_outside(void **state)
{
    static const struct flow icmp = {0x0a2a0105, 0x0a2a0207, 1, 0, 0x1234};
    static const struct flow tcp = {0x0a2a0105, 0x0a2a0207, 6, 80, 40000};
    static const struct {
        const struct flow *flow;
        enum flow_part part;
        bool is_inside;
        size_t n;
        uint8_t packet[96];
    } packets[] = {
        {&icmp, FLOW_REQUEST, false, 28, {FORTH(1), ECHO}},
        {&icmp, FLOW_ANSWER, false, 28, {BACK(1), REPLY}},
        {&icmp, FLOW_OTHER, false, 28, {BACK(1), ECHO}},
        {&icmp, FLOW_OTHER, false, 28, {FORTH(1), 8, 0, 0, 0, 0x12, 0x35}},
        {&icmp, FLOW_OTHER, false, 27, {FORTH(1), ECHO}},
        {&icmp, FLOW_REQUEST, true, 78, {OUTER, FORTH(1), ECHO}},
        {&icmp, FLOW_ANSWER, true, 78, {OUTER, BACK(1), REPLY}},
        {&icmp, FLOW_OTHER, true, 60, {OUTER, FORTH(1), ECHO}},
        {&tcp, FLOW_REQUEST, false, 24, {FORTH(6), 0x9c, 0x40, 0, 80}},
        {&tcp, FLOW_ANSWER, false, 24, {BACK(6), 0, 80, 0x9c, 0x40}},
        {&tcp, FLOW_OTHER, false, 24, {FORTH(6), 0x9c, 0x41, 0, 80}},
        {&tcp, FLOW_OTHER, false, 24, {FORTH(17), 0x9c, 0x40, 0, 80}},
        /* A router says that it cannot be reached. */
        {&tcp,
         FLOW_ERROR,
         false,
         52,
         {BACK(1), 3, 1, 0, 0, 0, 0, 0, 0, FORTH(6), 0x9c, 0x40, 0, 80}},
        {&tcp,
         FLOW_OTHER,
         false,
         52,
         {BACK(1), 3, 1, 0, 0, 0, 0, 0, 0, FORTH(6), 0x9c, 0x41, 0, 80}},
        {&icmp, FLOW_OTHER, false, 0, {0}},
        {&icmp, FLOW_OTHER, false, 28, {0x65}},
    };

    for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
        bool is_inside;
        enum flow_part part =
            flow_recognize(packets[i].flow, packets[i].packet, packets[i].n, 4789, &is_inside);

        if (part != packets[i].part || is_inside != packets[i].is_inside)
            fail_msg("packet %zu: part %d, inside %d", i, (int)part, is_inside);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hop_where_it_died_is_named),
        cmocka_unit_test(a_datagram_that_nobody_answers_is_no_failure_and_is_told),
        cmocka_unit_test(a_packet_is_known_again_inside_and_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
