/* Any word, by every parser of lib/base: what is taken comes back the same from its text. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/ip4.h"
#include "lib/base/parse.h"
#include "lib/base/strbuf.h"
#include "tests/fuzz/fuzz.h"

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

static void numbers(const char *word)
{
    AUTO_STRBUF struct strbuf back = {0};
    int64_t ms;
    uint64_t v;

    if (parse_u64(word, UINT64_MAX, &v) == 0) {
        strbuf_addf(&back, "%llu", (unsigned long long)v);
        check(strcmp(back.data, word) == 0);
    }
    if (parse_duration_ms(word, &ms) == 0)
        check(ms >= 1 && ms <= 24 * 3600 * 1000);
}

static void addresses(const char *word)
{
    char text[IP4_PREFIX_TEXT_SIZE];
    struct ip4_prefix prefix;
    uint32_t addr;
    uint16_t port;

    if (ip4_parse(word, &addr) == 0)
        check(strcmp(ip4_format(addr, text), word) == 0);
    if (ip4_prefix_parse(word, &prefix) == 0)
        check(strcmp(ip4_prefix_format(prefix, text), word) == 0);
    if (parse_addr_port(word, &addr, &port) == 0)
        check(strlen(word) <= strlen("255.255.255.255:65535"));
}

static void names(const char *word)
{
    if (parse_hostname(word) == 0 || parse_id(word) == 0)
        check(strlen(word) <= 253 && !strpbrk(word, "/ \n\x1b"));
    if (parse_ifname(word) == 0)
        check(strlen(word) <= 15 && !strpbrk(word, "/:% \n"));
    if (parse_uuid(word) == 0)
        check(strlen(word) == 36);
}

/* Whatever the bytes, what is made for people is UTF-8 without controls. */
static void texts(const char *word)
{
    AUTO_STRBUF struct strbuf safe = {0};

    strbuf_add_printable(&safe, word);
    for (size_t i = 0; i < safe.len; i++)
        check((unsigned char)safe.data[i] >= ' ' && safe.data[i] != 0x7f);
    check(parse_is_utf8(safe.data ? safe.data : "", safe.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO_STRBUF struct strbuf word = {0};

    strbuf_add(&word, bytes, n);
    numbers(word.data);
    addresses(word.data);
    names(word.data);
    texts(word.data);
    return 0;
}
