/* Reservations as JSON, and the one way to write a host. */
#include "lib/api/reservation.h"

#include <string.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

static json_t *parse(const char *text)
{
    json_t *value;

    assert_int_equal(json_parse(text, strlen(text), &value), 0);
    return value;
}

static void names_are_lower_case_and_addresses_as_they_are(void **state)
{
    static const struct {
        const char *text, *host;
    } rows[] = {{"Node7", "node7"}, {"a_b.Example", "a_b.example"}, {"192.168.1.7", "192.168.1.7"}};
    char host[HOSTNAME_TEXT_SIZE];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(api_reservation_host(rows[i].text, host), 0);
        assert_string_equal(host, rows[i].host);
    }
}

static void what_is_neither_name_nor_address_is_refused(void **state)
{
    static const char *const rows[] = {"",    "a b", "192.168.1.300", "10.1.2",
                                       "a/b", "..",  "\xc3\xbc"};
    char host[HOSTNAME_TEXT_SIZE];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(api_reservation_host(rows[i], host), -EINVAL);
        assert_non_null(strstr(err_text(), "host: "));
    }
}

static void one_survives_the_wire(void **state)
{
    AUTO_STRBUF struct strbuf out = {0};
    AUTO_JSON json_t *value = NULL;
    struct api_reservation sent = {
        .host = "node7", .subnet = {.addr = 0x0a2a0700, .len = 24}, .created_at = 1700000000};
    struct api_reservation got;

    api_reservation_to_json(&sent, &out);
    assert_string_equal(
        out.data, "{\"host\":\"node7\",\"subnet\":\"10.42.7.0/24\",\"created_at\":1700000000}");
    value = parse(out.data);
    assert_int_equal(api_reservation_from_json(value, &got), 0);
    assert_string_equal(got.host, "node7");
    assert_int_equal(got.subnet.addr, 0x0a2a0700);
    assert_int_equal(got.created_at, 1700000000);
}

static void bad_members_are_named(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"[]", "must be a JSON object"},
        {"{}", "host: missing"},
        {"{\"host\":5}", "host: must be a string"},
        {"{\"host\":\"a b\"}", "host: 'a b' is neither"},
        {"{\"host\":\"a\"}", "subnet: missing"},
        {"{\"host\":\"a\",\"subnet\":\"10.42.7.1/24\"}", "subnet: "},
        {"{\"host\":\"a\",\"subnet\":\"10.42.7.0/24\",\"created_at\":-1}", "created_at: "},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_JSON json_t *value = parse(rows[i].text);
        struct api_reservation got;

        assert_true(api_reservation_from_json(value, &got) < 0);
        assert_non_null(strstr(err_text(), rows[i].words));
    }
}

static void a_wish_needs_a_subnet(void **state)
{
    AUTO_JSON json_t *right = parse("{\"subnet\":\"10.42.7.0/24\",\"more\":1}");
    AUTO_JSON json_t *wrong = parse("{\"subnet\":7}");
    struct ip4_prefix subnet;

    assert_int_equal(api_reservation_wish_from_json(right, &subnet), 0);
    assert_int_equal(subnet.addr, 0x0a2a0700);
    assert_true(api_reservation_wish_from_json(wrong, &subnet) < 0);
    assert_string_equal(err_text(), "subnet: must be a string");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_lower_case_and_addresses_as_they_are),
        cmocka_unit_test(what_is_neither_name_nor_address_is_refused),
        cmocka_unit_test(one_survives_the_wire),
        cmocka_unit_test(bad_members_are_named),
        cmocka_unit_test(a_wish_needs_a_subnet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
