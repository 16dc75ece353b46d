/* Container addresses: one array entry per address, which says from when on it is free. */
#include "runtime/ipam.h"

#include <string.h>

#include "lib/base/mem.h"

#define IPAM_HELD INT64_MAX

static uint32_t address_count(struct ip4_prefix subnet)
{
    return 1U << (32 - subnet.len);
}

void ipam_init(struct ipam *ipam, struct ip4_prefix subnet)
{
    *ipam = (struct ipam){.subnet = subnet};
    ipam->free_from_ms = mem_zalloc(address_count(subnet) * sizeof *ipam->free_from_ms);
}

void ipam_deinit(struct ipam *ipam)
{
    free(ipam->free_from_ms);
    *ipam = (struct ipam){0};
}

void ipam_copy(struct ipam *ipam, const struct ipam *from)
{
    *ipam = *from;
    if (from->free_from_ms)
        ipam->free_from_ms =
            mem_copy(from->free_from_ms, address_count(from->subnet) * sizeof *from->free_from_ms);
}

uint32_t ipam_size(const struct ipam *ipam)
{
    return ipam->free_from_ms ? address_count(ipam->subnet) - 2 : 0;
}

uint32_t ipam_free_count(const struct ipam *ipam)
{
    return ipam_size(ipam) - ipam->used_count;
}

/* Host numbers run from 1 to ipam_size(); 0 is the network, the one behind the last is broadcast.
 */
static bool is_container_address(const struct ipam *ipam, uint32_t addr)
{
    uint32_t host = addr - ipam->subnet.addr;

    return ipam->free_from_ms && host >= 1 && host <= ipam_size(ipam);
}

static void hold(struct ipam *ipam, uint32_t addr)
{
    ipam->free_from_ms[addr - ipam->subnet.addr] = IPAM_HELD;
    ipam->used_count++;
    ipam->last = addr;
}

int ipam_take_next(struct ipam *ipam, int64_t now_ms, uint32_t *ret_addr)
{
    uint32_t size = ipam_size(ipam);
    uint32_t start = is_container_address(ipam, ipam->last) ? ipam->last - ipam->subnet.addr : 0;
    uint32_t best = 0;

    for (uint32_t i = 0; i < size; i++) {
        uint32_t host = (start + i) % size + 1;

        if (ipam->free_from_ms[host] == IPAM_HELD)
            continue;
        if (best == 0 || ipam->free_from_ms[host] < ipam->free_from_ms[best])
            best = host;
        if (ipam->free_from_ms[host] <= now_ms) {
            best = host;
            break;
        }
    }
    if (best == 0)
        return IPAM_EXHAUSTED;
    hold(ipam, ipam->subnet.addr + best);
    *ret_addr = ipam->subnet.addr + best;
    return 0;
}

int ipam_take(struct ipam *ipam, uint32_t addr)
{
    if (!is_container_address(ipam, addr))
        return IPAM_OUTSIDE;
    if (ipam->free_from_ms[addr - ipam->subnet.addr] == IPAM_HELD)
        return IPAM_TAKEN;
    hold(ipam, addr);
    return 0;
}

void ipam_release(struct ipam *ipam, uint32_t addr, int64_t now_ms)
{
    int64_t *free_from_ms;

    if (!is_container_address(ipam, addr))
        return;
    free_from_ms = &ipam->free_from_ms[addr - ipam->subnet.addr];
    if (*free_from_ms != IPAM_HELD)
        return;
    *free_from_ms = now_ms + IPAM_REST_MS;
    ipam->used_count--;
}
