/* Reservations: their table, and the plans to make one and to take it back. */
#include <string.h>
#include <strings.h>

#include "control/services/registry_tables.h"
#include "lib/base/error.h"
#include "lib/base/list.h"

/* ---- the table ----------------------------------------------------------------------------- */

struct reservation *registry_find_reservation(const struct registry *r, const char *host)
{
    struct reservation *reservation;

    HASH_FIND(by_host, r->by_host, host, strlen(host), reservation);
    return reservation;
}

/* Another node has it, and nothing is under way about that. */
static bool is_taken(const struct registry *r, const struct reservation *reservation)
{
    return r->pool.states[reservation->subnet_index] == POOL_USED &&
           !registry_find_change_of_subnet(r, reservation->subnet_index);
}

/* Who goes by its address more than by its name: the address cannot be claimed by just anybody. But
 * hosts trade addresses, and a node keeps its subnet when it moves: then the name's is still there.
 */
struct reservation *registry_reservation_for(const struct registry *r, uint32_t host_ip,
                                             const char *hostname)
{
    char host[HOSTNAME_TEXT_SIZE] = "";
    struct reservation *of_address = registry_find_reservation(r, ip4_format(host_ip, host));
    struct reservation *of_name = NULL;

    if (of_address && !is_taken(r, of_address))
        return of_address;
    if (api_reservation_host(hostname, host) == 0)
        of_name = registry_find_reservation(r, host);
    return of_name ? of_name : of_address;
}

static struct reservation *find_by_index(const struct registry *r, uint32_t index)
{
    struct reservation *reservation;

    DL_FOREACH(r->reservations, reservation)
    {
        if (reservation->subnet_index == index)
            return reservation;
    }
    return NULL;
}

static struct reservation *hold(struct registry *r, const struct api_reservation *facts,
                                uint32_t index)
{
    struct reservation *reservation = NEW(struct reservation);

    reservation->facts = *facts;
    reservation->subnet_index = index;
    HASH_ADD(by_host, r->by_host, facts.host, strlen(reservation->facts.host), reservation);
    DL_APPEND(r->reservations, reservation);
    pool_set_aside(&r->pool, index);
    return reservation;
}

void registry_let_go(struct registry *r, struct reservation *reservation)
{
    pool_set_free(&r->pool, reservation->subnet_index);
    HASH_DELETE(by_host, r->by_host, reservation);
    DL_DELETE(r->reservations, reservation);
}

int registry_load_reservation(struct registry *r, const struct store_record *record)
{
    AUTO_JSON json_t *body = NULL;
    struct api_reservation facts;
    uint32_t index;

    if (json_parse(record->body, strlen(record->body), &body) < 0 ||
        api_reservation_from_json(body, &facts) < 0)
        return registry_damaged(record, err_text());
    if (!pool_index(&r->pool, facts.subnet, &index))
        return registry_damaged(record, "is none of the cluster's subnets");
    if (find_by_index(r, index) || registry_find_reservation(r, facts.host))
        return registry_damaged(record, "its subnet or its host has another reservation");
    hold(r, &facts, index)->revision = record->revision;
    return 0;
}

void registry_add_reservations(const struct registry *r, struct strbuf *out)
{
    const struct reservation *reservation;
    bool is_first = true;

    strbuf_adds(out, "\"reservations\":[");
    DL_FOREACH(r->reservations, reservation)
    {
        if (reservation->revision == 0)
            continue; /* not stored yet */
        if (!is_first)
            strbuf_adds(out, ",");
        is_first = false;
        api_reservation_to_json(&reservation->facts, out);
    }
    strbuf_adds(out, "],");
}

void registry_reservations_to_json(const struct registry *r, struct strbuf *out)
{
    strbuf_adds(out, "{");
    registry_add_reservations(r, out);
    registry_add_origin(r, out);
    strbuf_adds(out, "}");
}

/* ---- making one ---------------------------------------------------------------------------- */

static bool is_of_host(const struct node_facts *facts, const char *host)
{
    char ip[IP4_TEXT_SIZE];

    return strcasecmp(facts->api.hostname, host) == 0 ||
           (facts->holds_address && strcmp(ip4_format(facts->api.host_ip, ip), host) == 0);
}

static bool is_about(const struct registry_change *change, const char *host, uint32_t index)
{
    if (change->subnet_index == index)
        return true;
    if (change->reservation)
        return strcmp(change->reservation->facts.host, host) == 0;
    if (change->type == REGISTRY_UPDATE && is_of_host(&change->next, host))
        return true;
    return change->node && is_of_host(&change->node->facts, host);
}

/* Whatever is under way about the subnet, or makes the host a node. */
static struct registry_change *find_busy(const struct registry *r, const char *host, uint32_t index)
{
    struct registry_change *change;

    DL_FOREACH2(r->changes, change, next_change)
    {
        if (is_about(change, host, index))
            return change;
    }
    return NULL;
}

