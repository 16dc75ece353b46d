/* What this host has of a mesh that speaks TLS: the control plane's directory, an agent's, or both.
 * Touches the disk.
 *
 *     --tls-dir, or /var/lib/quilt-mesh/pki, or /var/lib/quilt-mesh-control/pki
 *         admin.pem, admin-key.pem, ca-bundle.pem     make this host's root an admin
 *         told-bundle.pem                             in place of that, where a CA was given
 *         told-url, server.pem                        say where the control plane is
 *     STATE_DIR/tls
 *         node.pem, node-key.pem, ca.pem              let it look as this node
 *         ca.pem alone                                says whom to believe
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"
#include "lib/tls/cert.h"

#define LOCAL_PLACES_MAX 3
#define LOCAL_ADDRS_MAX 15

/* Where there is all that it takes, and it can be read. */
struct local_place {
    char *ca_file;
    char *cert_file; /* NULL, as is the key: there is nothing to show */
    char *key_file;
};

struct local {
    struct local_place places[LOCAL_PLACES_MAX]; /* best first */
    size_t count;
    bool is_locked; /* there is a place that this user may not look into */
};

/* Fails only when --tls-dir was given and is no such directory: -errno with a text. */
int local_find(const struct cli *cli, struct local *ret_local);
void local_deinit(struct local *local);

/* The addresses in the certificate of the control plane that has its directory here: loopback comes
 * first, then in their order. 0: there is none, or this user may not know. */
size_t local_addrs(const struct cli *cli, uint32_t ret_addrs[static LOCAL_ADDRS_MAX]);

/* Where others find it, which is a name that its certificate is for: "https://HOST:PORT". Caller
 * frees. NULL: it has not said so, or as above. */
char *local_url(const struct cli *cli);

/* This node's certificate. -ENOENT: there is none; or another error with a text. */
int local_node_cert(const struct cli *cli, struct tls_cert **ret_cert);

#define AUTO_LOCAL CLEANUP(local_deinit)
