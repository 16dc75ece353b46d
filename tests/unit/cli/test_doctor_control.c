/* The doctor on the daemons of a node, its control plane, and what they say of themselves. */
#include "tests/unit/cli/doctor_rows.h"

#include <string.h>

#define REVOKED                                                                              \
    "{\"node_id\":\"id\",\"control_plane\":{\"mode\":\"refused\",\"barred\":true,\"error\":" \
    "\"revoked\"},\"problems\":[\"revoked\"]}"
#define OF_CONTROL(members) \
    "{\"node_id\":\"id\",\"problems\":[\"c\"],\"control_plane\":{" members "}}"

static const struct doctor_row rows[] = {
    {.causes = ""},
    {.causes = "agent-away", .has_no_agent = true, .has_no_control = true},
    {.causes = "runtime-away", .is_runtime_away = true},
    {.causes = "not-tried", .is_runtime_unasked = true, .blind = "the runtime was not asked"},
    {.causes = "control-plane-away", .has_no_control = true},
    {.causes = "control-plane-ill", .is_control_ill = true},
    {.causes = "control-plane-untrusted", .is_control_untrusted = true},
    {.causes = "control-plane-untrusted",
     .agent = OF_CONTROL("\"mode\":\"away\",\"untrusted\":true,\"error\":\"another CA\"")},
    {.causes = "control-plane-away",
     .has_no_control = true,
     .agent = OF_CONTROL("\"mode\":\"away\",\"untrusted\":true,\"error\":\"another CA\"")},
    {.causes = "control-plane-error",
     .agent = OF_CONTROL("\"mode\":\"away\",\"error\":\"it answered 500\"")},
    {.causes = "control-plane-error", .is_control_odd = true},
    {.causes = "control-plane-error",
     .is_control_unasked = true,
     .agent = OF_CONTROL("\"mode\":\"away\",\"error\":\"connection refused\"")},
    {.causes = "", .is_control_unasked = true},
    {.causes = "control-plane-refused",
     .agent = "{\"node_id\":\"id\",\"control_plane\":{\"mode\":\"refused\",\"error\":\"another\"},"
              "\"problems\":[\"another\"]}"},
    /* Who was revoked is silent to its peers, which is no fault of the ways. */
    {.causes = "not-let-in", .agent = REVOKED},
    {.causes = "not-let-in", .agent = REVOKED, .path = {SILENT, HOST_ANSWERS}},
    {.causes = "not-let-in", .agent = REVOKED, .path = {NAMED}},
    {.causes = "not-joined", .agent = "{\"node_id\":null}"},
    {.causes = "told told",
     .agent = "{\"node_id\":\"id\",\"problems\":[\"a\"]}",
     .runtime = "{\"problems\":[\"b\"]}"},
    {.causes = "clock-skew",
     .agent = "{\"node_id\":\"id\",\"control_plane\":{\"clock_skew_s\":-6}}"},
    {.causes = "", .cert = {.not_before = 200, .not_after = 1200}},
    {.causes = "certificate", .cert = {.not_before = 100, .not_after = 1200}},
    {.causes = "certificate", .cert = {.not_before = 100, .not_after = 1000}},
    {.causes = "certificate", .cert = {.not_before = 1001, .not_after = 9000}},
    {.causes = "subnets-low",
     .agent = "{\"node_id\":\"id\",\"subnet\":\"10.42.1.0/24\",\"cluster_cidr\":\"10.42.0.0/22\","
              "\"control_plane\":{\"mode\":\"stream\"},\"peers\":[{}],\"problems\":[]}"},
    {.causes = "",
     .agent = "{\"node_id\":\"id\",\"subnet\":\"10.42.1.0/24\",\"cluster_cidr\":\"10.42.0.0/22\","
              "\"control_plane\":{\"mode\":\"stream\"},\"peers\":[],\"problems\":[]}"},
    {.causes = "subnet-changed",
     .agent = "{\"node_id\":\"id\",\"subnet\":\"10.42.4.0/24\",\"problems\":[\"a\"]}"},
    {.causes = "", /* on its way */
     .agent = "{\"node_id\":\"id\",\"subnet\":\"10.42.4.0/24\",\"problems\":[]}",
     .runtime = "{\"subnet\":\"10.42.3.0/24\",\"endpoints\":0,\"addresses_free\":254}"},
    {.causes = "files-low", .open_files = 922},
    {.causes = "", .open_files = 921},
    {.causes = "addresses-low",
     .runtime = "{\"subnet\":\"10.42.1.0/28\",\"endpoints\":13,\"addresses_free\":1}"},
    {.causes = "",
     .runtime = "{\"subnet\":\"10.42.1.0/28\",\"endpoints\":12,\"addresses_free\":2}"},
    {.causes = "fast-path-off",
     .agent = "{\"node_id\":\"id\",\"dataplane\":\"kernel\",\"dataplane_reason\":\"no TCX\"}"},
};

