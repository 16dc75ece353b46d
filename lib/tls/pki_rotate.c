/* Replacing the CA, step by step. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/tls/pki_internal.h"

static struct sha256 pin_of(const struct tls_ca *ca)
{
    return tls_key_spki(tls_ca_key(ca));
}

static bool is_published(const struct pki_files *files)
{
    struct sha256 pin = pin_of(files->next);

    return tls_trust_has_pin(files->trust, &pin);
}

static int refuse_without_next(void)
{
    (void)err_fail(ENOENT, "there is no next CA");
    return PKI_NO_NEXT;
}

int pki_files_make_next(struct pki_files *files, int64_t now)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *none = NULL;
    int r;

    if (files->next)
        return 0;
    /* Of one that a crash left half made. */
    r = pki_read_slot(files, &pki_next, "remove ca-next.pem and ca-next-key.pem", &key, &none);
    return r != 0 ? r : pki_make_ca(files, &pki_next, &key, now, &files->next);
}

int pki_files_publish_next(struct pki_files *files)
{
    AUTO_FREE char *next = NULL, *both = NULL;

    if (!files->next)
        return refuse_without_next();
    if (is_published(files))
        return 0;
    next = tls_cert_to_pem(tls_ca_cert(files->next));
    both = mem_printf("%s%s", files->bundle_pem, next);
    return pki_set_bundle(files, both);
}

/* The key first: from then on opening brings it to its end (pki_ca.c). */
static int write_promotion(const struct pki_files *files)
{
    int r = pki_write_key(files, pki_active.key_name, tls_ca_key(files->next));

    if (r == 0)
        r = pki_write_cert(files, pki_active.cert_name, tls_ca_cert(files->next));
    return r < 0 ? r : pki_clear_next(files);
}

int pki_files_promote_next(struct pki_files *files, int64_t now)
{
    bool is_new;
    int r;

    if (!files->next)
        return refuse_without_next();
    if (!is_published(files)) {
        (void)err_fail(EBUSY, "the next CA is not published yet: nobody would believe it");
        return PKI_UNPUBLISHED;
    }
    r = write_promotion(files);
    if (r < 0)
        return r;
    tls_ca_free(files->ca);
    files->ca = TAKE_PTR(files->next);
    return pki_load_pairs(files, now, &is_new);
}

int pki_files_drop_old(struct pki_files *files)
{
    AUTO_FREE char *active = tls_cert_to_pem(tls_ca_cert(files->ca)), *next = NULL, *kept = NULL;
    size_t wanted = 1;

    if (files->next && is_published(files)) {
        next = tls_cert_to_pem(tls_ca_cert(files->next));
        wanted = 2;
    }
    if (tls_trust_count(files->trust) == wanted)
        return 0;
    kept = mem_printf("%s%s", active, next ? next : "");
    return pki_set_bundle(files, kept);
}
