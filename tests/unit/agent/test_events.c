/* The bytes of a watch, understood. */
#include <string.h>

#include "agent/control_client/events.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define NODE(n, ip, status)                                                         \
    "{\"node_id\":\"00000000-0000-4000-8000-00000000000" n "\",\"hostname\":\"h" n  \
    "\",\"host_ip\":\"" ip "\",\"subnet\":\"10.42." n ".0/24\",\"cpu_cores\":null," \
    "\"ram_mb\":null,\"status\":\"" status "\",\"registered_at\":1700000000,"       \
    "\"last_heartbeat\":1700000000}"

static const char stream[] =
    ": hello\n\n"
    "event: snapshot\nid: 7\ndata: {\"nodes\":[" NODE("1", "192.168.1.11", "up") "," NODE(
        "2", "192.168.1.12",
        "down") "],\"revision\":7}\n\n"
                "event: weather\nid: 8\ndata: fine\n\n"
                "event: node\nid: 9\ndata: " NODE(
                    "3", "192.168.1.13",
                    "up") "\n\n"
                          "event: node-deleted\nid: 10\ndata: "
                          "{\"node_id\":\"00000000-0000-4000-8000-000000000001\"}\n\n"
                          ": still here\n\nevent: bookmark\ndata: {\"revision\":12}\nid: 12\n\n";

struct heard {
    struct strbuf text;
    size_t limit; /* enough after this many */
    size_t count;
};

static bool on_event(const struct control_event *event, void *data)
{
    struct heard *heard = data;
    char ip[IP4_TEXT_SIZE];

    strbuf_addf(&heard->text, "%d@%s", (int)event->kind, event->id);
    for (size_t i = 0; i < event->node_count; i++)
        strbuf_addf(&heard->text, " %s=%s/%d", event->nodes[i].hostname,
                    ip4_format(event->nodes[i].host_ip, ip), event->nodes[i].is_up);
    if (event->kind == CONTROL_EVENT_DELETED)
        strbuf_addf(&heard->text, " %s", event->node_id);
    strbuf_adds(&heard->text, ";");
    return ++heard->count != heard->limit;
}

static void the_events_are_the_same_however_the_bytes_are_cut(void **state)
{
    for (size_t step = 1; step < sizeof stream; step++) {
        struct heard heard = {0};
        struct control_events *events = control_events_new(on_event, &heard);

        for (size_t at = 0; at < sizeof stream - 1; at += step) {
            size_t rest = sizeof stream - 1 - at;

            assert_int_equal(control_events_feed(events, stream + at, rest < step ? rest : step),
                             0);
        }
        assert_string_equal(heard.text.data, "0@7 h1=192.168.1.11/1 h2=192.168.1.12/0;"
                                             "1@9 h3=192.168.1.13/1;"
                                             "2@10 00000000-0000-4000-8000-000000000001;"
                                             "3@12;");
        assert_false(control_events_is_list(events));
        control_events_free(events);
        strbuf_deinit(&heard.text);
    }
}

static void a_plain_list_is_kept_for_the_end(void **state)
{
    const char list[] = " \r\n{\"nodes\":[]}";
    struct heard heard = {0};
    struct control_events *events = control_events_new(on_event, &heard);
    size_t n;

    for (size_t i = 0; i < sizeof list - 1; i++)
        assert_int_equal(control_events_feed(events, list + i, 1), 0);
    assert_true(control_events_is_list(events));
    assert_string_equal(control_events_list(events, &n), "{\"nodes\":[]}");
    assert_int_equal(heard.count, 0);
    control_events_free(events);
}

static void an_event_that_is_not_understood_is_an_error_that_names_it(void **state)
{
    const struct {
        const char *bytes, *text;
    } rows[] = {
        {"event: node\ndata: {\"node_id\":1}\n\n", "event 'node' is unusable: node_id"},
        {"event: node\ndata: nonsense\n\n", "event 'node' is unusable: not valid JSON"},
        {"event: snapshot\ndata: {\"nodes\":7}\n\n", "event 'snapshot' is unusable: nodes"},
        {"event: node-deleted\ndata: {}\n\n", "event 'node-deleted' is unusable: node_id"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct heard heard = {0};
        struct control_events *events = control_events_new(on_event, &heard);

        assert_true(control_events_feed(events, rows[i].bytes, strlen(rows[i].bytes)) < 0);
        if (!strstr(err_text(), rows[i].text))
            print_error("%s\n", err_text());
        assert_non_null(strstr(err_text(), rows[i].text));
        assert_int_equal(heard.count, 0);
        control_events_free(events);
    }
}

static void who_has_heard_enough_ends_the_watch(void **state)
{
    struct heard heard = {.limit = 2};
    struct control_events *events = control_events_new(on_event, &heard);

    assert_int_equal(control_events_feed(events, stream, sizeof stream - 1), -ECANCELED);
    assert_int_equal(heard.count, 2);
    control_events_free(events);
    strbuf_deinit(&heard.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_events_are_the_same_however_the_bytes_are_cut),
        cmocka_unit_test(a_plain_list_is_kept_for_the_end),
        cmocka_unit_test(an_event_that_is_not_understood_is_an_error_that_names_it),
        cmocka_unit_test(who_has_heard_enough_ends_the_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