static void each_cause_is_named_and_nothing_else(void **state)
{
    assert_causes(rows, ARRAY_LEN(rows));
}

static char *said_of_away(const struct path *path, bool is_refusing)
{
    AUTO_JSON json_t *agent = doctor_parse(AGENT);
    CLEANUP(findings_deinit) struct findings findings = {0};
    struct path paths[2] = {{.hostname = "node2"}, *path};
    const struct facts f = {.agent = agent,
                            .control_url = "http://c",
                            .control_error = "refused",
                            .is_control_away = true,
                            .is_control_refusing = is_refusing,
                            .paths = paths,
                            .path_count = 2};

    check_control(&f, &findings);
    assert_int_equal(findings.count, 1);
    return mem_strdup(findings.items[0].what);
}

static void that_packets_pass_is_said_only_when_one_has(void **state)
{
    AUTO_FREE char *with = said_of_away(&well_path, true),
                   *without = said_of_away(&(struct path){0}, true),
                   *silent = said_of_away(&well_path, false);

    assert_string_equal(with, "the control plane http://c does not answer: packets pass on, but "
                              "nobody can join or leave");
    assert_string_equal(without,
                        "the control plane http://c does not answer: nobody can join or leave");
    assert_string_equal(silent, "the control plane http://c does not answer: packets pass on, but "
                                "this node hears of no changes, and cannot join or leave");
}

/* It may be well in the eyes of all others. */
static void who_believes_no_control_plane_speaks_for_itself_only(void **state)
{
    AUTO_JSON json_t *agent = doctor_parse(AGENT);
    CLEANUP(findings_deinit) struct findings findings = {0};
    const struct facts f = {.agent = agent,
                            .control_url = "https://c",
                            .control_error = "another CA",
                            .is_control_untrusted = true};

    check_control(&f, &findings);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].what,
                        "what answers at https://c is not believed to be the control plane, and is "
                        "told nothing: this node hears of no changes, and cannot join or leave");
    assert_non_null(strstr(findings.items[0].mend, "if you gave the control plane its certificate "
                                                   "(--tls-cert), renew it;"));
}

static void who_was_never_let_in_is_not_said_to_have_lost_its_peers(void **state)
{
    static const struct {
        const char *agent, *said;
    } cases[] = {
        {REVOKED, "Its peers do not talk to it any more"},
        {"{\"node_id\":null,\"control_plane\":{\"barred\":true,\"error\":\"no such token\"}}",
         "this node is not let in: its access token is no good"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_JSON json_t *agent = doctor_parse(cases[i].agent);
        CLEANUP(findings_deinit) struct findings findings = {0};
        const struct facts f = {.agent = agent};

        check_control(&f, &findings);
        assert_int_equal(findings.count, 1);
        assert_string_equal(findings.items[0].cause, "not-let-in");
        assert_non_null(strstr(findings.items[0].what, cases[i].said));
        assert_int_equal(strstr(findings.items[0].what, "peers") != NULL, i == 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cause_is_named_and_nothing_else),
        cmocka_unit_test(that_packets_pass_is_said_only_when_one_has),
        cmocka_unit_test(who_believes_no_control_plane_speaks_for_itself_only),
        cmocka_unit_test(who_was_never_let_in_is_not_said_to_have_lost_its_peers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
