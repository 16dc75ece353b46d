/* Which requests a web page has made a browser send. */
#include "lib/http/browser.h"

#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static void an_origin_is_the_host_asked_or_another_page(void **state)
{
    static const struct {
        const char *origin, *host;
        bool is_other;
    } rows[] = {
        {NULL, "localhost:8080", false},
        {NULL, NULL, false},
        {"http://localhost:8080", "localhost:8080", false},
        {"HTTPS://Localhost:8080", "localhost:8080", false},
        {"http://evil.example", "localhost:8080", true},
        {"http://localhost:8081", "localhost:8080", true},
        {"http://localhost", "localhost:8080", true},
        {"http://localhost:8080.evil.example", "localhost:8080", true},
        {"ftp://localhost:8080", "localhost:8080", true},
        {"localhost:8080", "localhost:8080", true},
        {"null", "localhost:8080", true},
        {"", "localhost:8080", true},
        {"http://localhost:8080", NULL, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (browser_is_from_other_page(rows[i].origin, rows[i].host) != rows[i].is_other)
            fail_msg("row %zu was judged wrongly", i);
}

static void a_host_is_an_address_or_a_name_of_ours(void **state)
{
    static const char *const names[] = {"control1", NULL, "mesh.example"};
    static const struct {
        const char *host;
        bool is_stranger;
    } rows[] = {
        {NULL, false},
        {"127.0.0.1", false},
        {"127.0.0.1:8080", false},
        {"192.168.1.10:8080", false},
        {"[::1]:8080", false},
        {"localhost", false},
        {"LocalHost:8080", false},
        {"localhost.:8080", false},
        {"control1:8080", false},
        {"CONTROL1", false},
        {"mesh.example.", false},
        {"evil.example", true},
        {"evil.example:8080", true},
        {"127.0.0.1.evil.example", true},
        {"localhost.evil.example", true},
        {"localhost:x", true},
        {"localhost:80:80", true},
        {"localhost:99999", true},
        {"", true},
        {".", true},
        {"127.1", true},
        {"control1.evil", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (browser_asks_for_stranger(rows[i].host, names, ARRAY_LEN(names)) != rows[i].is_stranger)
            fail_msg("row %zu was judged wrongly", i);
}

static void a_host_of_any_length_is_judged(void **state)
{
    char host[4096];

    for (size_t n = 1; n < sizeof host; n *= 2) {
        memset(host, 'a', n);
        host[n] = '\0';
        assert_true(browser_asks_for_stranger(host, NULL, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_is_the_host_asked_or_another_page),
        cmocka_unit_test(a_host_is_an_address_or_a_name_of_ours),
        cmocka_unit_test(a_host_of_any_length_is_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
