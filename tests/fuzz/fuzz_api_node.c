/* Any body, by every reader of lib/api: what is taken comes back the same from its own JSON. */
#include <stdlib.h>
#include <string.h>

#include "lib/api/heartbeat.h"
#include "lib/api/reservation.h"
#include "tests/fuzz/fuzz.h"

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

static void node(const json_t *value)
{
    AUTO_STRBUF struct strbuf first = {0};
    AUTO_STRBUF struct strbuf second = {0};
    AUTO_JSON json_t *again = NULL;
    struct api_node a, b;

    if (api_node_from_json(value, &a) < 0)
        return;
    api_node_to_json(&a, &first, NULL);
    check(json_parse(first.data, first.len, &again) == 0);
    check(api_node_from_json(again, &b) == 0);
    api_node_to_json(&b, &second, NULL);
    check(strcmp(first.data, second.data) == 0);
}

static void node_list(const json_t *value)
{
    struct api_node *nodes;
    size_t count;

    if (api_node_list_from_json(value, &nodes, &count) == 0)
        free(nodes);
}

static void registration(const json_t *value)
{
    struct api_register_request request;
    AUTO_JSON json_t *again = NULL;
    AUTO_FREE char *text = NULL;

    if (api_register_request_from_json(value, &request) < 0)
        return;
    text = api_register_request_to_json(&request);
    check(json_parse(text, strlen(text), &again) == 0);
    check(api_register_request_from_json(again, &request) == 0);
}

static void answer(const json_t *value)
{
    struct api_register_reply reply;
    AUTO_JSON json_t *again = NULL;
    AUTO_FREE char *text = NULL;

    if (api_register_reply_from_json(value, &reply) < 0)
        return;
    text = api_register_reply_to_json(&reply);
    check(json_parse(text, strlen(text), &again) == 0);
    check(api_register_reply_from_json(again, &reply) == 0);
}

static void heartbeat(const json_t *value)
{
    AUTO_STRBUF struct strbuf text = {0};
    AUTO_JSON json_t *again = NULL;
    struct api_cluster cluster = api_cluster_default();
    struct api_heartbeat said;
    const char *ca_sha256;
    int64_t server_time;
    bool is_renewal_due;

    (void)api_heartbeat_reply_take(value, &cluster);
    (void)api_heartbeat_reply_time(value, &server_time);
    (void)api_heartbeat_reply_renewal(value, &ca_sha256, &is_renewal_due);
    if (api_heartbeat_from_json(value, &said) < 0)
        return;
    api_heartbeat_to_json(&said, &text);
    check(json_parse(text.data, text.len, &again) == 0);
    check(api_heartbeat_from_json(again, &said) == 0);
}

static void reservation(const json_t *value)
{
    AUTO_STRBUF struct strbuf text = {0};
    AUTO_JSON json_t *again = NULL;
    struct api_reservation a, b;
    struct ip4_prefix wish;

    (void)api_reservation_wish_from_json(value, &wish);
    if (api_reservation_from_json(value, &a) < 0)
        return;
    api_reservation_to_json(&a, &text);
    check(json_parse(text.data, text.len, &again) == 0);
    check(api_reservation_from_json(again, &b) == 0);
    check(strcmp(a.host, b.host) == 0 && ip4_prefix_equal(a.subnet, b.subnet));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO_JSON json_t *value = NULL;

    if (json_parse((const char *)bytes, n, &value) < 0)
        return 0;
    node(value);
    node_list(value);
    registration(value);
    answer(value);
    heartbeat(value);
    reservation(value);
    return 0;
}
