/* The hook by clsact. */
#include "lib/bpf/hook_clsact.h"

#include <errno.h>

#include "lib/net/tc.h"

int hook_clsact_attach(int ifindex, const struct set_loaded *program)
{
    AUTO_NL struct nl *nl = NULL;
    uint32_t id = 0;
    int r = nl_open(&nl);

    if (r == 0)
        r = tc_get_ingress(nl, ifindex, &id);
    if (r == 0 && id == program->id)
        return 0;
    if (r == 0 || r == -ENOENT)
        r = tc_set_ingress(nl, ifindex, program->fd);
    return r == 0 ? 1 : r;
}

int hook_clsact_detach(int ifindex)
{
    AUTO_NL struct nl *nl = NULL;
    uint32_t id;
    int r = nl_open(&nl);

    if (r == 0)
        r = tc_get_ingress(nl, ifindex, &id);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = tc_remove_ingress(nl, ifindex);
    return r == 0 ? 1 : r;
}
