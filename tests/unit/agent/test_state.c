/* What the agent remembers: what comes back, and what does not. */
#include <stdio.h>
#include <string.h>

#include "agent/state.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define NEW_TOKEN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct agent_state make_state(unsigned int peers)
{
    struct agent_state state = {
        .new_token = NEW_TOKEN,
        .access_token = "abcd0123",
        .ca_pins = {.items = {{{1, 2, 3}}, {{4, 5, 6}}}, .count = 2},
        .identity = {.node_id = "11111111-2222-4333-8444-555555555555",
                     .subnet = {.addr = 0x0a2a0100, .len = 24},
                     .node_token = "aa55",
                     .cluster = api_cluster_default(),
                     .origin = {"22222222-2222-4333-8444-555555555555", 7}},
        .host_ip = 0xc0a8010b,
        .peers = mem_zalloc((peers + 1) * sizeof *state.peers),
        .peer_count = peers,
        .found = mem_zalloc(sizeof *state.found),
        .found_count = 1,
    };

    state.found[0] = (struct agent_found){"00000000-0000-4000-8000-000000000000", 1400};
    for (unsigned int i = 0; i < peers; i++) {
        struct api_node *node = &state.peers[i];

        *node = (struct api_node){.host_ip = 0xc0a80114 + i,
                                  .subnet = {.addr = 0x0a2a0200 + i * 256, .len = 24},
                                  .cpu_cores = -1,
                                  .ram_mb = 2048,
                                  .is_up = i % 2 == 0,
                                  .registered_at = 1700000000,
                                  .last_heartbeat = 1700000001};
        (void)snprintf(node->node_id, sizeof node->node_id, "00000000-0000-4000-8000-%012u", i);
        (void)snprintf(node->hostname, sizeof node->hostname, "host%u", i);
    }
    return state;
}

static void assert_same(const struct agent_state *a, const struct agent_state *b)
{
    assert_string_equal(a->new_token, b->new_token);
    assert_string_equal(a->access_token, b->access_token);
    assert_int_equal(a->ca_pins.count, b->ca_pins.count);
    assert_memory_equal(&a->ca_pins.items, &b->ca_pins.items, sizeof a->ca_pins.items);
    assert_string_equal(a->identity.node_id, b->identity.node_id);
    assert_string_equal(a->identity.node_token, b->identity.node_token);
    assert_true(ip4_prefix_equal(a->identity.subnet, b->identity.subnet));
    assert_int_equal(a->identity.cluster.vni, b->identity.cluster.vni);
    assert_int_equal(a->identity.cluster.peer_sync_ms, b->identity.cluster.peer_sync_ms);
    assert_int_equal(a->identity.origin.revision, b->identity.origin.revision);
    assert_string_equal(a->identity.origin.cluster_id, b->identity.origin.cluster_id);
    assert_int_equal(a->host_ip, b->host_ip);
    assert_int_equal(a->peer_count, b->peer_count);
    assert_int_equal(a->found_count, b->found_count);
    for (size_t i = 0; i < a->found_count; i++) {
        assert_string_equal(a->found[i].node_id, b->found[i].node_id);
        assert_int_equal(a->found[i].bytes, b->found[i].bytes);
    }
    for (size_t i = 0; i < a->peer_count; i++) {
        assert_string_equal(a->peers[i].node_id, b->peers[i].node_id);
        assert_string_equal(a->peers[i].hostname, b->peers[i].hostname);
        assert_int_equal(a->peers[i].host_ip, b->peers[i].host_ip);
        assert_true(ip4_prefix_equal(a->peers[i].subnet, b->peers[i].subnet));
        assert_int_equal(a->peers[i].is_up, b->peers[i].is_up);
        assert_int_equal(a->peers[i].ram_mb, b->peers[i].ram_mb);
    }
}

static json_t *parse(const char *text)
{
    json_t *value;

    assert_int_equal(json_parse(text, strlen(text), &value), 0);
    return value;
}

static void what_was_written_is_read(void **state)
{
    const unsigned int counts[] = {0, 1, 2, 300};

    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct agent_state before = make_state(counts[i]), after;
        AUTO_FREE char *text = agent_state_to_json(&before);
        AUTO_JSON json_t *content = parse(text);

        assert_int_equal(agent_state_from_json(content, &after), 0);
        assert_same(&before, &after);
        agent_state_deinit(&before);
        agent_state_deinit(&after);
    }
}

static void assert_refused(const char *text, const char *word)
{
    struct agent_state untouched = {.host_ip = 7};
    AUTO_JSON json_t *content = parse(text);

    assert_int_equal(agent_state_from_json(content, &untouched), -EINVAL);
    assert_int_equal(untouched.host_ip, 7);
    assert_non_null(strstr(err_text(), word));
}

