/* What the firewall is told: who the peers are, and what the operator opens. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/sorted.h"
#include "runtime/firewall.h"

static int compare_peers(const void *a, const void *b)
{
    const struct firewall_peer *x = a, *y = b;

    if (x->host != y->host)
        return x->host < y->host ? -1 : 1;
    return x->subnet < y->subnet ? -1 : x->subnet > y->subnet;
}

size_t firewall_sort_peers(struct firewall_peer *peers, size_t count)
{
    size_t kept = 0;

    sorted_sort(peers, count, sizeof *peers, compare_peers);
    for (size_t i = 0; i < count; i++) {
        if (peers[i].host != 0 && (kept == 0 || compare_peers(&peers[kept - 1], &peers[i]) != 0))
            peers[kept++] = peers[i];
    }
    return kept;
}

static int compare_ports(const void *a, const void *b)
{
    const struct firewall_port *x = a, *y = b;

    if (x->is_tcp != y->is_tcp)
        return x->is_tcp ? 1 : -1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int open_port(struct firewall_policy *policy, struct firewall_port port)
{
    for (size_t i = 0; i < policy->port_count; i++) {
        if (compare_ports(&policy->ports[i], &port) == 0)
            return 0;
    }
    if (policy->port_count == FIREWALL_PORTS_MAX)
        return err_fail(ENOSPC, "more than %d ports; use 'hosts' to open all", FIREWALL_PORTS_MAX);
    policy->ports[policy->port_count++] = port;
    sorted_sort(policy->ports, policy->port_count, sizeof port, compare_ports);
    return 0;
}

int firewall_open(struct firewall_policy *policy, const char *word)
{
    const char *slash = strchr(word, '/');
    AUTO_FREE char *number_text = NULL;
    uint64_t number;

    if (strcmp(word, "hosts") == 0) {
        policy->are_hosts_open = true;
        return 0;
    }
    if (strcmp(word, "metadata") == 0) {
        policy->is_metadata_open = true;
        return 0;
    }
    if (!slash || (strcmp(slash, "/tcp") != 0 && strcmp(slash, "/udp") != 0))
        return err_fail(EINVAL, "'%.64s' is not PORT/tcp, PORT/udp, metadata or hosts", word);
    number_text = mem_printf("%.*s", (int)(slash - word), word);
    if (parse_u64(number_text, UINT16_MAX, &number) < 0 || number == 0)
        return err_fail(EINVAL, "'%.64s' is no port from 1 to 65535", number_text);
    return open_port(policy, (struct firewall_port){.is_tcp = strcmp(slash, "/tcp") == 0,
                                                    .number = (uint16_t)number});
}
