/* A server's certificates as others made them, its own first, and what its clients will say to
 * them: clients that have pinned a CA, and can pin only one that has signed itself. Pure.
 *
 *     own ─signed by─> intermediate ─signed by─> root      what the server has to show: own and
 *                                                intermediates; what clients pin: the root
 */
#pragma once

#include "lib/tls/trust.h"

#define TLS_CHAIN_CERTS_MAX 32

struct tls_chain;

/* All certificates of a PEM text, in their order; what else stands there does not matter. -EINVAL
 * with a text. */
int tls_chain_from_pem(const char *pem, size_t n, struct tls_chain **ret_chain);
void tls_chain_free(struct tls_chain *chain);
/* The server's own. */
const struct tls_cert *tls_chain_own(const struct tls_chain *chain);

/* The CAs among these that have signed themselves. Those that vouch for the server come first.
 * TLS_NOT_PINNED with a text when there is none, -EINVAL when there are more than a bundle takes.
 */
int tls_chain_roots(const struct tls_chain *chain, const struct tls_chain *among,
                    struct tls_trust **ret_roots);

/* Whether it can be shown with this key: -EINVAL with a text. */
int tls_chain_check_key(const struct tls_chain *chain, const struct tls_key *key);
/* Whether clients that believe these roots take it for a server's, its names and the time left
 * aside: TLS_UNKNOWN_ISSUER when what leads to a root is missing, else -EINVAL; with a text. */
int tls_chain_check(const struct tls_chain *chain, const struct tls_trust *roots);
/* Whether now is in the life of all that it takes to believe it, the first root included; 0,
 * TLS_NOT_YET_VALID or TLS_EXPIRED with a text. */
int tls_chain_check_time(const struct tls_chain *chain, const struct tls_trust *roots, int64_t now);

DEFINE_CLEANUP(struct tls_chain *, tls_chain_free);
#define AUTO_TLS_CHAIN CLEANUP(cleanup_tls_chain_free)
