/* The judgement of `quiltctl status`: what counts as a problem, and how it reads. */
#include "cli/report.h"

#include <string.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define AGENT_TOP                                                                     \
    "{\"version\":\"0.1.0\",\"node_id\":\"id-2\",\"hostname\":\"node2\",\"host_ip\":" \
    "\"192.168.1.12\",\"subnet\":\"10.42.2.0/24\",\"device\":{\"name\":\"vxlan100\",\"mtu\":1450,"
#define WELL_DEVICE "\"up\":true,\"problem\":\"\"},"
#define TWO_PEERS                                                                                  \
    "\"peers\":[{\"hostname\":\"node1\",\"host_ip\":\"192.168.1.10\",\"subnet\":\"10.42.1.0/24\"," \
    "\"status\":\"up\",\"programmed\":true},"                                                      \
    "{\"hostname\":\"node3\",\"status\":\"down\",\"programmed\":false}],"
#define RUNTIME                                                                                  \
    "{\"version\":\"0.1.0\",\"subnet\":\"10.42.2.0/24\",\"endpoints\":2,\"addresses_free\":252," \
    "\"routes\":1,\"problems\":"

static json_t *parse(const char *text)
{
    json_t *value = NULL;

    if (text && json_parse(text, strlen(text), &value) < 0)
        fail_msg("%s", err_text());
    return value;
}

struct row {
    const char *agent, *agent_error, *runtime, *runtime_error, *control_error;
    const char *problems; /* JSON */
    bool is_control_ill, is_control_unknown, is_runtime_unasked;
    bool is_silent; /* node1 does not answer pings */
    const char *probe_error;
    const char *control_unasked, *cert_error;
    struct report_cert cert; /* zeros: none */
    int64_t now_s;
};

static json_t *report_of(const struct row *row)
{
    AUTO_JSON json_t *agent = parse(row->agent);
    AUTO_JSON json_t *runtime = parse(row->runtime);

    struct ping_target target = {.addr = 0x0a2a0100, .has_answered = !row->is_silent};
    bool is_asked = agent && row->problems && strstr(row->agent, "10.42.1.0/24");

    return report_make(&(struct report_input){
        .targets = &target,
        .target_count = is_asked,
        .probe_error = row->probe_error,
        .agent = agent,
        .agent_error = row->agent_error,
        .runtime = runtime,
        .runtime_error = row->runtime_error,
        .is_runtime_unasked = row->is_runtime_unasked,
        .control_url = row->is_control_unknown ? NULL : "http://192.168.1.10:8080",
        .control_error = row->control_error,
        .is_control_ill = row->is_control_ill,
        .control_unasked = row->control_unasked,
        .cert = row->cert.not_after ? &row->cert : NULL,
        .now_s = row->now_s,
        .cert_error = row->cert_error});
}

static const struct row healthy = {
    .agent = AGENT_TOP WELL_DEVICE
    "\"dataplane\":\"kernel\",\"dataplane_reason\":\"no TCX\"," TWO_PEERS "\"problems\":[]}",
    .runtime = RUNTIME "[]}",
    .problems = "[]"};

