/* Who has how many connections, and who goes when there are too many.
 *
 *     address ──> peer ──┬─ crowd: idle  ──> guest, guest, ...   the one idle for longest first
 *                        └─ crowd: streams ──> guest, ...        the oldest first
 *
 *     ranks: the crowds by size, one list a power of two, so that the largest is found at once
 *            however many addresses there are
 *
 * Whoever takes all it can get must not keep the others out. So who comes when there is no room is
 * not refused: he takes the place of one of the greediest address that nobody has vouched for.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/base/hash.h"
#include "lib/http/server_internal.h"

struct peer {
    uint32_t addr;
    unsigned int connections;
    unsigned int going; /* of these, told to end */
    struct http_crowd crowds[HTTP_GUEST_KINDS];
    UT_hash_handle hh;
};

static struct peer *find(const struct http_server *server, uint32_t addr)
{
    struct peer *peer;

    HASH_FIND(hh, server->peers, &addr, sizeof addr, peer);
    return peer;
}

static struct peer *find_or_add(struct http_server *server, uint32_t addr)
{
    struct peer *peer = find(server, addr);

    if (peer)
        return peer;
    peer = NEW(struct peer);
    peer->addr = addr;
    for (size_t i = 0; i < HTTP_GUEST_KINDS; i++) {
        ring_init(&peer->crowds[i].guests);
        ring_init(&peer->crowds[i].rank);
    }
    HASH_ADD(hh, server->peers, addr, sizeof peer->addr, peer);
    return peer;
}

void http_peers_init(struct http_server *server)
{
    for (size_t kind = 0; kind < HTTP_GUEST_KINDS; kind++)
        for (size_t i = 0; i < HTTP_RANKS; i++)
            ring_init(&server->ranks[kind][i]);
}

void http_peers_add(struct http_server *server, uint32_t addr)
{
    server->connection_count++;
    find_or_add(server, addr)->connections++;
}

void http_peers_remove(struct http_server *server, uint32_t addr)
{
    struct peer *peer = find(server, addr);

    server->connection_count--;
    if (!peer || --peer->connections > 0)
        return;
    HASH_DEL(server->peers, peer);
    free(peer);
}

/* ---- guests ---------------------------------------------------------------------------------- */

static unsigned int rank_of(unsigned int count)
{
    return 31U - (unsigned int)__builtin_clz(count);
}

static void set_count(struct http_server *server, struct http_crowd *crowd,
                      enum http_guest_kind kind, unsigned int count)
{
    unsigned int before = crowd->count;

    crowd->count = count;
    if (count == 0)
        ring_remove(&crowd->rank);
    else if (before == 0 || rank_of(before) != rank_of(count))
        ring_append(&server->ranks[kind][rank_of(count)], &crowd->rank);
}

void http_guest_init(struct http_guest *guest, enum http_guest_kind kind)
{
    *guest = (struct http_guest){.kind = kind};
    ring_init(&guest->ring);
}

void http_guest_wait(struct http_server *server, uint32_t addr, struct http_guest *guest)
{
    struct http_crowd *crowd;

    if (guest->is_going)
        return;
    http_guest_hold(server, guest);
    guest->peer = find_or_add(server, addr);
    crowd = &guest->peer->crowds[guest->kind];
    ring_append(&crowd->guests, &guest->ring);
    set_count(server, crowd, guest->kind, crowd->count + 1);
}

void http_guest_hold(struct http_server *server, struct http_guest *guest)
{
    struct http_crowd *crowd;

    if (ring_is_empty(&guest->ring))
        return;
    crowd = &guest->peer->crowds[guest->kind];
    ring_remove(&guest->ring);
    set_count(server, crowd, guest->kind, crowd->count - 1);
}

void http_guest_leave(struct http_server *server, struct http_guest *guest)
{
    http_guest_hold(server, guest);
    if (!guest->is_going)
        return;
    guest->is_going = false;
    guest->peer->going--;
    server->going--;
}

/* ---- room ------------------------------------------------------------------------------------ */

static void tell_to_go(struct http_server *server, struct http_guest *guest)
{
    http_guest_hold(server, guest);
    guest->is_going = true;
    guest->peer->going++;
    server->going++;
    server->displaced++;
    switch (guest->kind) {
    case HTTP_GUEST_IDLE:
        http_conn_cut(CONTAINER_OF(guest, struct http_conn, guest));
        break;
    case HTTP_GUEST_STREAM:
        http_stream_displace(guest);
    }
}

static bool displace_of(struct http_server *server, const struct http_crowd *crowd)
{
    if (crowd->count == 0)
        return false;
    tell_to_go(server, CONTAINER_OF(crowd->guests.next, struct http_guest, ring));
    return true;
}

static bool displace_own(struct http_server *server, const struct peer *peer)
{
    for (size_t kind = 0; kind < HTTP_GUEST_KINDS; kind++)
        if (displace_of(server, &peer->crowds[kind]))
            return true;
    return false;
}

static bool displace_greediest(struct http_server *server)
{
    for (size_t kind = 0; kind < HTTP_GUEST_KINDS; kind++)
        for (size_t i = HTTP_RANKS; i-- > 0;)
            if (!ring_is_empty(&server->ranks[kind][i]))
                return displace_of(
                    server, CONTAINER_OF(server->ranks[kind][i].next, struct http_crowd, rank));
    return false;
}

bool http_peers_make_room(struct http_server *server, uint32_t addr)
{
    const struct peer *peer = find(server, addr);

    if (server->config.max_per_address != 0 && peer &&
        peer->connections - peer->going >= server->config.max_per_address &&
        !displace_own(server, peer))
        return false;
    return server->connection_count - server->going < server->config.max_connections ||
           http_lingers_displace(server) || displace_greediest(server);
}
