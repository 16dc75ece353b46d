/* The other nodes, and what is believed of them. */
#include "agent/peers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/sorted.h"

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

/* ---- who claims a subnet ------------------------------------------------------------------- */

struct peers_claim {
    uint32_t addr; /* the subnet's network address */
    struct peer *first;
    UT_hash_handle hh;
};

static struct peers_claim *find_claim(const struct peers *peers, uint32_t addr)
{
    struct peers_claim *claim;

    HASH_FIND(hh, peers->claims, &addr, sizeof addr, claim);
    return claim;
}

static void join_claim(struct peers *peers, struct peer *peer)
{
    uint32_t addr = peer->node.subnet.addr;
    struct peers_claim *claim = find_claim(peers, addr);

    if (!claim) {
        claim = NEW(struct peers_claim);
        claim->addr = addr;
        HASH_ADD(hh, peers->claims, addr, sizeof claim->addr, claim);
    }
    peer->next_claimant = claim->first;
    peer->previous_claimant = NULL;
    if (claim->first)
        claim->first->previous_claimant = peer;
    claim->first = peer;
}

static void leave_claim(struct peers *peers, const struct peer *peer)
{
    struct peers_claim *claim = find_claim(peers, peer->node.subnet.addr);

    if (peer->next_claimant)
        peer->next_claimant->previous_claimant = peer->previous_claimant;
    if (peer->previous_claimant)
        peer->previous_claimant->next_claimant = peer->next_claimant;
    else
        claim->first = peer->next_claimant;
    if (claim->first)
        return;
    HASH_DEL(peers->claims, claim);
    free(claim);
}

/* ---- the table ----------------------------------------------------------------------------- */

static void forget(struct peers *peers, struct peer *peer)
{
    HASH_DEL(peers->by_id, peer);
    leave_claim(peers, peer);
    peers->missing_count -= peer->is_missing;
    free(peer);
}

void peers_deinit(struct peers *peers)
{
    struct peer *peer, *next;

    HASH_ITER (hh, peers->by_id, peer, next)
        forget(peers, peer);
    free(peers->wanted);
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

/* Nobody can tell which of two claimants of one subnet is right, so neither gets its packets; but
 * one that is listed is more right than one that is missing, and than one that was missing before
 * all were: those that were heard of last count. */
static enum peer_verdict judge_among(const struct peer *peer, uint64_t latest, size_t count)
{
    if (peer->list_serial < latest)
        return PEER_REPLACED;
    return count > 1 ? PEER_SUBNET_TWICE : PEER_WANTED;
}

static bool is_news(const struct peer *peer)
{
    return peer->verdict != peer->said &&
           (peer_verdict_problem(peer->verdict) || peer_verdict_problem(peer->said));
}

/* Of the claimants that stand alone for themselves: the latest list that had one, and how many that
 * had. */
static uint64_t find_latest(const struct peers *peers, const struct peers_claim *claim,
                            size_t *ret_count)
{
    uint64_t latest = 0;

    *ret_count = 0;
    for (const struct peer *peer = claim->first; peer; peer = peer->next_claimant) {
        if (judge_alone(&peers->self, &peer->node) != PEER_WANTED)
            continue;
        if (*ret_count == 0 || peer->list_serial > latest) {
            latest = peer->list_serial;
            *ret_count = 1;
        } else {
            *ret_count += peer->list_serial == latest;
        }
    }
    return latest;
}

/* All claimants of a subnet; whether any verdict is another one now. *ret_wanted: the one that is
 * wanted, or NULL. */
static bool judge_claim(struct peers *peers, const struct peers_claim *claim,
                        const struct peer **ret_wanted)
{
    size_t count;
    uint64_t latest = find_latest(peers, claim, &count);
    bool is_changed = false;

    *ret_wanted = NULL;
    for (struct peer *peer = claim->first; peer; peer = peer->next_claimant) {
        enum peer_verdict before = peer->verdict;

        peer->verdict = judge_alone(&peers->self, &peer->node);
        if (peer->verdict == PEER_WANTED)
            peer->verdict = judge_among(peer, latest, count);
        if (peer->verdict == PEER_WANTED)
            *ret_wanted = peer;
        is_changed |= peer->verdict != before;
        peers->is_replacing |= (peer->verdict == PEER_REPLACED) != (before == PEER_REPLACED);
        peers->has_news |= is_news(peer);
    }
    return is_changed;
}

static void reserve_wanted(struct peers *peers, size_t count)
{
    if (count <= peers->wanted_size)
        return;
    peers->wanted_size = 2 * count;
    peers->wanted = mem_resize(peers->wanted, peers->wanted_size, sizeof *peers->wanted);
}

static struct overlay_peer overlay_peer_of(const struct peer *peer)
{
    return (struct overlay_peer){.vtep = peer->node.subnet.addr,
                                 .host_ip = peer->node.host_ip,
                                 .found_bytes = peer->found_bytes};
}

/* Whether any verdict is another one now. */
static bool judge(struct peers *peers)
{
    const struct peers_claim *claim;
    bool is_changed = false;

    reserve_wanted(peers, HASH_COUNT(peers->claims));
    peers->wanted_count = 0;
    for (claim = peers->claims; claim; claim = claim->hh.next) {
        const struct peer *wanted;

        is_changed |= judge_claim(peers, claim, &wanted);
        if (wanted)
            peers->wanted[peers->wanted_count++] = overlay_peer_of(wanted);
    }
    sorted_sort(peers->wanted, peers->wanted_count, sizeof *peers->wanted, overlay_peer_compare);
    return is_changed;
}

/* Where the wanted peer of this subnet is, or would be. */
static size_t find_wanted(const struct peers *peers, uint32_t vtep)
{
    const struct overlay_peer key = {.vtep = vtep};

    return sorted_place(&key, peers->wanted, peers->wanted_count, sizeof key, overlay_peer_compare);
}

/* One subnet only: what is said of a node changes nothing for those of others. */
static bool judge_subnet(struct peers *peers, uint32_t addr)
{
    const struct peers_claim *claim = find_claim(peers, addr);
    const struct peer *wanted = NULL;
    bool is_changed = claim && judge_claim(peers, claim, &wanted);
    size_t at = find_wanted(peers, addr);
    bool was_wanted = at < peers->wanted_count && peers->wanted[at].vtep == addr;
    struct overlay_peer *place;

    reserve_wanted(peers, peers->wanted_count + 1);
    place = &peers->wanted[at];
    if (was_wanted && !wanted)
        memmove(place, place + 1, (--peers->wanted_count - at) * sizeof *place);
    if (!was_wanted && wanted)
        memmove(place + 1, place, (peers->wanted_count++ - at) * sizeof *place);
    if (wanted)
        *place = overlay_peer_of(wanted);
    return is_changed;
}

void peers_set_self(struct peers *peers, const struct peers_self *self)
{
    struct peer *peer;

    peers->self = *self;
    peer = find(peers, self->node_id);
    if (peer)
        forget(peers, peer);
    (void)judge(peers);
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
    } else {
        leave_claim(peers, peer);
    }
    if (peer->node.host_ip != node->host_ip)
        peer->found_bytes = 0;
    peer->node = *node;
    join_claim(peers, peer);
    peers->missing_count -= peer->is_missing;
    peer->is_missing = false;
    peer->list_serial = peers->list_serial;
    peers->is_alone = false;
    return is_changed;
}

