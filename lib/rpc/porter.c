/* Asks the kernel about the other end of a socket. */
#include "lib/rpc/porter.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define GROUPS_MAX 1024 /* of one process, that are looked at */
#define NO_UID UINT32_MAX

static bool is_master(uint32_t uid)
{
    return uid == 0 || uid == (uint32_t)geteuid();
}

/* ---- unix ----------------------------------------------------------------------------------- */

static bool has_group(int fd, const struct ucred *peer, gid_t wanted)
{
    AUTO_FREE gid_t *groups = mem_array(GROUPS_MAX, sizeof *groups);
    socklen_t size = GROUPS_MAX * sizeof *groups;

    if (peer->gid == wanted)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof *groups; i++) {
        if (groups[i] == wanted)
            return true;
    }
    return false;
}

/* Looked at each time: an operator may give the socket to another group while it is open. */
static bool is_in_group(int fd, const struct ucred *peer, const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && has_group(fd, peer, st.st_gid);
}

static void recognize_unix(const char *path, struct guest *guest)
{
    struct ucred peer = {.uid = NO_UID, .gid = NO_UID};
    socklen_t size = sizeof peer;

    guest->role = RPC_STRANGER;
    if (getsockopt(guest->client.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        peer.uid = NO_UID;
    guest->key = peer.uid;
    (void)snprintf(guest->name, sizeof guest->name, "uid %u (process %d)", peer.uid, peer.pid);
    if (peer.uid != NO_UID && (is_master(peer.uid) || is_in_group(guest->client.fd, &peer, path)))
        guest->role = RPC_MASTER;
}

/* ---- TCP ------------------------------------------------------------------------------------ */

static int get_ends(int fd, struct rpc_ends *ret_ends)
{
    struct sockaddr_in near = {0}, far = {0};
    socklen_t near_size = sizeof near, far_size = sizeof far;

    if (getsockname(fd, (struct sockaddr *)&near, &near_size) < 0 ||
        getpeername(fd, (struct sockaddr *)&far, &far_size) < 0)
        return err_sys(errno, "look at a connection");
    *ret_ends = (struct rpc_ends){.near_addr = ntohl(near.sin_addr.s_addr),
                                  .near_port = ntohs(near.sin_port),
                                  .far_addr = ntohl(far.sin_addr.s_addr),
                                  .far_port = ntohs(far.sin_port)};
    return 0;
}

static void recognize_uid(const struct rpc_door_config *config, const struct rpc_ends *ends,
                          struct guest *guest)
{
    uint32_t uid = NO_UID;

    if (config->find_uid(ends, &uid, config->find_data) < 0) {
        log_debug("cannot tell whose connection it is", LOG_S("who", guest->name), LOG_ERR());
        guest->role = RPC_STRANGER;
        guest->key = NO_UID;
        return;
    }
    guest->role = is_master(uid) ? RPC_MASTER : RPC_STRANGER;
    guest->key = uid;
    (void)snprintf(guest->name, sizeof guest->name, "uid %u", uid);
}

static void recognize_tcp(const struct rpc_door_config *config, struct guest *guest)
{
    struct rpc_ends ends = {0};
    char text[IP4_TEXT_SIZE];

    guest->role = RPC_STRANGER;
    guest->key = NO_UID;
    if (get_ends(guest->client.fd, &ends) < 0)
        return;
    (void)snprintf(guest->name, sizeof guest->name, "%s:%u", ip4_format(ends.far_addr, text),
                   ends.far_port);
    guest->key = ends.far_addr;
    if (config->tls)
        guest->role = RPC_NOBODY;
    else if (config->find_uid)
        recognize_uid(config, &ends, guest);
    else
        guest->role = RPC_MASTER;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static void name_peer(struct guest *guest, const struct tls_identity *identity)
{
    AUTO_FREE char *addr = mem_strdup(guest->name);

    (void)snprintf(guest->name, sizeof guest->name, "%s%s%s (%s)", tls_kind_word(identity->kind),
                   identity->name[0] ? " " : "", identity->name, addr);
}

void porter_recognize_peer(const struct rpc_door_config *config, const struct tls_keyring *own,
                           struct guest *guest)
{
    const struct tls_peer *peer = tls_session_peer(guest->client.tls);

    guest->role = config->tls->judge(peer, own, config->find_data);
    if (guest->role == RPC_NOBODY)
        guest->role = RPC_STRANGER;
    name_peer(guest, &peer->identity);
}

bool porter_knows_still(const struct rpc_door_config *config, const struct tls_keyring *own,
                        const struct guest *guest)
{
    const struct tls_peer *peer = tls_session_peer(guest->client.tls);

    return clock_unix_s() <= peer->not_after && tls_trust_has_pin(own->trust, &peer->ca_spki) &&
           config->tls->judge(peer, own, config->find_data) == guest->role;
}

/* ---- all ------------------------------------------------------------------------------------ */

void porter_recognize(const struct rpc_door_config *config, struct guest *guest)
{
    if (config->listen->path)
        recognize_unix(config->listen->path, guest);
    else
        recognize_tcp(config, guest);
}
