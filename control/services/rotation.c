/* Replacing the cluster's CA: whom the next step waits for. */
#include "control/services/rotation.h"

#include <assert.h>
#include <string.h>

static const char *const words[] = {
    [ROTATION_SETTLED] = "settled",
    [ROTATION_PUBLISHED] = "published",
    [ROTATION_PROMOTED] = "promoted",
};
static_assert(ARRAY_LEN(words) == ROTATION_COUNT, "a word a step");

const char *rotation_step_word(enum rotation_step step)
{
    return words[step];
}

/* Who has its own file of given CAs follows nobody, and has nothing to. */
static bool knows_cas(const struct node *node, const struct rotation_view *view)
{
    const char *known = node->report.ca_sha256;

    return strcmp(known, view->told_sha256) == 0 ||
           (view->given_sha256 && strcmp(known, view->given_sha256) == 0);
}

static bool is_behind(const struct node *node, const struct rotation_view *view)
{
    switch (view->step) {
    case ROTATION_PUBLISHED:
        return !knows_cas(node, view);
    case ROTATION_PROMOTED:
        return node->facts.key_sha256[0] && !sha256_equal(&node->ca_spki, &view->signer_spki);
    case ROTATION_SETTLED:
    case ROTATION_COUNT:
        break;
    }
    return false;
}

const struct node *rotation_next_laggard(const struct registry *registry,
                                         const struct rotation_view *view, const struct node *after)
{
    const struct node *node = after ? after->next : registry->first;

    for (; node; node = node->next) {
        if (view->is_forced && !node->facts.api.is_up)
            continue;
        if (!node->facts.has_left && is_behind(node, view))
            return node;
    }
    return NULL;
}
