/* Base URLs from command lines. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "tests/unit/cmocka.h"

static void a_base_url_loses_its_slash(void **state)
{
    static const char *const good[][2] = {
        {"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"http://127.0.0.1:8080/", "http://127.0.0.1:8080"},
        {"https://control.example.org", "https://control.example.org"},
        {"http://node_1:1/", "http://node_1:1"},
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        AUTO_FREE char *base = NULL;

        assert_int_equal(http_base_url_parse(good[i][0], &base), 0);
        assert_string_equal(base, good[i][1]);
    }
}

static void what_is_wrong_with_a_url_is_said(void **state)
{
    static const char *const bad[][2] = {
        {"", "is not a URL such as"},
        {"127.0.0.1:8080", "is not a URL such as"},
        {"ftp://a", "is not a URL such as"},
        {"HTTP://a", "is not a URL such as"},
        {"http://", "is not a host name"},
        {"http://:80", "is not a host name"},
        {"http://a:0", "port 0"},
        {"http://a:", "port"},
        {"http://a:65536", "port: '65536' is not a whole number"},
        {"http://a:80:80", "port"},
        {"http://u:p@a", "port"},
        {"http://a b", "is not a host name"},
        {"http://a/api", "has a path"},
        {"http://a//", "has a path"},
        {"http://a?x", "is not a host name"},
        {"http://[::1]:80", "port"},
    };
    char *base = NULL;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(http_base_url_parse(bad[i][0], &base), -EINVAL);
        if (!strstr(err_text(), bad[i][1]))
            fail_msg("%s: %s", bad[i][0], err_text());
    }
    assert_null(base);
}

static void a_url_is_tls_by_its_scheme(void **state)
{
    assert_true(http_url_is_tls("https://a"));
    assert_true(http_url_is_tls("HTTPS://a"));
    assert_false(http_url_is_tls("http://https:8080"));
    assert_false(http_url_is_tls("https"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_base_url_loses_its_slash),
        cmocka_unit_test(what_is_wrong_with_a_url_is_said),
        cmocka_unit_test(a_url_is_tls_by_its_scheme),
    };

    return cmocka_run_group_tests_name("http url", tests, NULL, NULL);
}
