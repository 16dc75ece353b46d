/* What heartbeats are answered, read. */
#include "lib/api/heartbeat.h"

#include <string.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static json_t *parse(const char *text)
{
    json_t *value;

    assert_int_equal(json_parse(text, strlen(text), &value), 0);
    return value;
}

static void an_answer_survives_the_wire(void **state)
{
    struct api_heartbeat_reply reply = {.revision = 7,
                                        .server_time = 1767225600,
                                        .cluster = api_cluster_default(),
                                        .ca_sha256 = DIGEST,
                                        .is_renewal_due = true};
    struct api_cluster cluster = {0};
    AUTO_STRBUF struct strbuf text = {0};
    AUTO_JSON json_t *value = NULL;
    const char *ca_sha256;
    int64_t server_time;
    bool is_due;

    reply.cluster.heartbeat_ms = 1234;
    api_heartbeat_reply_to_json(&reply, &text);
    value = parse(text.data);
    assert_int_equal(api_heartbeat_reply_take(value, &cluster), 0);
    assert_int_equal(cluster.heartbeat_ms, 1234);
    assert_int_equal(api_heartbeat_reply_time(value, &server_time), 0);
    assert_int_equal(server_time, 1767225600);
    assert_int_equal(api_heartbeat_reply_renewal(value, &ca_sha256, &is_due), 0);
    assert_string_equal(ca_sha256, DIGEST);
    assert_true(is_due);
}

static const struct {
    const char *text;
    int time, renewal;
    const char *ca_sha256;
    bool is_due;
} rows[] = {
    {"{}", -ENOENT, 0, NULL, false},
    {"[]", -EINVAL, -EINVAL, NULL, false},
    {"{\"server_time\":\"now\"}", -EINVAL, 0, NULL, false},
    {"{\"server_time\":-1}", -EINVAL, 0, NULL, false},
    {"{\"server_time\":0,\"ca_sha256\":null}", 0, 0, NULL, false},
    {"{\"server_time\":1,\"ca_sha256\":\"x\"}", 0, 0, "x", false},
    {"{\"server_time\":1,\"ca_sha256\":7}", 0, -EINVAL, NULL, false},
    {"{\"server_time\":1,\"renew_certificate\":true}", 0, 0, NULL, true},
    {"{\"server_time\":1,\"renew_certificate\":1}", 0, -EINVAL, NULL, false},
};

static void what_is_not_told_is_not_made_up(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_JSON json_t *value = parse(rows[i].text);
        const char *ca_sha256 = NULL;
        int64_t server_time;
        bool is_due = false;

        assert_int_equal(api_heartbeat_reply_time(value, &server_time), rows[i].time);
        assert_int_equal(api_heartbeat_reply_renewal(value, &ca_sha256, &is_due), rows[i].renewal);
        if (rows[i].ca_sha256)
            assert_string_equal(ca_sha256, rows[i].ca_sha256);
        else
            assert_null(ca_sha256);
        assert_int_equal(is_due, rows[i].is_due);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_survives_the_wire),
        cmocka_unit_test(what_is_not_told_is_not_made_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
