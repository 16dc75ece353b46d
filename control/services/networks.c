/* A list of networks. */
#include "control/services/networks.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

static int add(struct networks *networks, const char *word)
{
    if (networks->count == NETWORKS_MAX)
        return err_fail(EINVAL, "more than %d networks", NETWORKS_MAX);
    return ip4_prefix_parse(word, &networks->list[networks->count++]);
}

int networks_parse(const char *text, struct networks *ret_networks)
{
    AUTO_FREE char *copy = mem_strdup(text);
    struct networks networks = {0};
    char *rest = copy, *word;
    int r = 0;

    while (r == 0 && (word = strsep(&rest, ",")))
        r = add(&networks, word);
    if (r == 0)
        *ret_networks = networks;
    return r;
}

bool networks_contain(const struct networks *networks, uint32_t addr)
{
    for (size_t i = 0; i < networks->count; i++)
        if (ip4_prefix_contains(networks->list[i], addr))
            return true;
    return false;
}
