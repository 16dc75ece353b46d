/* Elements of the firewall's sets, as bytes.
 *
 *     peers      | host | -> mark            origins  | subnet | mark |
 *     endpoints  | device's name, 16 | address | MAC, 6 and 2 of padding |
 */
#include "runtime/firewall_elements.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "lib/base/mem.h"
#include "runtime/endpoints.h"
#include "runtime/firewall.h"

static const char *const set_names[] = {
    [MEMBERS_PEERS] = FIREWALL_PEERS,
    [MEMBERS_ORIGINS] = FIREWALL_ORIGINS,
    [MEMBERS_ENDPOINTS] = FIREWALL_ENDPOINTS,
};
static_assert(ARRAY_LEN(set_names) == MEMBERS_SET_COUNT, "a name for each set");

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

static void put_endpoint(struct nft_element *element, uint32_t addr)
{
    struct mac mac = mac_from_ip4(addr);
    char name[IFNAMSIZ] = "";
    uint8_t padded[8] = {0};

    endpoint_host_ifname(addr, name);
    put(element, name, sizeof name);
    put_addr(element, addr);
    memcpy(padded, mac.bytes, sizeof mac.bytes);
    put(element, padded, sizeof padded);
}

struct nft_element firewall_element(const struct member *member, bool is_removal)
{
    struct nft_element element = {.set = set_names[member->set], .is_removal = is_removal};

    switch (member->set) {
    case MEMBERS_PEERS: /* its mark is the address as a number */
        put_addr(&element, member->addr);
        element.has_value = true;
        element.value = member->addr;
        break;
    case MEMBERS_ORIGINS:
        put_addr(&element, member->addr);
        put(&element, &member->host, sizeof member->host);
        break;
    case MEMBERS_ENDPOINTS:
        put_endpoint(&element, member->addr);
        break;
    case MEMBERS_SET_COUNT:
        break;
    }
    return element;
}
