/* Strict parsing: what is taken, what is refused, and that a refusal writes nothing. */
#include "lib/base/parse.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "lib/base/strbuf.h"
#include "tests/unit/cmocka.h"

static void whole_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        int r;
        uint64_t value;
    } rows[] = {
        {"0", 0, 0, 0},
        {"42", 100, 0, 42},
        {"100", 100, 0, 100},
        {"101", 100, -EINVAL, 0},
        {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, -EINVAL, 0},
        {"99999999999999999999999", UINT64_MAX, -EINVAL, 0},
        {"", 9, -EINVAL, 0},
        {"01", 9, -EINVAL, 0},
        {"00", 9, -EINVAL, 0},
        {"-1", 9, -EINVAL, 0},
        {"+1", 9, -EINVAL, 0},
        {" 1", 9, -EINVAL, 0},
        {"1 ", 9, -EINVAL, 0},
        {"0x1", 9, -EINVAL, 0},
        {"1.0", 9, -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t v = 777;

        assert_int_equal(parse_u64(rows[i].text, rows[i].max, &v), rows[i].r);
        assert_int_equal(v, rows[i].r == 0 ? rows[i].value : 777);
    }
    (void)parse_u64("x1", 9, &(uint64_t){0});
    assert_string_equal(err_text(), "'x1' is not a whole number from 0 to 9");
}

static void any_number_comes_back(void **state)
{
    for (int round = 0; round < 10000; round++) {
        uint64_t in = random_u64() >> (random_u64() % 64), out;
        AUTO_STRBUF struct strbuf text = {0};

        strbuf_addf(&text, "%llu", (unsigned long long)in);
        assert_int_equal(parse_u64(text.data, UINT64_MAX, &out), 0);
        assert_int_equal(in, out);
    }
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* 0: refused */
    } rows[] = {
        {"500ms", 500},
        {"1ms", 1},
        {"30s", 30000},
        {"5m", 300000},
        {"1h", 3600000},
        {"24h", 86400000},
        {"25h", 0},
        {"86400001ms", 0},
        {"0s", 0},
        {"30", 0},
        {"s", 0},
        {"", 0},
        {"1.5s", 0},
        {"-1s", 0},
        {"1 s", 0},
        {"1S", 0},
        {"1sec", 0},
        {"05s", 0},
        {"5124095576030431h", 0}, /* overflows when multiplied */
        {"18446744073709551616ms", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ms = 777;

        assert_int_equal(parse_duration_ms(rows[i].text, &ms), rows[i].ms ? 0 : -EINVAL);
        assert_int_equal(ms, rows[i].ms ? rows[i].ms : 777);
    }
}

static void addresses_with_a_port(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint32_t addr;
        uint16_t port;
    } rows[] = {
        {"127.0.0.1:8080", 0, 0x7f000001, 8080},
        {"0.0.0.0:0", 0, 0, 0},
        {"255.255.255.255:65535", 0, UINT32_MAX, 65535},
        {"127.0.0.1:65536", -EINVAL, 0, 0},
        {"127.0.0.1:", -EINVAL, 0, 0},
        {"127.0.0.1", -EINVAL, 0, 0},
        {":8080", -EINVAL, 0, 0},
        {"localhost:8080", -EINVAL, 0, 0},
        {"127.0.0.1:80:80", -EINVAL, 0, 0},
        {"127.0.0.1:+80", -EINVAL, 0, 0},
        {"[::1]:80", -EINVAL, 0, 0},
        {"", -EINVAL, 0, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t addr = 7;
        uint16_t port = 7;

        assert_int_equal(parse_addr_port(rows[i].text, &addr, &port), rows[i].r);
        assert_int_equal(addr, rows[i].r ? 7 : rows[i].addr);
        assert_int_equal(port, rows[i].r ? 7 : rows[i].port);
    }
}

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X253 X50 X50 X50 X50 X50 "xxx"

struct word_row {
    const char *text;
    bool is_good;
};

static void check_words(int (*parse)(const char *), const struct word_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (parse(rows[i].text) != (rows[i].is_good ? 0 : -EINVAL))
            fail_msg("'%s' was judged wrongly", rows[i].text);
}

static void host_names(void **state)
{
    static const struct word_row rows[] = {
        {"node1", true},      {"a.b-c_d.example", true},
        {"1", true},          {X253, true},
        {X253 "x", false},    {"", false},
        {"-a", false},        {".a", false},
        {"_a", false},        {"a b", false},
        {"a\n", false},       {"a/b", false},
        {"k\xc3\xb6", false}, {"a;reboot", false},
        {"a\x1b[m", false},
    };

    check_words(parse_hostname, rows, ARRAY_LEN(rows));
}

