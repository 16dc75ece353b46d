/* What the agent says of itself in JSON. */
#include <string.h>

#include "lib/base/base32.h"
#include "lib/base/json.h"
#include "lib/tls/ca.h"
#include "tests/unit/agent/view.h"
#include "tests/unit/cmocka.h"

static json_t *parse(char *text)
{
    json_t *value = NULL;

    assert_int_equal(json_parse(text, strlen(text), &value), 0);
    free(text);
    return value;
}

static const char *first_problem(const json_t *status)
{
    return json_string_value(json_array_get(json_object_get(status, "problems"), 0));
}

static void a_healthy_agent_in_full(void **state)
{
    struct status_view view = make_view();
    AUTO_FREE char *json = status_to_json(&view);

    assert_string_equal(
        json,
        "{\"version\":\"" QUILT_VERSION "\",\"ready\":true,\"dataplane\":\"kernel\","
        "\"dataplane_reason\":null,"
        "\"node_id\":\"00000000-0000-4000-8000-000000000001\",\"hostname\":\"node1\","
        "\"host_ip\":\"192.168.1.11\",\"subnet\":\"10.42.1.0/24\","
        "\"cluster_cidr\":\"10.42.0.0/16\","
        "\"cluster_id\":\"11111111-2222-4333-8444-555555555555\","
        "\"control_plane\":{\"url\":\"http://192.168.1.10:8080\",\"connected\":true,"
        "\"registered\":true,\"barred\":false,\"untrusted\":false,\"mode\":\"stream\",\"last_"
        "contact_s\":5,\"clock_"
        "skew_s\":null,"
        "\"error\":null},"
        "\"tls\":null,"
        "\"runtime\":{\"url\":\"http://127.0.0.1:50051\",\"connected\":true,\"configured\":true,"
        "\"error\":null},"
        "\"device\":{\"name\":\"vxlan100\",\"mtu\":1450,\"up\":true,\"programmed\":true,"
        "\"problem\":null},"
        "\"peers\":[{\"node_id\":\"00000000-0000-4000-8000-000000000002\","
        "\"hostname\":\"node2\",\"host_ip\":\"192.168.1.12\",\"subnet\":\"10.42.2.0/24\","
        "\"status\":\"up\",\"programmed\":true,\"in_doubt\":false,\"problem\":null,"
        "\"probe\":null},"
        "{\"node_id\":\"00000000-0000-4000-8000-000000000003\",\"hostname\":\"node3\","
        "\"host_ip\":\"192.168.1.13\",\"subnet\":\"10.42.3.0/24\",\"status\":\"down\","
        "\"programmed\":false,\"in_doubt\":false,\"problem\":null,\"probe\":null}],"
        "\"problems\":[],\"repairs\":{\"fdb\":1}}");
}

static void the_token_is_never_shown(void **state)
{
    struct status_view view = make_view();
    AUTO_FREE char *json = status_to_json(&view);
    AUTO_FREE char *ready = status_to_ready_json(&view);

    assert_null(strstr(json, "secret"));
    assert_null(strstr(ready, "secret"));
}

static void an_agent_that_knows_nothing_yet_is_valid_json_too(void **state)
{
    struct overlay_counts counts = {0};
    struct status_view view = {
        .hostname = "node1",
        .control = {.url = "http://a:1", .problem = ""},
        .runtime = {.problem = ""},
        .overlay = {.problem = "", .fight = "", .counts = &counts},
    };
    AUTO_JSON json_t *status = parse(status_to_json(&view));

    assert_true(json_is_null(json_object_get(status, "node_id")));
    assert_true(json_is_null(json_object_get(status, "subnet")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(status, "control_plane"), "mode")),
        "away");
    assert_string_equal(first_problem(status),
                        "this node is not registered with the control plane yet");
}

static void each_trouble_is_said_in_words(void **state)
{
    struct status_peer peer = {.node = &view_nodes[0], .problem = "foreign route"};
    struct status_view view;

#define ASSERT_SAID(words_, ...)                                                   \
    do {                                                                           \
        AUTO_JSON json_t *status = NULL;                                           \
        view = make_view();                                                        \
        __VA_ARGS__;                                                               \
        status = parse(status_to_json(&view));                                     \
        assert_string_equal(first_problem(status), words_);                        \
        assert_int_equal(json_array_size(json_object_get(status, "problems")), 1); \
    } while (0)

    ASSERT_SAID("control plane http://192.168.1.10:8080: heartbeat: refused",
                view.control.problem = "heartbeat: refused");
    ASSERT_SAID("runtime http://127.0.0.1:50051: UNAVAILABLE",
                view.runtime.problem = "UNAVAILABLE");
    ASSERT_SAID("no such \"thing\"", view.overlay.problem = "no such \"thing\"");
    ASSERT_SAID("somebody fights", view.overlay.fight = "somebody fights");
    ASSERT_SAID("odd subnet", view.identity_problem = "odd subnet");
    ASSERT_SAID("disk full", view.state_problem = "disk full");
    ASSERT_SAID("peer node2 (10.42.2.0/24): foreign route", view.peers = &peer;
                view.peer_count = 1);
    ASSERT_SAID("7 nodes vanished from the control plane's list at once; they are kept until it "
                "says so again. If it is right, run 'quiltctl node accept-cluster' on this node",
                view.missing_count = 7);
    ASSERT_SAID("7 nodes vanished from the control plane's list at once; they are kept until it "
                "has other nodes, or says who is gone. If it is right, run 'quiltctl node "
                "accept-cluster' on this node",
                view.missing_count = 7;
                view.is_alone = true);
}

