/* Who is who, as it must never be: a part of the oracle.
 *
 * A token is one node's, and whoever has it is that node. A process that registers again, because
 * its message came twice or the answer was lost, begins no new generation by that.
 */
#include <string.h>

#include "lib/base/hash.h"
#include "tests/sim/sim.h"

struct known {
    char id[UUID_TEXT_SIZE];
    char token_sha256[SHA256_HEX_SIZE];
    uint64_t revision;                /* that gave it the token */
    char instance_id[UUID_TEXT_SIZE]; /* that registered last; "": none was told */
    int64_t generation;               /* that it was told */
    UT_hash_handle hh;
};

static struct known *nodes; /* by id */

static struct known *find(const char *id)
{
    struct known *k;

    HASH_FIND_STR(nodes, id, k);
    return k;
}

static struct known *find_token(const char *token_sha256)
{
    struct known *k, *next;

    HASH_ITER (hh, nodes, k, next) {
        if (strcmp(k->token_sha256, token_sha256) == 0)
            return k;
    }
    return NULL;
}

/* Who comes from the address of a node that is down is that node from then on, and has a token of
 * its own: the host that was it before, and came elsewhere meanwhile, need not be it again. */
static void excuse_former_keeper(const char *id, const char *token_sha256)
{
    for (size_t i = 1; i < sim.host_count; i++) {
        struct host *host = &sim.hosts[i];
        char digest[SHA256_HEX_SIZE];

        if (strcmp(host->keeps_id, id) != 0)
            continue;
        sha256_hex(host->agent.state.new_token, strlen(host->agent.state.new_token), digest);
        if (!host->process.is_running || strcmp(digest, token_sha256) != 0)
            host->keeps_id[0] = '\0';
    }
}

void oracle_identity_stored(const struct node_facts *facts, uint64_t revision)
{
    const struct known *same = find_token(facts->token_sha256);
    struct known *k = find(facts->api.node_id);

    if (same && same != k)
        sim_violate("%s gets the token of %s", facts->api.node_id, same->id);
    if (!k) {
        k = NEW(struct known);
        memcpy(k->id, facts->api.node_id, sizeof k->id);
        HASH_ADD_STR(nodes, id, k);
    }
    if (strcmp(k->token_sha256, facts->token_sha256) != 0) {
        k->revision = revision;
        excuse_former_keeper(k->id, facts->token_sha256);
    }
    memcpy(k->token_sha256, facts->token_sha256, sizeof k->token_sha256);
    /* Another has registered, and may never be answered. */
    if (facts->instance_id[0] && strcmp(facts->instance_id, k->instance_id) != 0)
        k->instance_id[0] = '\0';
}

void oracle_identity_deleted(const char *id)
{
    struct known *k = find(id);

    if (!k)
        return;
    HASH_DEL(nodes, k);
    free(k);
}

void oracle_identity_answered(const char *instance_id, const struct api_register_reply *reply)
{
    struct known *k = find(reply->node_id);

    if (!k)
        return;
    if (instance_id && strcmp(instance_id, k->instance_id) == 0 &&
        reply->generation != k->generation)
        sim_violate("%s registers twice in one process, and its generation goes from %" PRId64
                    " to %" PRId64,
                    k->id, k->generation, reply->generation);
    memcpy(k->instance_id, instance_id ? instance_id : "", instance_id ? UUID_TEXT_SIZE : 1);
    k->generation = reply->generation;
}

const char *oracle_token_owner(const char *token, uint64_t revision)
{
    char digest[SHA256_HEX_SIZE];
    const struct known *k;

    sha256_hex(token, strlen(token), digest);
    k = find_token(digest);
    return k && k->revision <= revision ? k->id : "";
}

void oracle_identity_deinit(void)
{
    while (nodes)
        oracle_identity_deleted(nodes->id);
}
