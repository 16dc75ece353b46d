/* The wire types: what is read and written, and what is refused by name. */
#include <string.h>

#include "lib/api/register.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define NEW_TOKEN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define INSTANCE_ID "aaaaaaaa-0000-4000-8000-000000000001"
#define NODE_ID "0b5e1c1e-7f0a-4c53-9a52-1f6de2a1b001"

static const struct api_node sample = {
    .node_id = NODE_ID,
    .hostname = "node1",
    .host_ip = 0xc0a8010a,
    .subnet = {.addr = 0x0a2a0100, .len = 24},
    .cpu_cores = 4,
    .ram_mb = -1,
    .is_up = true,
    .registered_at = 1700000000,
    .last_heartbeat = 1700000005,
};

static const char sample_text[] =
    "{\"node_id\":\"" NODE_ID "\",\"hostname\":\"node1\",\"host_ip\":\"192.168.1.10\","
    "\"subnet\":\"10.42.1.0/24\",\"cpu_cores\":4,\"ram_mb\":null,\"status\":\"up\","
    "\"registered_at\":1700000000,\"last_heartbeat\":1700000005}";

static json_t *parse(const char *text)
{
    json_t *value = NULL;

    assert_int_equal(json_parse(text, strlen(text), &value), 0);
    return value;
}

static void a_node_is_written_with_its_nine_members(void **state)
{
    struct strbuf out AUTO_STRBUF = {0};
    size_t beat = 0;

    api_node_to_json(&sample, &out, &beat);
    assert_string_equal(out.data, sample_text);
    assert_memory_equal(out.data + beat, "1700000005", 10);
}

static void a_node_read_back_is_the_same(void **state)
{
    AUTO_JSON json_t *value = parse(sample_text);
    struct api_node node;

    assert_int_equal(api_node_from_json(value, &node), 0);
    assert_string_equal(node.node_id, sample.node_id);
    assert_string_equal(node.hostname, "node1");
    assert_int_equal(node.host_ip, sample.host_ip);
    assert_true(ip4_prefix_equal(node.subnet, sample.subnet));
    assert_int_equal(node.cpu_cores, 4);
    assert_int_equal(node.ram_mb, -1);
    assert_true(node.is_up);
    assert_int_equal(node.last_heartbeat, 1700000005);
}

static void a_list_names_the_bad_item(void **state)
{
    AUTO_JSON json_t *value = parse("{\"nodes\":[{\"node_id\":\"" NODE_ID "\"}]}");
    struct api_node *nodes = NULL;
    size_t count = 0;

    assert_int_equal(api_node_list_from_json(value, &nodes, &count), -ENOENT);
    assert_string_equal(err_text(), "nodes[0]: hostname: missing");
    assert_null(nodes);
}