static void problems_come_from_every_part_and_each_is_told_once(void **state)
{
    static const struct row rows[] = {
        {.agent_error = "no agent",
         .runtime_error = "no runtime",
         .control_error = "no control",
         .problems = "[\"no agent\",\"no runtime\",\"no control\"]"},
        {.agent = AGENT_TOP WELL_DEVICE TWO_PEERS "\"problems\":[\"a\",\"b\",\"a\"]}",
         .runtime = RUNTIME "[\"b\",\"c\"]}",
         .problems = "[\"a\",\"b\",\"c\"]"},
        /* A peer that is up and not programmed, which the agent did not mention. */
        {.agent = AGENT_TOP WELL_DEVICE
         "\"peers\":[{\"status\":\"up\",\"programmed\":false},{\"status\":\"up\",\"programmed\":"
         "true}],\"problems\":[]}",
         .runtime = RUNTIME "[]}",
         .problems = "[\"1 of 2 peers that are up cannot be reached from here yet; if it stays so, "
                     "look at the agent's log\"]"},
        /* An agent of another version that tells less. */
        {.agent = "{\"node_id\":\"id-2\"}", .runtime = RUNTIME "[]}", .problems = "[]"},
        {.agent = "{\"node_id\":null}",
         .runtime = RUNTIME "[]}",
         .problems = "[\"this node has not joined the mesh yet\"]"},
        {.agent = AGENT_TOP "\"up\":false,\"problem\":null},\"peers\":[],\"problems\":[]}",
         .runtime = RUNTIME "[]}",
         .problems = "[\"the overlay device vxlan100 is not up yet; if it stays so, look at the "
                     "agent's log\"]"},
        /* The mode for development touches nothing, and that is as it should be. */
        {.agent = AGENT_TOP "\"up\":false},\"dataplane\":\"none\",\"problems\":[],"
                            "\"peers\":[{\"status\":\"up\",\"programmed\":false}]}",
         .runtime = RUNTIME "[]}",
         .problems = "[]"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_JSON json_t *report = report_of(&rows[i]);
        AUTO_FREE char *problems = json_to_text(json_object_get(report, "problems"));

        assert_string_equal(problems, rows[i].problems);
        assert_int_equal(report_is_healthy(report), strcmp(rows[i].problems, "[]") == 0);
    }
}

static void a_healthy_node_reads_well(void **state)
{
    AUTO_JSON json_t *report = report_of(&healthy);
    AUTO_STRBUF struct strbuf out = {0};

    assert_true(report_is_healthy(report));
    report_print(report, &out);
    assert_string_equal(
        out.data,
        "PART           STATE  DETAILS\n"
        "node           ok     node2, 192.168.1.12, subnet 10.42.2.0/24, id id-2\n"
        "control plane  ok     http://192.168.1.10:8080\n"
        "agent          ok     version 0.1.0\n"
        "runtime        ok     version 0.1.0, subnet 10.42.2.0/24, 2 endpoints, 252 addresses "
        "free, 1 route\n"
        "device         ok     vxlan100, mtu 1450\n"
        "data path      ok     kernel (no TCX)\n"
        "peers          ok     2 known, 1 up, 1 programmed, 1 answer; down: node3\n"
        "\nThis node is healthy.\n");
}

static void peers_that_packets_are_lost_to_are_shown_and_no_problem(void **state)
{
    static const struct row row = {
        .agent = AGENT_TOP WELL_DEVICE
        "\"peers\":["
        "{\"hostname\":\"node1\",\"status\":\"up\",\"programmed\":true,"
        "\"probe\":{\"underlay_loss\":12,\"overlay_loss\":9}},"
        "{\"hostname\":\"node3\",\"status\":\"up\",\"programmed\":true,"
        "\"probe\":{\"underlay_loss\":0,\"overlay_loss\":5}},"
        "{\"hostname\":\"node4\",\"status\":\"up\",\"programmed\":true,"
        "\"probe\":{\"underlay_loss\":4,\"overlay_loss\":4}},"
        "{\"hostname\":\"node5\",\"status\":\"up\",\"programmed\":true,"
        "\"probe\":{\"underlay_loss\":0,\"overlay_loss\":100}},"
        "{\"hostname\":\"node8\",\"status\":\"up\",\"programmed\":true,"
        "\"probe\":{\"underlay_loss\":100,\"overlay_loss\":30}},"
        "{\"hostname\":\"node6\",\"status\":\"up\",\"programmed\":true,\"probe\":null},"
        "{\"hostname\":\"node7\",\"status\":\"down\",\"programmed\":false,"
        "\"probe\":{\"underlay_loss\":50,\"overlay_loss\":50}}],\"problems\":[]}",
        .runtime = RUNTIME "[]}"};
    AUTO_JSON json_t *report = report_of(&row);
    AUTO_STRBUF struct strbuf out = {0};

    assert_true(report_is_healthy(report));
    report_print(report, &out);
    assert_non_null(strstr(out.data, "peers          ok     7 known, 6 up, 6 programmed, 0 answer; "
                                     "down: node7; lost of the latest probes: node1 12 %, node3 "
                                     "5 %, node8 30 %\n"));
}

static void a_runtime_that_may_not_be_asked_is_no_problem(void **state)
{
    struct row row = healthy;
    AUTO_JSON json_t *report = NULL;
    AUTO_STRBUF struct strbuf out = {0};

    row.runtime = NULL;
    row.runtime_error = "this user may not open the socket; be root";
    row.is_runtime_unasked = true;
    report = report_of(&row);
    assert_true(report_is_healthy(report));
    assert_string_equal(json_string_value(json_object_get(report, "runtime_unasked")),
                        row.runtime_error);
    report_print(report, &out);
    assert_non_null(strstr(out.data, "runtime        unknown  not asked (needs root)\n"));
}

static void a_sick_node_says_what_is_wrong(void **state)
{
    static const struct row row = {
        .agent = AGENT_TOP "\"up\":false,\"problem\":\"vxlan100 is not ours\"},"
                           "\"peers\":[],\"problems\":[\"vxlan100 is not ours: remove it\"]}",
        .runtime_error = "ask the runtime: \x1b[31mrefused",
        .control_error = NULL};
    AUTO_JSON json_t *report = report_of(&row);
    AUTO_STRBUF struct strbuf out = {0};

    report_print(report, &out);
    assert_string_equal(
        out.data, "PART           STATE    DETAILS\n"
                  "node           ok       node2, 192.168.1.12, subnet 10.42.2.0/24, id id-2\n"
                  "control plane  ok       http://192.168.1.10:8080\n"
                  "agent          ok       version 0.1.0\n"
                  "runtime        PROBLEM  does not answer\n"
                  "device         PROBLEM  vxlan100 is not ours\n"
                  "peers          ok       0 known, 0 up, 0 programmed, 0 answer\n"
                  "\nProblems:\n"
                  "  - ask the runtime: \\u001b[31mrefused\n"
                  "  - vxlan100 is not ours: remove it\n");
}

static void what_the_firewall_dropped_is_told_and_is_no_problem(void **state)
{
    static const struct row row = {
        .agent = AGENT_TOP WELL_DEVICE TWO_PEERS "\"problems\":[]}",
        .runtime = "{\"dropped\":{\"forged_mac\":20,\"vxlan_of_container\":3},\"problems\":[]}"};
    AUTO_JSON json_t *report = report_of(&row);
    AUTO_STRBUF struct strbuf out = {0};

    report_print(report, &out);
    assert_true(report_is_healthy(report));
    assert_non_null(strstr(out.data, "firewall       ok     dropped: forged_mac 20, "
                                     "vxlan_of_container 3\n"));
}

static void whether_the_kernel_path_has_its_short_cut_is_told_and_is_no_problem(void **state)
{
    static const struct {
        const char *told, *line;
    } rows[] = {
        {"\"short_cut\":true,\"short_cut_reason\":\"\",", "short cut      ok     on\n"},
        {"\"short_cut\":false,\"short_cut_reason\":\"--conntrack all\",",
         "short cut      ok     off (--conntrack all)\n"},
        {"\"short_cut\":null,\"short_cut_reason\":\"\",", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE char *runtime = mem_printf("{%s\"problems\":[]}", rows[i].told);
        const struct row row = {.agent = AGENT_TOP WELL_DEVICE TWO_PEERS "\"problems\":[]}",
                                .runtime = runtime};
        AUTO_JSON json_t *report = report_of(&row);
        AUTO_STRBUF struct strbuf out = {0};

        report_print(report, &out);
        assert_true(report_is_healthy(report));
        assert_non_null(strstr(out.data, rows[i].line ? rows[i].line : "peers "));
        assert_int_equal(strstr(out.data, "short cut") != NULL, rows[i].line != NULL);
    }
}

static void a_list_that_cannot_be_asked_for_is_said_to_be_stale(void **state)
{
    static const struct row row = {
        .agent = AGENT_TOP WELL_DEVICE TWO_PEERS
        "\"control_plane\":{\"last_contact_s\":312,\"error\":\"heartbeat: refused\"},"
        "\"problems\":[\"control plane: heartbeat: refused\"]}",
        .runtime = RUNTIME "[]}",
        .control_error = "ask the control plane: refused"};
    AUTO_JSON json_t *report = report_of(&row);
    AUTO_STRBUF struct strbuf out = {0};

    report_print(report, &out);
    assert_non_null(strstr(out.data, "control plane  PROBLEM  http://192.168.1.10:8080 does not "
                                     "answer, the list of nodes has been stale for 312 s\n"));
}

static void only_peers_that_are_up_and_programmed_are_pinged(void **state)
{
    AUTO_JSON json_t *agent = parse(healthy.agent);
    AUTO_JSON json_t *dry = parse("{\"dataplane\":\"none\",\"peers\":[{\"subnet\":\"10.42.1.0/24\","
                                  "\"status\":\"up\",\"programmed\":true}]}");
    size_t count;
    AUTO_FREE struct ping_target *targets = report_ping_targets(agent, &count);
    AUTO_FREE struct ping_target *none = NULL;

    assert_int_equal(count, 1);
    assert_int_equal(targets[0].addr, 0x0a2a0100);
    none = report_ping_targets(dry, &count);
    assert_int_equal(count, 0);
}

static void a_peer_that_does_not_answer_pings_is_a_problem(void **state)
{
    struct row row = healthy;
    AUTO_JSON json_t *report = NULL;
    AUTO_STRBUF struct strbuf out = {0};

    row.is_silent = true;
    report = report_of(&row);
    assert_false(report_is_healthy(report));
    report_print(report, &out);
    assert_non_null(strstr(
        out.data, "peers          PROBLEM  2 known, 1 up, 1 programmed, 0 answer; down: node3\n"));
    assert_non_null(strstr(out.data, "  - node1 (192.168.1.10) does not answer over the overlay"));
    assert_non_null(strstr(out.data, "UDP 4789"));
}

static void without_the_right_to_ping_nothing_is_claimed(void **state)
{
    struct row row = healthy;
    AUTO_JSON json_t *report = NULL;
    AUTO_STRBUF struct strbuf out = {0};

    row.is_silent = true;
    row.probe_error = "not permitted";
    report = report_of(&row);
    assert_true(report_is_healthy(report));
    report_print(report, &out);
    assert_non_null(strstr(out.data, "1 programmed, not pinged (not permitted); down: node3\n"));
}

static void assert_says(const struct row *row, bool is_healthy, const char *line, const char *words)
{
    AUTO_JSON json_t *report = report_of(row);
    AUTO_STRBUF struct strbuf out = {0};

    assert_int_equal(report_is_healthy(report), is_healthy);
    report_print(report, &out);
    if (!strstr(out.data, line) || !strstr(out.data, words))
        fail_msg("%s", out.data);
}

#define DAY (24LL * 3600)

static void a_certificate_is_judged_by_how_much_of_its_life_is_left(void **state)
{
    static const struct {
        int64_t now; /* it is good from 1000 days to 1030 */
        bool is_healthy;
        const char *line, *words;
    } rows[] = {
        {1001 * DAY, true, "certificate    ok     good for 29d\n", "healthy"},
        {1024 * DAY, true, "certificate    ok     good for 6d\n", "healthy"},
        {1024 * DAY + 1, false, "certificate    PROBLEM  good for 5d\n",
         "  - this node's certificate expires in 5d and has not been renewed; look at the agent's "
         "log\n"},
        {1030 * DAY - 90, false, "certificate    PROBLEM  good for 90s\n", "expires in 90s and"},
        {1030 * DAY, false, "certificate    PROBLEM  good for 0s\n", "certificate expired now; "},
        {1033 * DAY, false, "certificate    PROBLEM  expired 3d ago\n",
         "  - this node's certificate expired 3d ago; the agent gets another one"},
        {999 * DAY, false, "certificate    PROBLEM  good for 31d\n",
         "  - this node's certificate is not valid for another 24h: is the clock right?\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct row row = healthy;

        row.cert = (struct report_cert){.not_before = 1000 * DAY, .not_after = 1030 * DAY};
        row.now_s = rows[i].now;
        assert_says(&row, rows[i].is_healthy, rows[i].line, rows[i].words);
    }
}

static void without_root_the_agent_tells_when_the_certificate_ends_and_what_it_shows(void **state)
{
    struct row row = healthy;

    row.agent = AGENT_TOP WELL_DEVICE "\"peers\":[],\"problems\":[],\"tls\":{\"shows\":\"the "
                                      "certificate\",\"certificate_expires_at\":864000}}";
    row.now_s = 1 * DAY;
    assert_says(&row, true, "certificate    ok     good for 9d\n", "healthy");
    row.now_s = 10 * DAY;
    assert_says(&row, false, "certificate    PROBLEM  good for 0s\n", "expired now");
    row.agent = AGENT_TOP WELL_DEVICE "\"peers\":[],\"problems\":[],\"tls\":{\"shows\":\"the "
                                      "node's token\",\"certificate_expires_at\":864000}}";
    row.now_s = 9 * DAY;
    assert_says(&row, true, "ok     good for 24h, the agent shows the node's token\n", "healthy");
    row.agent = AGENT_TOP WELL_DEVICE "\"peers\":[],\"problems\":[],\"tls\":{\"shows\":\"nothing\","
                                      "\"certificate_expires_at\":null}}";
    assert_says(&row, true, "device         ok", "healthy");
}

static void a_certificate_that_cannot_be_read_is_a_problem(void **state)
{
    struct row row = healthy;

    row.cert_error = "/var/lib/quilt-mesh/tls/node.pem: not a certificate in PEM";
    assert_says(&row, false, "peers          ok", "  - /var/lib/quilt-mesh/tls/node.pem: not a");
}

static void a_control_plane_that_nobody_has_named_is_no_problem(void **state)
{
    static const struct row row = {
        .agent_error = "no agent", .runtime = RUNTIME "[]}", .is_control_unknown = true};

    assert_says(
        &row, false,
        "control plane  unknown  the agent knows where it is; --control-plane URL names it\n",
        "\nProblems:\n  - no agent\n");
}

static void a_control_plane_that_could_not_be_asked_is_no_problem(void **state)
{
    struct row row = healthy;

    row.control_unasked = "for root";
    assert_says(&row, true,
                "control plane  ok     http://192.168.1.10:8080, not asked (needs root)\n",
                "healthy");
}

static void what_the_agent_says_of_the_control_plane_shows_when_it_was_not_asked(void **state)
{
    static const struct row row = {.agent = AGENT_TOP WELL_DEVICE
                                   "\"peers\":[],\"control_plane\":{\"error\":\"refused\"},"
                                   "\"problems\":[\"control plane: refused\"]}",
                                   .runtime = RUNTIME "[]}",
                                   .control_unasked = "for root"};

    assert_says(&row, false, "http://192.168.1.10:8080, the agent has trouble\n",
                "  - control plane: refused\n");
}

static void a_control_plane_that_answers_that_it_is_ill_is_not_said_to_be_silent(void **state)
{
    static const struct row row = {.agent = AGENT_TOP WELL_DEVICE TWO_PEERS "\"problems\":[]}",
                                   .runtime = RUNTIME "[]}",
                                   .control_error = "ask the control plane: no room",
                                   .is_control_ill = true};

    assert_says(&row, false, "PROBLEM  http://192.168.1.10:8080 answers that it is not well\n",
                "  - ask the control plane: no room\n");
}

static void a_node_that_is_none_any_more_is_a_problem(void **state)
{
    static const struct row row = {.agent = AGENT_TOP WELL_DEVICE
                                   "\"peers\":[],\"control_plane\":{\"barred\":true},"
                                   "\"problems\":[\"control plane: register: revoked\"]}",
                                   .runtime = RUNTIME "[]}"};

    assert_says(&row, false, "node           PROBLEM  removed or revoked: node2, 192.168.1.12, ",
                "  - control plane: register: revoked\n");
}

static void the_json_has_the_same_members_whatever_answers(void **state)
{
    static const char *const members[] = {"healthy", "problems", "control_plane",   "certificate",
                                          "agent",   "runtime",  "runtime_unasked", "overlay_ping"};
    static const struct row nothing = {
        .agent_error = "a", .runtime_error = "b", .control_error = "c"};
    AUTO_JSON json_t *well = report_of(&healthy);
    AUTO_JSON json_t *sick = report_of(&nothing);

    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        assert_non_null(json_object_get(well, members[i]));
        assert_non_null(json_object_get(sick, members[i]));
    }
    assert_true(json_is_null(json_object_get(sick, "agent")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems_come_from_every_part_and_each_is_told_once),
        cmocka_unit_test(a_healthy_node_reads_well),
        cmocka_unit_test(peers_that_packets_are_lost_to_are_shown_and_no_problem),
        cmocka_unit_test(a_runtime_that_may_not_be_asked_is_no_problem),
        cmocka_unit_test(a_sick_node_says_what_is_wrong),
        cmocka_unit_test(what_the_firewall_dropped_is_told_and_is_no_problem),
        cmocka_unit_test(whether_the_kernel_path_has_its_short_cut_is_told_and_is_no_problem),
        cmocka_unit_test(a_list_that_cannot_be_asked_for_is_said_to_be_stale),
        cmocka_unit_test(a_control_plane_that_answers_that_it_is_ill_is_not_said_to_be_silent),
        cmocka_unit_test(only_peers_that_are_up_and_programmed_are_pinged),
        cmocka_unit_test(a_peer_that_does_not_answer_pings_is_a_problem),
        cmocka_unit_test(without_the_right_to_ping_nothing_is_claimed),
        cmocka_unit_test(a_certificate_is_judged_by_how_much_of_its_life_is_left),
        cmocka_unit_test(without_root_the_agent_tells_when_the_certificate_ends_and_what_it_shows),
        cmocka_unit_test(a_certificate_that_cannot_be_read_is_a_problem),
        cmocka_unit_test(a_control_plane_that_nobody_has_named_is_no_problem),
        cmocka_unit_test(a_control_plane_that_could_not_be_asked_is_no_problem),
        cmocka_unit_test(what_the_agent_says_of_the_control_plane_shows_when_it_was_not_asked),
        cmocka_unit_test(a_node_that_is_none_any_more_is_a_problem),
        cmocka_unit_test(the_json_has_the_same_members_whatever_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
