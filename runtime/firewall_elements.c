/* Elements of the firewall's sets, as bytes.
 *
 *     inet    peers      | host | -> mark         origins  | subnet | mark |
 *             endpoints  | device's name, 16 | address | MAC, 6 and 2 of padding |
 *     netdev  origins    as above                 hops     | subnet | -> next hop
 *             veths      | address | -> index of the device
 */
#include "runtime/firewall_elements.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <string.h>

#include "lib/base/mem.h"
#include "runtime/endpoints.h"
#include "runtime/firewall.h"
#include "runtime/short_cut.h"

/* All parts have a length that is padded already. */
static void put(struct nft_element *element, const void *part, size_t n)
{
    memcpy(element->key + element->key_bytes, part, n);
    element->key_bytes = (uint8_t)(element->key_bytes + n);
}

static void put_addr(struct nft_element *element, uint32_t addr)
{
    uint32_t addr_be = htonl(addr);

    put(element, &addr_be, sizeof addr_be);
}

static struct nft_element value_at(uint8_t family, const char *map, uint32_t addr, uint32_t value)
{
    struct nft_element element = {.family = family, .set = map, .has_value = true, .value = value};

    put_addr(&element, addr);
    return element;
}

static struct nft_element origin_of(uint8_t family, const struct member *origin)
{
    struct nft_element element = {.family = family, .set = FIREWALL_ORIGINS};

    put_addr(&element, origin->addr);
    put(&element, &origin->to, sizeof origin->to);
    return element;
}

static struct nft_element endpoint_at(uint32_t addr)
{
    struct nft_element element = {.family = NFPROTO_INET, .set = FIREWALL_ENDPOINTS};
    struct mac mac = mac_from_ip4(addr);
    char name[IFNAMSIZ] = "";
    uint8_t padded[8] = {0};

    endpoint_host_ifname(addr, name);
    put(&element, name, sizeof name);
    put_addr(&element, addr);
    memcpy(padded, mac.bytes, sizeof mac.bytes);
    put(&element, padded, sizeof padded);
    return element;
}

size_t firewall_elements(const struct member *member,
                         struct nft_element ret[static FIREWALL_ELEMENTS_MAX])
{
    switch (member->set) {
    case MEMBERS_PEERS: /* its mark is the address as a number */
        ret[0] = value_at(NFPROTO_INET, FIREWALL_PEERS, member->addr, member->addr);
        return 1;
    case MEMBERS_ORIGINS:
        ret[0] = origin_of(NFPROTO_INET, member);
        ret[1] = origin_of(NFPROTO_NETDEV, member);
        return 2;
    case MEMBERS_ENDPOINTS:
        ret[0] = endpoint_at(member->addr);
        return 1;
    case MEMBERS_HOPS:
        ret[0] = value_at(NFPROTO_NETDEV, SHORT_CUT_HOPS, member->addr, htonl(member->to));
        return 1;
    case MEMBERS_DEVICES:
        ret[0] = value_at(NFPROTO_NETDEV, SHORT_CUT_DEVICES, member->addr, member->to);
        return 1;
    case MEMBERS_SET_COUNT:
        break;
    }
    return 0;
}
