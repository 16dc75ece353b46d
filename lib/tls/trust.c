/* A bundle of CAs, read, written, and cut down to those that are pinned. */
#include "lib/tls/trust.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "lib/tls/internal.h"

static bool is_same(const struct tls_cert *a, const struct tls_cert *b)
{
    return gnutls_x509_crt_equals(a->handle, b->handle) != 0;
}

int tls_trust_add(struct tls_trust *trust, struct tls_cert *taken)
{
    AUTO_TLS_CERT struct tls_cert *cert = taken;

    if (!cert->facts.is_ca)
        return err_fail(EINVAL, "%s is not a CA's certificate (CA:true is missing)",
                        cert->facts.subject);
    for (size_t i = 0; i < trust->count; i++)
        if (is_same(trust->cas[i], cert))
            return 0;
    if (trust->count == TLS_BUNDLE_CAS_MAX)
        return err_fail(EINVAL, "more than %d CAs", TLS_BUNDLE_CAS_MAX);
    trust->cas[trust->count++] = TAKE_PTR(cert);
    return 0;
}

static int add_all(struct tls_trust *trust, const char *pem, size_t n)
{
    AUTO_TLS_CHAIN struct tls_chain *certs = NULL;
    int r = tls_chain_from_pem(pem, n, &certs);

    for (size_t i = 0; r == 0 && i < certs->count; i++)
        r = tls_trust_add(trust, TAKE_PTR(certs->certs[i]));
    return r;
}

int tls_trust_from_pem(const char *pem, size_t n, struct tls_trust **ret_trust)
{
    AUTO_TLS_TRUST struct tls_trust *trust = NEW(struct tls_trust);
    int r = add_all(trust, pem, n);

    if (r < 0)
        return err_wrap(r, "bundle of CAs");
    *ret_trust = TAKE_PTR(trust);
    return 0;
}

void tls_trust_free(struct tls_trust *trust)
{
    for (size_t i = 0; trust && i < trust->count; i++)
        tls_cert_free(trust->cas[i]);
    free(trust);
}

char *tls_trust_to_pem(const struct tls_trust *trust)
{
    struct strbuf text = {0};

    for (size_t i = 0; i < trust->count; i++) {
        AUTO_FREE char *pem = tls_cert_to_pem(trust->cas[i]);

        strbuf_adds(&text, pem);
    }
    return strbuf_take(&text);
}

size_t tls_trust_count(const struct tls_trust *trust)
{
    return trust->count;
}

const struct tls_cert *tls_trust_ca(const struct tls_trust *trust, size_t index)
{
    return trust->cas[index];
}

/* ---- pins ---------------------------------------------------------------------------------- */

struct tls_pins tls_trust_pins(const struct tls_trust *trust)
{
    struct tls_pins pins = {.count = trust->count};

    for (size_t i = 0; i < trust->count; i++)
        pins.items[i] = trust->cas[i]->facts.spki;
    return pins;
}

bool tls_trust_has_pin(const struct tls_trust *trust, const struct sha256 *pin)
{
    for (size_t i = 0; i < trust->count; i++)
        if (sha256_equal(&trust->cas[i]->facts.spki, pin))
            return true;
    return false;
}

/* What a pin vouches for is a key. Only its owner can say what else stands in the certificate. */
static bool is_pinned(const struct tls_cert *ca, const struct sha256 *pins, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sha256_equal(&ca->facts.spki, &pins[i]))
            return tls_cert_is_signed_by(ca, ca);
    return false;
}

bool tls_trust_is_pinned(const struct tls_trust *trust, const struct sha256 *pins, size_t count)
{
    for (size_t i = 0; i < trust->count; i++)
        if (!is_pinned(trust->cas[i], pins, count))
            return false;
    return true;
}

int tls_trust_keep_pinned(struct tls_trust *trust, const struct sha256 *pins, size_t count)
{
    struct tls_trust kept = {.count = 0}, dropped = {.count = 0};

    for (size_t i = 0; i < trust->count; i++) {
        struct tls_trust *side = is_pinned(trust->cas[i], pins, count) ? &kept : &dropped;

        side->cas[side->count++] = trust->cas[i];
    }
    if (kept.count == 0) {
        (void)err_fail(EACCES,
                       "none of the %zu CAs is the one of the token: this is another "
                       "cluster's control plane, or somebody between",
                       trust->count);
        return TLS_NOT_PINNED;
    }
    for (size_t i = 0; i < dropped.count; i++)
        tls_cert_free(dropped.cas[i]);
    *trust = kept;
    return 0;
}