static void interface_names(void **state)
{
    static const struct word_row rows[] = {
        {"eth0", true},
        {"123456789012345", true},
        {"1234567890123456", false},
        {"", false},
        {".", false},
        {"..", false},
        {"...", true},
        {"a/b", false},
        {"a:1", false},
        {"a b", false},
        {"a\t", false},
        {"a\x7f", false},
        {"\xc3\xb6", false},
        {"eth%d", false},
        {"vxlan100@x", true},
    };

    check_words(parse_ifname, rows, ARRAY_LEN(rows));
}

static void ids(void **state)
{
    static const struct word_row rows[] = {
        {"web", true},  {"Web_1.a-b", true}, {"0", true},   {X253, true},    {X253 "x", false},
        {"", false},    {"-a", false},       {".", false},  {"../x", false}, {"a/b", false},
        {"a b", false}, {"a\n", false},      {"_a", false},
    };

    check_words(parse_id, rows, ARRAY_LEN(rows));
}

static void uuids(void **state)
{
    static const struct word_row rows[] = {
        {"01234567-89ab-cdef-0123-456789abcdef", true},
        {"01234567-89AB-CDEF-0123-456789ABCDEF", true},
        {"01234567-89ab-cdef-0123-456789abcde", false},
        {"01234567-89ab-cdef-0123-456789abcdef0", false},
        {"01234567089ab-cdef-0123-456789abcdef", false},
        {"0123456g-89ab-cdef-0123-456789abcdef", false},
        {"0-234567-89ab-cdef-0123-456789abcdef", false},
        {"{1234567-89ab-cdef-0123-456789abcde}", false},
        {"", false},
    };
    char made[UUID_TEXT_SIZE];

    check_words(parse_uuid, rows, ARRAY_LEN(rows));
    for (int i = 0; i < 100; i++) {
        random_uuid(made);
        assert_int_equal(parse_uuid(made), 0);
    }
}

static void a_refused_word_is_quoted_but_not_at_any_length(void **state)
{
    assert_int_equal(parse_id(X253 X253), -EINVAL);
    assert_true(strlen(err_text()) < 200);
}

static void utf8_is_judged_as_rfc_3629_has_it(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool is_good;
    } rows[] = {
        {"", 0, true},
        {"plain", 5, true},
        {"a\0b", 3, false},
        {"\xc2\x80", 2, true},
        {"\xdf\xbf", 2, true},
        {"\xe0\xa0\x80", 3, true},
        {"\xed\x9f\xbf", 3, true},
        {"\xee\x80\x80", 3, true},
        {"\xf0\x90\x80\x80", 4, true},
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"\x80", 1, false},             /* a tail without a lead */
        {"\xc0\x80", 2, false},         /* overlong */
        {"\xc1\xbf", 2, false},         /* overlong */
        {"\xe0\x9f\xbf", 3, false},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
        {"\xed\xa0\x80", 3, false},     /* surrogate */
        {"\xf4\x90\x80\x80", 4, false}, /* over U+10FFFF */
        {"\xf5\x80\x80\x80", 4, false},
        {"\xff", 1, false},
        {"\xc3", 1, false}, /* cut short */
        {"\xe2\x82", 2, false},
        {"\xf0\x9f\x90", 3, false},
        {"\xc3(", 2, false}, /* a lead without its tail */
        {"\xe2\x82(", 3, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(parse_is_utf8(rows[i].bytes, rows[i].n), rows[i].is_good);
}

static void lifetimes(void **state)
{
    static const struct {
        const char *text;
        int64_t s; /* 0: refused */
    } rows[] = {
        {"1s", 1},
        {"90s", 90},
        {"5m", 300},
        {"24h", 86400},
        {"30d", 2592000},
        {"1000ms", 1},
        {"3650d", 315360000},
        {"3651d", 0},
        {"500ms", 0},
        {"0s", 0},
        {"30", 0},
        {"-1d", 0},
        {"1w", 0},
        {"", 0},
        {"99999999999999999999d", 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t s = 0;

        assert_int_equal(parse_lifetime_s(rows[i].text, &s), rows[i].s ? 0 : -EINVAL);
        assert_int_equal(s, rows[i].s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(any_number_comes_back),
        cmocka_unit_test(durations),
        cmocka_unit_test(lifetimes),
        cmocka_unit_test(addresses_with_a_port),
        cmocka_unit_test(host_names),
        cmocka_unit_test(interface_names),
        cmocka_unit_test(ids),
        cmocka_unit_test(uuids),
        cmocka_unit_test(a_refused_word_is_quoted_but_not_at_any_length),
        cmocka_unit_test(utf8_is_judged_as_rfc_3629_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
