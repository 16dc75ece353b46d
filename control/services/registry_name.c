/* Whose name is it? Operators and reservations go by names, so where nodes are told apart nobody
 * gets another's. */
#include <strings.h>

#include "control/services/registry_tables.h"
#include "lib/base/error.h"
#include "lib/base/list.h"

static bool is_name(const struct node_facts *facts, const char *hostname)
{
    return strcasecmp(facts->api.hostname, hostname) == 0;
}

static enum registry_outcome conflict(const struct api_node *namesake)
{
    char ip[IP4_TEXT_SIZE];

    (void)err_fail(
        EEXIST,
        "hostname: %s is the name of the node at %s (node %s), which is %s; take another "
        "(--hostname), or if that node is gone for good: quiltctl node rm %s",
        namesake->hostname, ip4_format(namesake->host_ip, ip), namesake->node_id,
        namesake->is_up ? "up" : "down", namesake->node_id);
    return REGISTRY_CONFLICT;
}

static bool gives_name(const struct registry_change *change, const char *hostname)
{
    if (change->type == REGISTRY_ADD)
        return is_name(&change->node->facts, hostname);
    return change->type == REGISTRY_UPDATE && is_name(&change->next, hostname);
}

/* Whatever is under way that gives or takes the name. */
static struct registry_change *find_busy(const struct registry *r, const char *hostname)
{
    struct registry_change *change;

    DL_FOREACH2(r->changes, change, next_change)
    {
        if (gives_name(change, hostname) ||
            (change->node && is_name(&change->node->facts, hostname)))
            return change;
    }
    return NULL;
}

enum registry_outcome registry_check_name(struct registry *r, const struct node *self,
                                          const char *hostname, struct registry_change **ret_change)
{
    const struct node *node;

    if (self && is_name(&self->facts, hostname))
        return REGISTRY_READY;
    *ret_change = find_busy(r, hostname);
    if (*ret_change)
        return REGISTRY_WAIT;
    DL_FOREACH(r->first, node)
    {
        if (node != self && is_name(&node->facts, hostname))
            return conflict(&node->facts.api);
    }
    return REGISTRY_READY;
}
