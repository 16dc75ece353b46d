/* Any text as a bundle of CAs, and the CAs in it as a peer's chain: a bundle that is taken is taken
 * again, a CA is never a peer.
 *
 *     PEM [NUL a chain's first certificate in DER]
 */
#include <stdlib.h>
#include <string.h>

#include "lib/tls/trust.h"
#include "tests/fuzz/fuzz.h"

#define CLUSTER "0192f3a4-5b6c-7d8e-9f01-23456789abcd"
#define NOW 1767225600

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

static void verify(const struct tls_trust *trust, const uint8_t *der, size_t n)
{
    const struct tls_der chain[] = {{der, n}, {der, n}};

    for (size_t i = 0; i <= 2; i++) {
        const struct tls_question question = {chain, i, TLS_PURPOSE_CLIENT, CLUSTER, NOW};
        struct tls_peer peer;
        int r = tls_trust_verify(trust, &question, &peer);

        check(r >= 0 && (r != 0 || strcmp(peer.identity.cluster_id, CLUSTER) == 0));
        check(i == 1 || r != 0); /* nothing of a peer's own is a CA of ours */
    }
}

static void narrow(struct tls_trust *trust)
{
    struct sha256 pin = tls_cert_facts(tls_trust_ca(trust, 0))->spki;

    check(tls_trust_has_pin(trust, &pin));
    check(tls_trust_keep_pinned(trust, &pin, 1) >= 0 && tls_trust_count(trust) >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const uint8_t *nul = memchr(bytes, '\0', n);
    size_t pem_n = nul ? (size_t)(nul - bytes) : n;
    AUTO_TLS_TRUST struct tls_trust *trust = NULL, *again = NULL;
    AUTO_FREE char *pem = NULL;

    if (tls_trust_from_pem((const char *)bytes, pem_n, &trust) < 0)
        return 0;
    check(tls_trust_count(trust) >= 1 && tls_trust_count(trust) <= TLS_BUNDLE_CAS_MAX);
    if (nul)
        verify(trust, nul + 1, n - pem_n - 1);
    pem = tls_trust_to_pem(trust);
    if (strlen(pem) <= TLS_BUNDLE_MAX) {
        check(tls_trust_from_pem(pem, strlen(pem), &again) == 0);
        check(tls_trust_count(again) == tls_trust_count(trust));
    }
    narrow(trust);
    return 0;
}
