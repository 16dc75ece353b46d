/* The other nodes, and what is believed of them. */
#include "agent/peers.h"

#include <assert.h>
#include <string.h>

/* As many may vanish from a list without a word. */
#define MISSING_BELIEVED_MAX 2

static const char *const verdict_problems[] = {
    [PEER_WANTED] = NULL,
    [PEER_DOWN] = NULL,
    [PEER_SUBNET_SIZE] = "its subnet is not of the cluster's node size",
    [PEER_SUBNET_OUTSIDE] = "its subnet is outside the cluster's network",
    [PEER_OUR_SUBNET] = "it claims this node's own subnet",
    [PEER_OUR_HOST_IP] = "it claims this node's own host IP",
    [PEER_HOST_IP_UNUSABLE] = "its host IP is no address that a host can have",
    [PEER_HOST_IP_INSIDE] = "its host IP is inside the cluster's own network",
    [PEER_SUBNET_TWICE] = "another node claims the same subnet",
    [PEER_REPLACED] = NULL,
};
static_assert(ARRAY_LEN(verdict_problems) == PEER_VERDICT_COUNT, "each verdict has its words");

const char *peer_verdict_problem(enum peer_verdict verdict)
{
    return verdict_problems[verdict];
}

static void forget(struct peers *peers, struct peer *peer)
{
    HASH_DEL(peers->by_id, peer);
    peers->missing_count -= peer->is_missing;
    free(peer);
}

void peers_deinit(struct peers *peers)
{
    struct peer *peer, *next;

    HASH_ITER (hh, peers->by_id, peer, next)
        forget(peers, peer);
    *peers = (struct peers){0};
}

static struct peer *find(const struct peers *peers, const char *node_id)
{
    struct peer *peer;

    HASH_FIND_STR(peers->by_id, node_id, peer);
    return peer;
}

/* ---- verdicts ------------------------------------------------------------------------------ */

static enum peer_verdict judge_alone(const struct peers_self *self, const struct api_node *node)
{
    if (!node->is_up)
        return PEER_DOWN;
    if (node->subnet.len != self->node_prefix_len)
        return PEER_SUBNET_SIZE;
    if (!ip4_prefix_covers(self->cluster_cidr, node->subnet))
        return PEER_SUBNET_OUTSIDE;
    if (ip4_prefix_equal(node->subnet, self->subnet))
        return PEER_OUR_SUBNET;
    if (node->host_ip == self->host_ip)
        return PEER_OUR_HOST_IP;
    if (!ip4_is_unicast_host(node->host_ip)) /* a group's address would have the kernel flood */
        return PEER_HOST_IP_UNUSABLE;
    if (ip4_prefix_contains(self->cluster_cidr, node->host_ip))
        return PEER_HOST_IP_INSIDE;
    return PEER_WANTED;
}

/* Of one subnet, those that are missing come last. */
static int by_subnet(const void *a, const void *b)
{
    const struct peer *x = *(struct peer *const *)a, *y = *(struct peer *const *)b;
    uint32_t sx = x->node.subnet.addr, sy = y->node.subnet.addr;

    return sx == sy ? x->is_missing - y->is_missing : (sx > sy) - (sx < sy);
}

/* Nobody can tell which of two claimants of one subnet is right, so neither gets its packets; but
 * one that is listed is more right than one that is missing. */
static void judge_together(struct peer **sorted, size_t count)
{
    struct peer *first = count > 0 ? sorted[0] : NULL;

    for (size_t i = 1; i < count; i++) {
        if (sorted[i]->node.subnet.addr != first->node.subnet.addr)
            first = sorted[i];
        else if (sorted[i]->is_missing && !first->is_missing)
            sorted[i]->verdict = PEER_REPLACED;
        else
            sorted[i]->verdict = first->verdict = PEER_SUBNET_TWICE;
    }
}

static void judge(struct peers *peers)
{
    size_t total = HASH_COUNT(peers->by_id), count = 0;
    AUTO_FREE struct peer **sorted = mem_array(total + 1, sizeof *sorted);
    struct peer *peer, *next;

    HASH_ITER (hh, peers->by_id, peer, next) {
        peer->verdict = judge_alone(&peers->self, &peer->node);
        if (peer->verdict == PEER_WANTED)
            sorted[count++] = peer;
    }
    if (count > 1)
        qsort(sorted, count, sizeof(struct peer *), by_subnet);
    judge_together(sorted, count);
    peers->wanted_count = 0;
    for (size_t i = 0; i < count; i++)
        peers->wanted_count += sorted[i]->verdict == PEER_WANTED;
}

void peers_set_self(struct peers *peers, const struct peers_self *self)
{
    struct peer *peer;

    peers->self = *self;
    peer = find(peers, self->node_id);
    if (peer)
        forget(peers, peer);
    judge(peers);
}

/* ---- what is said -------------------------------------------------------------------------- */

static bool node_differs(const struct api_node *a, const struct api_node *b)
{
    return a->host_ip != b->host_ip || !ip4_prefix_equal(a->subnet, b->subnet) ||
           a->is_up != b->is_up || strcmp(a->hostname, b->hostname) != 0;
}