/* For good: what a later list lacks is missing from what was told. */
static void note_told(struct peers *peers)
{
    peers->is_told |= peers->list_serial > 0 && peers->missing_count == 0;
}

bool peers_take_node(struct peers *peers, const struct api_node *node)
{
    const struct peer *peer = find(peers, node->node_id);
    uint32_t before = peer ? peer->node.subnet.addr : node->subnet.addr;
    bool was_missing = peer && peer->is_missing, is_changed = take(peers, node);

    note_told(peers);
    if (!is_changed && !was_missing)
        return false;
    if (before != node->subnet.addr)
        is_changed |= judge_subnet(peers, before);
    return judge_subnet(peers, node->subnet.addr) || is_changed;
}

bool peers_note_found(struct peers *peers, const char *node_id, uint32_t bytes)
{
    struct peer *peer = find(peers, node_id);

    if (!peer || peer->found_bytes == bytes)
        return false;
    peer->found_bytes = bytes;
    (void)judge_subnet(peers, peer->node.subnet.addr);
    return true;
}

bool peers_take_deleted(struct peers *peers, const char *node_id)
{
    struct peer *peer = find(peers, node_id);
    uint32_t addr;

    if (!peer)
        return false;
    addr = peer->node.subnet.addr;
    forget(peers, peer);
    note_told(peers);
    (void)judge_subnet(peers, addr);
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
    bool is_changed = false;

    mark_missing(peers, now_ms);
    if (is_believable(&m))
        is_changed = forget_missing(peers, now_ms);
    else if (!peers->is_alone)
        is_changed = forget_missing(peers, now_ms - confirm_ms);
    note_told(peers);
    return is_changed;
}

bool peers_take_list(struct peers *peers, const struct api_node *nodes, size_t count,
                     int64_t now_ms, int64_t confirm_ms)
{
    bool is_changed = false;

    peers->list_serial++;
    for (size_t i = 0; i < count; i++)
        is_changed |= take(peers, &nodes[i]);
    is_changed |= settle_missing(peers, now_ms, confirm_ms);
    return judge(peers) || is_changed;
}

bool peers_take_same_list(struct peers *peers, int64_t now_ms, int64_t confirm_ms)
{
    bool is_changed = peers->missing_count > 0 && settle_missing(peers, now_ms, confirm_ms);

    if (is_changed)
        (void)judge(peers);
    return is_changed;
}

bool peers_are_told(const struct peers *peers)
{
    return peers->is_told;
}

bool peers_believe_list(struct peers *peers)
{
    bool is_changed = forget_missing(peers, INT64_MAX);

    note_told(peers);
    if (is_changed)
        (void)judge(peers);
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

const struct peer *peers_find(const struct peers *peers, const char *node_id)
{
    return find(peers, node_id);
}

const struct peer *peers_find_wanted(const struct peers *peers, uint32_t vtep)
{
    const struct peers_claim *claim = find_claim(peers, vtep);

    for (const struct peer *peer = claim ? claim->first : NULL; peer; peer = peer->next_claimant)
        if (peer->verdict == PEER_WANTED)
            return peer;
    return NULL;
}

size_t peers_count(const struct peers *peers)
{
    return HASH_COUNT(peers->by_id);
}

struct overlay_peer *peers_wanted(const struct peers *peers, size_t *ret_count)
{
    struct overlay_peer *wanted = mem_array(peers->wanted_count + 1, sizeof *wanted);

    for (size_t i = 0; i < peers->wanted_count; i++)
        wanted[i] = peers->wanted[i];
    *ret_count = peers->wanted_count;
    return wanted;
}