static void what_is_missing_or_of_another_format_is_named(void **state)
{
    assert_refused("{}", "format");
    assert_refused("{\"format\":2}", "format");
    assert_refused("{\"format\":1}", "host_ip");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.300\"}", "host_ip");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.3\"}", "peers");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.3\",\"new_token\":\"x\"}", "new_token");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.3\",\"new_token\":1}", "new_token");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.3\",\"access_token\":\"123456789\"}",
                   "access_token");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.3\",\"ca_pins\":1}", "ca_pins");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.3\",\"ca_pins\":[7]}", "ca_pins[0]");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.3\",\"ca_pins\":[\"abc\"]}",
                   "ca_pins[0]");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.3\",\"ca_pins\":"
                   "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}",
                   "ca_pins: more than 16");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.3\",\"identity\":1}", "object");
    assert_refused("{\"format\":1,\"host_ip\":\"192.168.1.3\",\"identity\":{}}", "node_id");
}

static void a_node_that_has_not_registered_yet_has_its_token_and_no_identity(void **state)
{
    const struct agent_state before = {.new_token = NEW_TOKEN};
    struct agent_state after;
    AUTO_FREE char *text = agent_state_to_json(&before);
    AUTO_JSON json_t *content = parse(text);

    assert_null(strstr(text, "identity"));
    assert_int_equal(agent_state_from_json(content, &after), 0);
    assert_string_equal(after.new_token, NEW_TOKEN);
    assert_string_equal(after.identity.node_id, "");
    assert_int_equal(after.identity.cluster.heartbeat_ms, 10000);
    agent_state_deinit(&after);
}

static void a_file_of_before_there_were_such_tokens_is_read(void **state)
{
    AUTO_JSON json_t *content = parse("{\"format\":1,\"host_ip\":\"192.168.1.3\",\"peers\":[]}");
    struct agent_state after;

    assert_int_equal(agent_state_from_json(content, &after), 0);
    assert_string_equal(after.new_token, "");
    assert_string_equal(after.access_token, "");
    assert_int_equal(after.ca_pins.count, 0);
    agent_state_deinit(&after);
}

static void one_bad_peer_spoils_all(void **state)
{
    struct agent_state before = make_state(2);
    AUTO_FREE char *text = agent_state_to_json(&before);
    char *last = strstr(text, "host1");

    assert_non_null(last);
    last[0] = ' ';
    assert_refused(text, "peer 1");
    agent_state_deinit(&before);
}

static void a_change_is_read_as_it_was_written_and_is_one_line(void **state)
{
    struct agent_state of = make_state(2);
    const char *gone[] = {"33333333-2222-4333-8444-555555555555"};
    const struct agent_change before = {
        .revision = 17, .peers = of.peers, .peer_count = 2, .gone = gone, .gone_count = 1};
    AUTO_FREE char *text = agent_change_to_json(&before);
    AUTO_JSON json_t *record = parse(text);
    struct agent_change after;

    assert_null(strchr(text, '\n'));
    assert_int_equal(agent_change_from_json(record, &after), 0);
    assert_int_equal(after.revision, 17);
    assert_int_equal(after.peer_count, 2);
    assert_string_equal(after.peers[1].hostname, "host1");
    assert_int_equal(after.peers[1].host_ip, 0xc0a80115);
    assert_int_equal(after.gone_count, 1);
    assert_string_equal(after.gone[0], gone[0]);
    agent_change_deinit(&after);
    agent_state_deinit(&of);
}

static void a_change_that_is_none_is_refused(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"revision\":-1,\"peers\":[],\"gone\":[]}",
        "{\"revision\":1,\"gone\":[]}",
        "{\"revision\":1,\"peers\":[{}],\"gone\":[]}",
        "{\"revision\":1,\"peers\":[]}",
        "{\"revision\":1,\"peers\":[],\"gone\":[7]}",
        "{\"revision\":1,\"peers\":[],\"gone\":[\"x\"]}",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO_JSON json_t *record = parse(texts[i]);
        struct agent_change change;

        assert_int_equal(agent_change_from_json(record, &change), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_read_as_it_was_written_and_is_one_line),
        cmocka_unit_test(a_change_that_is_none_is_refused),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(what_is_missing_or_of_another_format_is_named),
        cmocka_unit_test(a_node_that_has_not_registered_yet_has_its_token_and_no_identity),
        cmocka_unit_test(a_file_of_before_there_were_such_tokens_is_read),
        cmocka_unit_test(one_bad_peer_spoils_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