/* The CA of the key whose pin is its SHA-256: another one each time. */
struct tls_view {
    struct tls_ca *ca;
    struct tls_trust *trust;
    char pin[BASE32_LEN(SHA256_SIZE) + 1];
    struct status_tls tls;
};

static void tls_view_init(struct tls_view *t, struct status_view *view)
{
    AUTO_FREE char *pem = NULL;
    struct sha256 spki;

    assert_int_equal(tls_ca_new("11111111-2222-4333-8444-555555555555", 1767225600, &t->ca), 0);
    pem = tls_cert_to_pem(tls_ca_cert(t->ca));
    assert_int_equal(tls_trust_from_pem(pem, strlen(pem), &t->trust), 0);
    spki = tls_key_spki(tls_ca_key(t->ca));
    base32_encode(spki.bytes, SHA256_SIZE, t->pin);
    t->tls = (struct status_tls){.expires_at = 1769817600, .trust = t->trust};
    view->tls = &t->tls;
    view->control.shown = CREDENTIAL_CERT;
    view->control.renewals = 3;
    view->control.has_clock_skew = true;
    view->control.clock_skew_s = -7;
}

static void tls_view_deinit(struct tls_view *t)
{
    tls_ca_free(t->ca);
    tls_trust_free(t->trust);
}

static void over_tls_it_says_what_it_shows_and_whom_it_believes(void **state)
{
    CLEANUP(tls_view_deinit) struct tls_view t = {.ca = NULL};
    struct status_view view = make_view();
    AUTO_FREE char *json = NULL, *expected = NULL, *nothing = NULL;

    tls_view_init(&t, &view);
    json = status_to_json(&view);
    expected = mem_printf("\"tls\":{\"shows\":\"the certificate\","
                          "\"certificate_expires_at\":1769817600,\"renewals\":3,"
                          "\"ca_pins\":[\"%s\"],\"clock_skew_s\":-7},",
                          t.pin);
    assert_non_null(strstr(json, expected));
    t.tls = (struct status_tls){0};
    view.control.shown = CREDENTIAL_NONE;
    view.control.has_clock_skew = false;
    nothing = status_to_json(&view);
    assert_non_null(strstr(nothing, "\"tls\":{\"shows\":\"nothing\","
                                    "\"certificate_expires_at\":null,\"renewals\":3,"
                                    "\"ca_pins\":[],\"clock_skew_s\":null},"));
}

static void over_tls_there_are_some_more_figures(void **state)
{
    CLEANUP(tls_view_deinit) struct tls_view t = {.ca = NULL};
    struct status_view view = make_view();
    AUTO_STRBUF struct strbuf out = {0}, plain = {0};
    AUTO_FREE char *ca = NULL;

    status_add_metrics(&plain, &view);
    assert_null(strstr(plain.data, "certificate"));
    tls_view_init(&t, &view);
    view.control.is_barred = true;
    status_add_metrics(&out, &view);
    ca = mem_printf("\nquilt_agent_ca_info{pin=\"%s\"} 1\n", t.pin);
    assert_non_null(strstr(out.data, ca));
    assert_non_null(
        strstr(out.data, "\nquilt_agent_certificate_expiry_timestamp_seconds 1769817600\n"));
    assert_non_null(strstr(out.data, "\nquilt_agent_certificate_renewals_total 3\n"));
    assert_non_null(strstr(out.data, "\nquilt_agent_clock_skew_seconds -7\n"));
    assert_non_null(strstr(out.data, "\nquilt_agent_control_plane_barred 1\n"));
}

static void without_a_certificate_no_figure_says_when_it_expires(void **state)
{
    CLEANUP(tls_view_deinit) struct tls_view t = {.ca = NULL};
    struct status_view view = make_view();
    AUTO_STRBUF struct strbuf out = {0};

    tls_view_init(&t, &view);
    t.tls.expires_at = 0;
    status_add_metrics(&out, &view);
    assert_null(strstr(out.data, "expiry"));
    assert_non_null(strstr(out.data, "\nquilt_agent_certificate_renewals_total 3\n"));
}

static void ready_says_why_not(void **state)
{
    struct status_view view = make_view();
    AUTO_FREE char *ready = status_to_ready_json(&view), *not_ready = NULL;

    assert_string_equal(ready, "{\"ready\":true,\"reasons\":[]}");
    view.is_ready = false;
    view.overlay.is_programmed = false;
    view.overlay.problem = "the device vxlan100 is not ours";
    not_ready = status_to_ready_json(&view);
    assert_string_equal(not_ready,
                        "{\"ready\":false,\"reasons\":[\"the overlay device is not programmed\","
                        "\"the device vxlan100 is not ours\"]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_agent_in_full),
        cmocka_unit_test(the_token_is_never_shown),
        cmocka_unit_test(an_agent_that_knows_nothing_yet_is_valid_json_too),
        cmocka_unit_test(each_trouble_is_said_in_words),
        cmocka_unit_test(over_tls_it_says_what_it_shows_and_whom_it_believes),
        cmocka_unit_test(over_tls_there_are_some_more_figures),
        cmocka_unit_test(without_a_certificate_no_figure_says_when_it_expires),
        cmocka_unit_test(ready_says_why_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