static enum registry_outcome check_subnet(const struct registry *r, struct ip4_prefix subnet,
                                          uint32_t *ret_index)
{
    char text[IP4_PREFIX_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];

    (void)ip4_prefix_format(subnet, text);
    if (subnet.len != r->pool.subnet_len || !ip4_prefix_covers(r->pool.cidr, subnet)) {
        (void)err_fail(EINVAL, "subnet: %s is no /%u of the cluster's network %s", text,
                       r->pool.subnet_len, ip4_prefix_format(r->pool.cidr, cidr));
        return REGISTRY_INVALID;
    }
    if (!pool_index(&r->pool, subnet, ret_index)) {
        (void)err_fail(EINVAL, "subnet: %s, as the cluster's first and last, is never handed out",
                       text);
        return REGISTRY_INVALID;
    }
    return REGISTRY_CHANGE;
}

static enum registry_outcome check_reservations(const struct registry *r, const char *host,
                                                uint32_t index)
{
    const struct reservation *of_host = registry_find_reservation(r, host);
    const struct reservation *of_subnet = find_by_index(r, index);
    char text[IP4_PREFIX_TEXT_SIZE];

    if (of_host && of_host == of_subnet)
        return REGISTRY_READY;
    if (of_subnet) {
        (void)err_fail(EEXIST, "subnet: %s is reserved for %s",
                       registry_subnet_text(r, index, text), of_subnet->facts.host);
        return REGISTRY_CONFLICT;
    }
    if (of_host) {
        (void)err_fail(EEXIST, "host: %s has %s reserved; take that back first", host,
                       registry_subnet_text(r, of_host->subnet_index, text));
        return REGISTRY_CONFLICT;
    }
    return REGISTRY_CHANGE;
}

static const struct node *find_node(const struct registry *r, const char *host, uint32_t index,
                                    bool *ret_has_subnet)
{
    const struct node *node, *of_host = NULL;

    DL_FOREACH(r->first, node)
    {
        *ret_has_subnet = node->subnet_index == index;
        if (*ret_has_subnet)
            return node;
        if (is_of_host(&node->facts, host))
            of_host = node;
    }
    *ret_has_subnet = false;
    return of_host;
}

/* A node keeps its subnet for good, so a reservation beside it would never be honoured. One that
 * has the very subnet may: it gets it again should it ever be forgotten. */
static enum registry_outcome check_nodes(const struct registry *r, const char *host, uint32_t index)
{
    bool has_subnet;
    const struct node *node = find_node(r, host, index, &has_subnet);
    char text[IP4_PREFIX_TEXT_SIZE];

    if (!node || (has_subnet && is_of_host(&node->facts, host)))
        return REGISTRY_CHANGE;
    (void)registry_subnet_text(r, node->subnet_index, text);
    if (has_subnet)
        (void)err_fail(EEXIST, "subnet: %s is in use by %s (node %s)", text,
                       node->facts.api.hostname, node->facts.api.node_id);
    else
        (void)err_fail(EEXIST, "host: %s has %s (node %s), and keeps it until it is removed", host,
                       text, node->facts.api.node_id);
    return REGISTRY_CONFLICT;
}

static enum registry_outcome begin(struct registry *r, const struct api_reservation *facts,
                                   uint32_t index, struct moment now,
                                   struct registry_change **ret_change)
{
    struct registry_change *change = registry_change_new(REGISTRY_RESERVE, NULL, now);
    char subnet[IP4_PREFIX_TEXT_SIZE];
    struct strbuf body = {0};

    api_reservation_to_json(facts, &body);
    store_add_create(&change->set, RESERVATION_KIND, registry_subnet_text(r, index, subnet),
                     facts->host, strbuf_take(&body));
    change->subnet_index = index;
    change->reservation = hold(r, facts, index);
    registry_begin(r, change);
    *ret_change = change;
    return REGISTRY_CHANGE;
}

enum registry_outcome registry_plan_reserve(struct registry *r, const struct api_reservation *wish,
                                            struct moment now, struct registry_change **ret_change)
{
    struct api_reservation facts = *wish;
    enum registry_outcome outcome;
    struct registry_change *busy;
    uint32_t index;

    outcome = check_subnet(r, wish->subnet, &index);
    if (outcome != REGISTRY_CHANGE)
        return outcome;
    busy = find_busy(r, wish->host, index);
    if (busy) {
        *ret_change = busy;
        return REGISTRY_WAIT;
    }
    outcome = check_reservations(r, wish->host, index);
    if (outcome == REGISTRY_CHANGE)
        outcome = check_nodes(r, wish->host, index);
    facts.created_at = now.unix_s;
    return outcome == REGISTRY_CHANGE ? begin(r, &facts, index, now, ret_change) : outcome;
}

/* ---- taking it back ------------------------------------------------------------------------ */

enum registry_outcome registry_plan_unreserve(struct registry *r, const char *host,
                                              struct moment now,
                                              struct registry_change **ret_change)
{
    struct reservation *reservation = registry_find_reservation(r, host);
    struct registry_change *change;
    char subnet[IP4_PREFIX_TEXT_SIZE];

    if (!reservation)
        return REGISTRY_UNRESERVED;
    if (reservation->change) {
        *ret_change = reservation->change;
        return REGISTRY_WAIT;
    }
    change = registry_change_new(REGISTRY_UNRESERVE, NULL, now);
    change->subnet_index = reservation->subnet_index;
    change->reservation = reservation;
    store_add_delete(&change->set, RESERVATION_KIND,
                     registry_subnet_text(r, reservation->subnet_index, subnet),
                     reservation->revision);
    registry_begin(r, change);
    *ret_change = change;
    return REGISTRY_CHANGE;
}