static void a_bad_registration_is_refused_by_field(void **state)
{
    static const struct {
        const char *body;
        const char *text;
    } cases[] = {
        {"[]", "must be a JSON object"},
        {"{}", "hostname: missing"},
        {"{\"hostname\":5,\"host_ip\":\"1.2.3.4\"}", "hostname: must be a string"},
        {"{\"hostname\":\"a b\",\"host_ip\":\"1.2.3.4\"}", "hostname: 'a b' is not a host name"},
        {"{\"hostname\":\"a\"}", "host_ip: missing"},
        {"{\"hostname\":\"a\",\"host_ip\":null}", "host_ip: missing"},
        {"{\"hostname\":\"a\",\"host_ip\":\"1.2.3\"}", "host_ip: '1.2.3' is not an IPv4 address"},
        {"{\"hostname\":\"a\",\"host_ip\":\"224.0.0.1\"}",
         "host_ip: must be an address that other hosts can reach"},
        {"{\"hostname\":\"a\",\"host_ip\":\"1.2.3.4\",\"cpu_cores\":\"4\"}",
         "cpu_cores: must be a whole number"},
        {"{\"hostname\":\"a\",\"host_ip\":\"1.2.3.4\",\"ram_mb\":-1}",
         "ram_mb: must be from 0 to 1099511627776"},
        {"{\"hostname\":\"a\",\"host_ip\":\"1.2.3.4\",\"node_id\":\"x\"}",
         "node_id: 'x' is not a UUID"},
        {"{\"hostname\":\"a\",\"host_ip\":\"1.2.3.4\",\"instance_id\":\"x\"}",
         "instance_id: 'x' is not a UUID"},
        {"{\"hostname\":\"a\",\"host_ip\":\"1.2.3.4\",\"home_id\":\"x\"}",
         "home_id: 'x' is not a UUID"},
        {"{\"hostname\":\"a\",\"host_ip\":\"1.2.3.4\",\"new_token\":\"00\"}",
         "new_token: must be 64 hexadecimal digits (lower case)"},
        {"{\"hostname\":\"a\",\"host_ip\":\"1.2.3.4\",\"new_token\":\"" NEW_TOKEN "0\"}",
         "new_token: must be 64 hexadecimal digits (lower case)"},
        {"{\"hostname\":\"a\",\"host_ip\":\"1.2.3.4\",\"subnet\":7}", "subnet: must be a string"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_JSON json_t *body = parse(cases[i].body);
        struct api_register_request request;

        assert_true(api_register_request_from_json(body, &request) < 0);
        assert_string_equal(err_text(), cases[i].text);
    }
}

static void a_registration_survives_the_wire(void **state)
{
    struct api_register_request sent = {.hostname = "n1",
                                        .host_ip = 0x01020304,
                                        .cpu_cores = 2,
                                        .ram_mb = -1,
                                        .node_id = NODE_ID,
                                        .node_token = "abc",
                                        .new_token = NEW_TOKEN,
                                        .instance_id = INSTANCE_ID,
                                        .home_id = NODE_ID,
                                        .subnet = {.addr = 0x0a2a0900, .len = 24}};
    struct api_register_request got;
    AUTO_FREE char *text = NULL;
    AUTO_JSON json_t *body = NULL;

    text = api_register_request_to_json(&sent);
    body = parse(text);
    assert_int_equal(api_register_request_from_json(body, &got), 0);
    assert_string_equal(got.hostname, "n1");
    assert_int_equal(got.host_ip, 0x01020304);
    assert_int_equal(got.cpu_cores, 2);
    assert_int_equal(got.ram_mb, -1);
    assert_string_equal(got.node_id, NODE_ID);
    assert_string_equal(got.node_token, "abc");
    assert_string_equal(got.new_token, NEW_TOKEN);
    assert_string_equal(got.instance_id, INSTANCE_ID);
    assert_string_equal(got.home_id, NODE_ID);
    assert_int_equal(got.subnet.addr, 0x0a2a0900);
    assert_int_equal(got.subnet.len, 24);
}

static void only_the_same_cluster_at_no_earlier_revision_is_believed(void **state)
{
#define A "0b5e1c1e-7f0a-4c53-9a52-1f6de2a1b00a"
#define B "0b5e1c1e-7f0a-4c53-9a52-1f6de2a1b00b"
    static const struct {
        struct api_origin known, told;
        int r;
    } rows[] = {
        {{A, 7}, {A, 7}, 0},       {{A, 7}, {A, 8}, 0},  {{A, 7}, {A, 6}, -ESTALE},
        {{A, 7}, {B, 9}, -ESTALE}, {{"", 7}, {B, 1}, 0}, {{A, 7}, {"", 0}, 0},
        {{A, 0}, {B, 0}, -ESTALE},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(api_origin_check(&rows[i].known, &rows[i].told), rows[i].r);
    assert_int_equal(api_origin_check(&rows[3].known, &rows[3].told), -ESTALE);
    assert_string_equal(err_text(),
                        "the control plane is of cluster " B ", the node belongs to cluster " A);
#undef A
#undef B
}

static void a_first_release_reply_gets_the_default_cluster(void **state)
{
    AUTO_JSON json_t *value = parse("{\"node_id\":\"" NODE_ID "\",\"subnet\":\"10.42.7.0/24\"}");
    struct api_register_reply reply;

    assert_int_equal(api_register_reply_from_json(value, &reply), 0);
    assert_string_equal(reply.node_token, "");
    assert_int_equal(reply.cluster.vni, 100);
    assert_int_equal(reply.cluster.vxlan_port, 4789);
    assert_int_equal(reply.cluster.heartbeat_ms, 10000);
    assert_int_equal(reply.cluster.cidr.addr, 0x0a2a0000);
}

static void a_reply_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *members;
        const char *text;
    } cases[] = {
        {"\"subnet\":\"10.43.0.0/24\"", "subnet: 10.43.0.0/24 is no /24 inside 10.42.0.0/16"},
        {"\"subnet\":\"10.42.1.0/25\"", "subnet: 10.42.1.0/25 is no /24 inside 10.42.0.0/16"},
        {"\"subnet\":\"128.0.0.0/1\",\"cluster_cidr\":\"0.0.0.0/0\",\"node_prefix\":1",
         "cluster_cidr: 0.0.0.0/0 is larger than a /8"},
        {"\"subnet\":\"127.0.1.0/24\",\"cluster_cidr\":\"127.0.0.0/8\"",
         "cluster_cidr: 127.0.0.0/8 holds no addresses that hosts can have"},
        {"\"subnet\":\"10.42.1.0/24\",\"node_token\":\"a\\r\\nb\"",
         "node_token: only printable ASCII without blanks"},
        {"\"subnet\":\"10.42.1.0/24\",\"node_token\":\"a b\"",
         "node_token: only printable ASCII without blanks"},
        {"\"subnet\":\"10.42.1.0/24\",\"vni\":0", "the cluster's settings contradict each other"},
        {"\"subnet\":\"10.42.1.0/24\",\"heartbeat_interval_ms\":1",
         "the cluster's settings contradict each other"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *text = mem_printf("{\"node_id\":\"" NODE_ID "\",%s}", cases[i].members);
        AUTO_JSON json_t *value = parse(text);
        struct api_register_reply reply;

        assert_int_equal(api_register_reply_from_json(value, &reply), -EINVAL);
        assert_string_equal(err_text(), cases[i].text);
    }
}

static void a_reply_survives_the_wire(void **state)
{
    struct api_register_reply sent = {.node_id = NODE_ID,
                                      .node_token = "tok",
                                      .origin = {NODE_ID, 77},
                                      .subnet = {.addr = 0x0a2a0900, .len = 24}};
    struct api_register_reply got;
    AUTO_FREE char *text = NULL;
    AUTO_JSON json_t *value = NULL;

    sent.cluster = api_cluster_default();
    sent.cluster.node_timeout_ms = 3000;
    text = api_register_reply_to_json(&sent);
    value = parse(text);
    assert_int_equal(api_register_reply_from_json(value, &got), 0);
    assert_string_equal(got.node_token, "tok");
    assert_int_equal(got.origin.revision, 77);
    assert_string_equal(got.origin.cluster_id, NODE_ID);
    assert_int_equal(got.cluster.node_timeout_ms, 3000);
    assert_true(ip4_prefix_equal(got.subnet, sent.subnet));
}

static void a_reply_with_impossible_settings_is_refused(void **state)
{
    AUTO_JSON json_t *value = parse("{\"node_id\":\"" NODE_ID
                                    "\",\"subnet\":\"10.42.7.0/24\",\"heartbeat_interval_ms\":0}");
    struct api_register_reply reply;

    assert_int_equal(api_register_reply_from_json(value, &reply), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_written_with_its_nine_members),
        cmocka_unit_test(a_node_read_back_is_the_same),
        cmocka_unit_test(a_list_names_the_bad_item),
        cmocka_unit_test(a_bad_registration_is_refused_by_field),
        cmocka_unit_test(a_registration_survives_the_wire),
        cmocka_unit_test(only_the_same_cluster_at_no_earlier_revision_is_believed),
        cmocka_unit_test(a_first_release_reply_gets_the_default_cluster),
        cmocka_unit_test(a_reply_that_cannot_be_is_refused),
        cmocka_unit_test(a_reply_survives_the_wire),
        cmocka_unit_test(a_reply_with_impossible_settings_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
