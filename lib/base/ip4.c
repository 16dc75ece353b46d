/* IPv4 addresses, prefixes and MAC addresses. */
#include "lib/base/ip4.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"

static bool parse_octet(const char **p, uint32_t *ret)
{
    const char *s = *p;
    uint32_t v = 0;
    int digits = 0;

    for (; *s >= '0' && *s <= '9' && digits < 3; s++, digits++)
        v = v * 10 + (uint32_t)(*s - '0');
    if (digits == 0 || v > 255 || (digits > 1 && **p == '0'))
        return false;
    *p = s;
    *ret = v;
    return true;
}

static bool parse_quad(const char **p, uint32_t *ret_addr)
{
    uint32_t addr = 0, octet;

    for (int i = 0; i < 4; i++) {
        if (i > 0 && *(*p)++ != '.')
            return false;
        if (!parse_octet(p, &octet))
            return false;
        addr = addr << 8 | octet;
    }
    *ret_addr = addr;
    return true;
}

int ip4_parse(const char *text, uint32_t *ret_addr)
{
    const char *p = text;
    uint32_t addr;

    if (!parse_quad(&p, &addr) || *p != '\0')
        return err_fail(EINVAL, "'%.64s' is not an IPv4 address", text);
    *ret_addr = addr;
    return 0;
}

int ip4_prefix_parse(const char *text, struct ip4_prefix *ret_prefix)
{
    char right[IP4_PREFIX_TEXT_SIZE];
    struct ip4_prefix prefix;
    const char *p = text;
    uint64_t len;

    if (!parse_quad(&p, &prefix.addr) || *p++ != '/' || parse_u64(p, 32, &len) < 0)
        return err_fail(EINVAL, "'%.64s' is not an IPv4 network such as 10.42.1.0/24", text);
    prefix.len = (uint8_t)len;
    if ((prefix.addr & ~ip4_mask(prefix.len)) != 0) {
        prefix.addr &= ip4_mask(prefix.len);
        return err_fail(EINVAL, "'%.64s' has host bits set; the network is %s", text,
                        ip4_prefix_format(prefix, right));
    }
    *ret_prefix = prefix;
    return 0;
}

bool ip4_is_unicast_host(uint32_t addr)
{
    uint32_t first = addr >> 24;

    return first != 0 && !ip4_is_loopback(addr) && first < 224;
}

bool ip4_is_loopback(uint32_t addr)
{
    return addr >> 24 == 127;
}

/* At most three digits. Returns where they end. */
static char *write_octet(unsigned int value, char *at)
{
    if (value >= 100)
        *at++ = (char)('0' + value / 100);
    if (value >= 10)
        *at++ = (char)('0' + value / 10 % 10);
    *at++ = (char)('0' + value % 10);
    return at;
}

static char *write_quad(uint32_t addr, char *at)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        at = write_octet(addr >> shift & 255, at);
        *at++ = '.';
    }
    return at - 1;
}

char *ip4_format(uint32_t addr, char ret_text[static IP4_TEXT_SIZE])
{
    *write_quad(addr, ret_text) = '\0';
    return ret_text;
}

char *ip4_prefix_format(struct ip4_prefix prefix, char ret_text[static IP4_PREFIX_TEXT_SIZE])
{
    char *end = write_quad(prefix.addr, ret_text);

    *end++ = '/';
    *write_octet(prefix.len <= 32 ? prefix.len : 32, end) = '\0';
    return ret_text;
}

uint32_t ip4_mask(uint8_t len)
{
    return len == 0 ? 0 : UINT32_MAX << (32 - len);
}

bool ip4_prefix_contains(struct ip4_prefix prefix, uint32_t addr)
{
    return (addr & ip4_mask(prefix.len)) == prefix.addr;
}

bool ip4_prefix_covers(struct ip4_prefix outer, struct ip4_prefix inner)
{
    return inner.len >= outer.len && ip4_prefix_contains(outer, inner.addr);
}

bool ip4_prefix_equal(struct ip4_prefix a, struct ip4_prefix b)
{
    return a.addr == b.addr && a.len == b.len;
}

struct mac mac_from_ip4(uint32_t addr)
{
    return (struct mac){{0x02, 0x51, (uint8_t)(addr >> 24), (uint8_t)(addr >> 16),
                         (uint8_t)(addr >> 8), (uint8_t)addr}};
}

bool mac_to_ip4(struct mac mac, uint32_t *ret_addr)
{
    uint32_t addr = (uint32_t)mac.bytes[2] << 24 | (uint32_t)mac.bytes[3] << 16 |
                    (uint32_t)mac.bytes[4] << 8 | mac.bytes[5];

    if (!mac_equal(mac, mac_from_ip4(addr)))
        return false;
    *ret_addr = addr;
    return true;
}

bool mac_equal(struct mac a, struct mac b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

char *mac_format(struct mac mac, char ret_text[static MAC_TEXT_SIZE])
{
    (void)snprintf(ret_text, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac.bytes[0],
                   mac.bytes[1], mac.bytes[2], mac.bytes[3], mac.bytes[4], mac.bytes[5]);
    return ret_text;
}
