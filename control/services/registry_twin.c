/* Who else would be this node: what was sent before somebody else had registered, a process that
 * comes after another, or one beside it. The rules are in registry.h. */
#include <string.h>

#include "control/services/registry_tables.h"
#include "lib/base/error.h"

/* After two of three heartbeats that are missing, with all their repetitions, an agent counts as
 * ended; there is time left to begin anew before the node is down. */
static int64_t proving_silence_ms(const struct monitor *m)
{
    return m->timeout_ms * 2 / 3;
}

static bool is_other(const struct node *node, const struct api_register_request *request)
{
    return request->instance_id && strcmp(request->instance_id, node->facts.instance_id) != 0;
}

/* Who had heard of the node's latest change had reason to ask all the same. */
static bool node_is_past(const struct node *node, const struct api_register_request *request)
{
    return request->instance_id && request->known.revision < node->revision &&
           (is_other(node, request) || node->facts.has_left);
}

/* It was let in before, and only the store did not take it. */
static bool is_heir(const struct node *node, const struct api_register_request *request)
{
    return request->instance_id && strcmp(request->instance_id, node->heir_id) == 0;
}

/* First-release clients tell nothing that a twin could be known by. */
static bool may_be_beside(const struct node *node, const struct api_register_request *request)
{
    const struct node_facts *facts = &node->facts;
    bool is_at_home = request->home_id && strcmp(request->home_id, facts->home_id) == 0;

    return facts->api.is_up && facts->instance_id[0] && is_other(node, request) && !is_at_home &&
           !is_heir(node, request);
}

static void note_suitor(struct node *node, const char *instance_id)
{
    struct node_suitor *suitor = &node->suitor;

    if (strcmp(suitor->instance_id, instance_id) == 0)
        return;
    *suitor = (struct node_suitor){0};
    memcpy(suitor->instance_id, instance_id, sizeof suitor->instance_id);
}

static enum registry_outcome twin(const struct node *node)
{
    const struct api_node *api = &node->facts.api;
    char ip[IP4_TEXT_SIZE];

    (void)ip4_format(api->host_ip, ip);
    if (node->suitor.is_twin)
        (void)err_fail(EEXIST,
                       "another agent is running as this node (%s, %s at %s): this host is a copy "
                       "of that one, or the other way round; to make it a node of its own, stop "
                       "its agent, remove its state directory and start it again",
                       api->node_id, api->hostname, ip);
    else
        (void)err_fail(EEXIST,
                       "another agent was running as this node (%s, %s at %s) a moment ago; this "
                       "one is let in when that one is silent",
                       api->node_id, api->hostname, ip);
    return REGISTRY_TWIN;
}

enum registry_outcome registry_check_suitor(const struct registry *r, struct node *node,
                                            const struct api_register_request *request,
                                            struct moment now, int64_t *ret_wait_ms)
{
    int64_t left_ms;

    if (node_is_past(node, request))
        return REGISTRY_STALE;
    if (may_be_beside(node, request)) {
        note_suitor(node, request->instance_id);
        left_ms = proving_silence_ms(&r->monitor) -
                  monitor_silence_ms(&r->monitor, &node->watch, now.boot_ms);
        *ret_wait_ms = node->suitor.is_twin ? 0 : left_ms;
        if (left_ms > 0 || node->suitor.is_twin)
            return twin(node);
    }
    if (is_other(node, request))
        node->suitor = (struct node_suitor){0};
    return REGISTRY_READY;
}
