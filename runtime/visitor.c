/* Who may do what over TLS. */
#include "runtime/visitor.h"

#include <string.h>

#include "lib/tls/pki_files.h"

#define VIEWER_NAME "viewer"

static enum rpc_role role_of_user(const char *name)
{
    if (strcmp(name, PKI_ADMIN_NAME) == 0)
        return RPC_MASTER;
    return strcmp(name, VIEWER_NAME) == 0 ? RPC_READER : RPC_STRANGER;
}

enum rpc_role visitor_role(const struct tls_peer *peer, const struct tls_identity *own,
                           const struct sha256 *own_key)
{
    if (strcmp(peer->identity.cluster_id, own->cluster_id) != 0)
        return RPC_STRANGER;
    switch (peer->identity.kind) {
    case TLS_KIND_NODE:
        return strcmp(peer->identity.name, own->name) == 0 && sha256_equal(&peer->spki, own_key)
                   ? RPC_MASTER
                   : RPC_STRANGER;
    case TLS_KIND_USER:
        return role_of_user(peer->identity.name);
    case TLS_KIND_CONTROL:
    case TLS_KIND_COUNT:
        break;
    }
    return RPC_STRANGER;
}