/* Without a new judgement. */
static bool take(struct peers *peers, const struct api_node *node)
{
    struct peer *peer;
    bool is_changed;

    if (strcmp(node->node_id, peers->self.node_id) == 0)
        return false;
    peer = find(peers, node->node_id);
    is_changed = !peer || node_differs(&peer->node, node);
    if (!peer) {
        peer = NEW(struct peer);
        memcpy(peer->node.node_id, node->node_id, sizeof peer->node.node_id);
        HASH_ADD_STR(peers->by_id, node.node_id, peer);
    }
    peer->node = *node;
    peers->missing_count -= peer->is_missing;
    peer->is_missing = false;
    peer->list_serial = peers->list_serial;
    peers->is_alone = false;
    return is_changed;
}

bool peers_take_node(struct peers *peers, const struct api_node *node)
{
    bool is_changed = take(peers, node);

    if (is_changed)
        judge(peers);
    return is_changed;
}

bool peers_take_deleted(struct peers *peers, const char *node_id)
{
    struct peer *peer = find(peers, node_id);

    if (!peer)
        return false;
    forget(peers, peer);
    judge(peers);
    return true;
}

/* ---- what is missing ----------------------------------------------------------------------- */

struct missing {
    size_t up; /* missing ones that were up */
    size_t known_up;
};

static bool is_listed(const struct peers *peers, const struct peer *peer)
{
    return peer->list_serial == peers->list_serial;
}

static struct missing count_missing(const struct peers *peers)
{
    struct missing m = {0};
    const struct peer *peer, *next;

    HASH_ITER (hh, peers->by_id, peer, next) {
        m.known_up += peer->node.is_up;
        m.up += peer->node.is_up && !is_listed(peers, peer);
    }
    return m;
}

static bool is_believable(const struct missing *m)
{
    if (m->up == 0)
        return true;
    return m->up < m->known_up && (m->up <= MISSING_BELIEVED_MAX || 2 * m->up <= m->known_up);
}

/* Those that have been missing since then, or for longer. */
static bool forget_missing(struct peers *peers, int64_t since_ms)
{
    struct peer *peer, *next;
    bool is_changed = false;

    HASH_ITER (hh, peers->by_id, peer, next) {
        if (!peer->is_missing || peer->missing_since_ms > since_ms)
            continue;
        forget(peers, peer);
        is_changed = true;
    }
    return is_changed;
}

static void mark_missing(struct peers *peers, int64_t now_ms)
{
    struct peer *peer, *next;

    peers->is_alone = true;
    HASH_ITER (hh, peers->by_id, peer, next) {
        if (is_listed(peers, peer)) {
            peers->is_alone = false;
        } else if (!peer->is_missing) {
            peer->is_missing = true;
            peer->missing_since_ms = now_ms;
            peers->missing_count++;
        }
    }
}

static bool settle_missing(struct peers *peers, int64_t now_ms, int64_t confirm_ms)
{
    const struct missing m = count_missing(peers);

    mark_missing(peers, now_ms);
    if (is_believable(&m))
        return forget_missing(peers, now_ms);
    return !peers->is_alone && forget_missing(peers, now_ms - confirm_ms);
}

bool peers_take_list(struct peers *peers, const struct api_node *nodes, size_t count,
                     int64_t now_ms, int64_t confirm_ms)
{
    bool is_changed = false;

    peers->list_serial++;
    for (size_t i = 0; i < count; i++)
        is_changed |= take(peers, &nodes[i]);
    is_changed |= settle_missing(peers, now_ms, confirm_ms);
    if (is_changed)
        judge(peers);
    return is_changed;
}

bool peers_take_same_list(struct peers *peers, int64_t now_ms, int64_t confirm_ms)
{
    bool is_changed = peers->missing_count > 0 && settle_missing(peers, now_ms, confirm_ms);

    if (is_changed)
        judge(peers);
    return is_changed;
}

bool peers_believe_list(struct peers *peers)
{
    bool is_changed = forget_missing(peers, INT64_MAX);

    if (is_changed)
        judge(peers);
    return is_changed;
}

int64_t peers_confirm_at_ms(const struct peers *peers, int64_t confirm_ms)
{
    const struct peer *peer, *next;
    int64_t since_ms = INT64_MAX;

    if (peers->missing_count == 0 || peers->is_alone)
        return INT64_MAX;
    HASH_ITER (hh, peers->by_id, peer, next) {
        if (peer->is_missing && peer->missing_since_ms < since_ms)
            since_ms = peer->missing_since_ms;
    }
    return since_ms + confirm_ms;
}

size_t peers_count(const struct peers *peers)
{
    return HASH_COUNT(peers->by_id);
}

struct overlay_peer *peers_wanted(const struct peers *peers, size_t *ret_count)
{
    struct overlay_peer *wanted = mem_array(peers->wanted_count + 1, sizeof *wanted);
    const struct peer *peer, *next;
    size_t count = 0;

    HASH_ITER (hh, peers->by_id, peer, next) {
        if (peer->verdict != PEER_WANTED)
            continue;
        wanted[count++] =
            (struct overlay_peer){.vtep = peer->node.subnet.addr, .host_ip = peer->node.host_ip};
    }
    if (count > 1)
        qsort(wanted, count, sizeof *wanted, overlay_peer_compare);
    *ret_count = count;
    return wanted;
}
