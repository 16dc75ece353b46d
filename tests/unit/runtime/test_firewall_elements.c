/* What the firewall's sets are told, byte by byte. */
#include "runtime/firewall_elements.h"

#include <linux/netfilter.h>

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

/* 10.42.1.5 and 10.42.2.0; 192.168.1.11. */
#define CONTAINER 0x0a2a0105
#define SUBNET 0x0a2a0200
#define HOST 0xc0a8010b

struct wanted {
    uint8_t family;
    const char *set, *key;
    uint8_t key_bytes;
    bool has_value;
    uint32_t value;
};

static void assert_element(const struct nft_element *element, const struct wanted *want)
{
    assert_int_equal(element->family, want->family);
    assert_string_equal(element->set, want->set);
    assert_false(element->is_removal);
    assert_int_equal(element->key_bytes, want->key_bytes);
    assert_memory_equal(element->key, want->key, want->key_bytes);
    assert_int_equal(element->has_value, want->has_value);
    assert_int_equal(element->value, want->value);
}

/* Marks are in host order: this one reads the same both ways. */
static void each_set_has_its_members_in_its_own_form(void **unused)
{
    static const struct {
        struct member member;
        struct wanted want[FIREWALL_ELEMENTS_MAX];
        size_t count;
    } rows[] = {
        {{MEMBERS_PEERS, HOST, 0}, {{NFPROTO_INET, "peers", "\xc0\xa8\x01\x0b", 4, true, HOST}}, 1},
        {{MEMBERS_ORIGINS, SUBNET, 0x07010107},
         {{NFPROTO_INET, "origins", "\x0a\x2a\x02\x00\x07\x01\x01\x07", 8},
          {NFPROTO_NETDEV, "origins", "\x0a\x2a\x02\x00\x07\x01\x01\x07", 8}},
         2},
        {{MEMBERS_ENDPOINTS, CONTAINER, 0},
         {{NFPROTO_INET, "endpoints",
           "qv0a2a0105\0\0\0\0\0\0\x0a\x2a\x01\x05\x02\x51\x0a\x2a\x01\x05\0\0", 28}},
         1},
        {{MEMBERS_HOPS, SUBNET, 0x0a2a2a0a},
         {{NFPROTO_NETDEV, "hops", "\x0a\x2a\x02\x00", 4, true, 0x0a2a2a0a}},
         1},
        {{MEMBERS_DEVICES, CONTAINER, 7},
         {{NFPROTO_NETDEV, "veths", "\x0a\x2a\x01\x05", 4, true, 7}},
         1},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct nft_element elements[FIREWALL_ELEMENTS_MAX];

        assert_int_equal(firewall_elements(&rows[i].member, elements), rows[i].count);
        for (size_t k = 0; k < rows[i].count; k++)
            assert_element(&elements[k], &rows[i].want[k]);
    }
}

static void the_next_hop_is_an_address_as_packets_have_it(void **unused)
{
    const struct member hop = {MEMBERS_HOPS, SUBNET, SUBNET};
    struct nft_element elements[FIREWALL_ELEMENTS_MAX];

    assert_int_equal(firewall_elements(&hop, elements), 1);
    assert_memory_equal(&elements[0].value, "\x0a\x2a\x02\x00", 4);
}

static void the_host_that_speaks_for_a_subnet_is_the_mark_its_peer_has(void **unused)
{
    const struct member peer = {MEMBERS_PEERS, HOST, 0}, origin = {MEMBERS_ORIGINS, SUBNET, HOST};
    struct nft_element marks[FIREWALL_ELEMENTS_MAX], origins[FIREWALL_ELEMENTS_MAX];

    assert_int_equal(firewall_elements(&peer, marks), 1);
    assert_int_equal(firewall_elements(&origin, origins), 2);
    assert_memory_equal(origins[0].key + 4, &marks[0].value, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_set_has_its_members_in_its_own_form),
        cmocka_unit_test(the_next_hop_is_an_address_as_packets_have_it),
        cmocka_unit_test(the_host_that_speaks_for_a_subnet_is_the_mark_its_peer_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
