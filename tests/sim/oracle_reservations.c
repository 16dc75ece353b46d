/* Who gets which subnet, as it must never be: a part of the oracle.
 *
 * What is reserved for a host is for a new node of that host and for no other; and such a node gets
 * nothing else, unless another node of its name has it.
 */
#include <string.h>

#include "lib/base/error.h"
#include "tests/sim/oracle_tables.h"

struct reserved {
    char subnet[IP4_PREFIX_TEXT_SIZE];
    struct api_reservation facts;
    UT_hash_handle hh;
};

static struct reserved *reservations; /* by subnet */

static struct reserved *find(const char *subnet)
{
    struct reserved *r;

    HASH_FIND_STR(reservations, subnet, r);
    return r;
}

static bool is_for(const struct reserved *r, const struct api_node *node)
{
    char ip[IP4_TEXT_SIZE];

    return strcmp(r->facts.host, node->hostname) == 0 ||
           strcmp(r->facts.host, ip4_format(node->host_ip, ip)) == 0;
}

static void take_back(struct reserved *r)
{
    HASH_DEL(reservations, r);
    free(r);
}

static void note_new(const char *subnet, const char *body)
{
    AUTO_JSON json_t *value = NULL;
    struct reserved *r = NEW(struct reserved);
    const struct truth *owner;

    if (json_parse(body, strlen(body), &value) < 0 ||
        api_reservation_from_json(value, &r->facts) < 0) {
        sim_violate("the reservation of %s cannot be read: %s", subnet, err_text());
        free(r);
        return;
    }
    owner = oracle_find(oracle_lease_of(r->facts.subnet)->owner);
    if (owner && !is_for(r, &owner->facts.api))
        sim_violate("%s is reserved for %s but is %s's", subnet, r->facts.host,
                    owner->facts.api.hostname);
    (void)ip4_prefix_format(r->facts.subnet, r->subnet);
    HASH_ADD_STR(reservations, subnet, r);
}

void oracle_reservation_stored(const struct store_op *op)
{
    struct reserved *r = find(op->id);

    if (!r == (op->verb == STORE_DELETE))
        sim_violate("the reservation of %s is %s", op->id, r ? "made twice" : "not there");
    else if (r)
        take_back(r);
    else
        note_new(op->id, op->body);
}

void oracle_reservations_check(const struct api_node *node)
{
    char subnet[IP4_PREFIX_TEXT_SIZE];
    const struct reserved *r = find(ip4_prefix_format(node->subnet, subnet)), *next;

    if (r && !is_for(r, node))
        sim_violate("%s gets %s, which is reserved for %s", node->hostname, subnet, r->facts.host);
    if (r)
        return;
    HASH_ITER (hh, reservations, r, next) {
        if (is_for(r, node) && !oracle_lease_of(r->facts.subnet)->owner[0])
            sim_violate("%s gets %s, and has %s reserved", node->hostname, subnet, r->subnet);
    }
}

void oracle_reservations_deinit(void)
{
    while (reservations)
        take_back(reservations);
}
