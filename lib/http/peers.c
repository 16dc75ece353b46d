/* Counts connections, so that neither all together nor one address's can be too many. */
#include "lib/base/hash.h"
#include "lib/http/server_internal.h"

struct peer {
    uint32_t addr;
    unsigned int connections;
    UT_hash_handle hh;
};

static struct peer *find(const struct http_server *server, uint32_t addr)
{
    struct peer *peer;

    HASH_FIND(hh, server->peers, &addr, sizeof addr, peer);
    return peer;
}

bool http_peers_have_room(const struct http_server *server, uint32_t addr)
{
    const struct peer *peer = find(server, addr);

    if (server->connection_count >= server->config.max_connections)
        return false;
    return !peer || peer->connections < server->config.max_per_address;
}

void http_peers_add(struct http_server *server, uint32_t addr)
{
    struct peer *peer;

    server->connection_count++;
    if (server->config.max_per_address == 0)
        return;
    peer = find(server, addr);
    if (!peer) {
        peer = NEW(struct peer);
        peer->addr = addr;
        HASH_ADD(hh, server->peers, addr, sizeof peer->addr, peer);
    }
    peer->connections++;
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
