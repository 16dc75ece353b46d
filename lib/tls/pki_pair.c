/* The certificates that the CA makes for its own host: the server's and the admin's. */
#include <string.h>

#include "lib/base/log.h"
#include "lib/tls/pki_internal.h"

const struct pki_slot pki_server = {"server-key.pem", "server.pem"};
const struct pki_slot pki_admin = {"admin-key.pem", "admin.pem"};

/* Whom a pair is for. */
struct owner {
    const struct pki_slot *slot;
    enum tls_kind kind;
    const char *name;
    struct tls_names names;
};

/* Two thirds over; or begun in the future, as when the clock was ahead for a while. */
static bool is_due(const struct tls_cert_facts *facts, int64_t now)
{
    int64_t life = facts->not_after - facts->not_before;

    return now < facts->not_before || now - facts->not_before >= life / 3 * 2;
}

/* By a clock that is years off nothing can be made; what is there is kept then. */
static bool ca_can_sign(const struct pki_files *files, int64_t now)
{
    const struct tls_cert_facts *ca = tls_cert_facts(tls_ca_cert(files->ca));

    if (now >= ca->not_before && now < ca->not_after)
        return true;
    log_warn("by this host's clock the CA is not valid, so no certificate is renewed",
             LOG_I("now", now), LOG_I("not_before", ca->not_before),
             LOG_I("not_after", ca->not_after));
    return false;
}

static bool is_right(const struct pki_files *files, const struct owner *owner,
                     const struct tls_cert *cert)
{
    const struct tls_cert_facts *facts = tls_cert_facts(cert);
    struct sha256 ca = tls_key_spki(tls_ca_key(files->ca));
    struct tls_identity identity;

    return sha256_equal(&facts->issuer_spki, &ca) && tls_cert_covers(cert, &owner->names) &&
           tls_cert_identity(cert, &identity) == 0 && identity.kind == owner->kind &&
           strcmp(identity.name, owner->name ? owner->name : "") == 0 &&
           strcmp(identity.cluster_id, files->config.cluster_id) == 0;
}

static int issue(const struct pki_files *files, const struct owner *owner,
                 const struct tls_key *key, int64_t now, struct tls_cert **ret_cert)
{
    const struct tls_cert_order order = {
        .kind = owner->kind,
        .name = owner->name,
        .names = owner->names,
        .now = now,
        .life_s = files->config.life_s,
    };
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    int r = tls_ca_issue(files->ca, tls_key_public(key), &order, &cert);

    if (r == 0)
        r = pki_write_cert(files, owner->slot->cert_name, cert);
    if (r == 0)
        *ret_cert = TAKE_PTR(cert);
    return r;
}

/* The certificate of a key that is gone goes first: a crash must not leave it beside a new key. */
static int make_key(const struct pki_files *files, const struct pki_slot *slot,
                    struct tls_cert **cert, struct tls_key **ret_key)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    int r = *cert ? pki_remove(files, slot->cert_name) : 0;

    tls_cert_free(TAKE_PTR(*cert));
    if (r == 0)
        r = tls_key_new(&key);
    if (r == 0)
        r = pki_write_key(files, slot->key_name, key);
    if (r == 0)
        *ret_key = TAKE_PTR(key);
    return r;
}

static int load(const struct pki_files *files, const struct pki_slot *slot,
                struct tls_key **ret_key, struct tls_cert **ret_cert)
{
    AUTO_FREE char *how =
        mem_printf("remove %s and %s: both are made anew", slot->cert_name, slot->key_name);
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    int r = pki_read_slot(files, slot, how, &key, &cert);

    if (r == 0 && key && cert && !pki_belong(cert, key))
        r = pki_damaged(files, slot->cert_name, "it does not belong to its private key", how);
    if (r == 0 && !key)
        r = make_key(files, slot, &cert, &key);
    if (r != 0)
        return r;
    *ret_key = TAKE_PTR(key);
    *ret_cert = TAKE_PTR(cert);
    return 0;
}

static int load_pair(const struct pki_files *files, const struct owner *owner, int64_t now,
                     struct pki_pair *pair, bool *is_new)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    int r = load(files, owner->slot, &key, &cert);

    if (r != 0)
        return r;
    if (!cert || !is_right(files, owner, cert) ||
        (is_due(tls_cert_facts(cert), now) && ca_can_sign(files, now))) {
        tls_cert_free(TAKE_PTR(cert));
        r = issue(files, owner, key, now, &cert);
        *is_new = true;
    }
    if (r < 0)
        return r;
    tls_cert_free(pair->cert);
    pair->cert = TAKE_PTR(cert);
    return 0;
}

int pki_load_pairs(struct pki_files *files, int64_t now, bool *ret_is_new)
{
    const struct owner server = {&pki_server, TLS_KIND_CONTROL, NULL, files->config.names};
    const struct owner admin = {&pki_admin, TLS_KIND_USER, PKI_ADMIN_NAME, {0}};
    bool is_new = false;
    int r = load_pair(files, &server, now, &files->server, &is_new);

    if (r == 0)
        r = load_pair(files, &admin, now, &files->admin, &is_new);
    if (r == 0)
        *ret_is_new = is_new;
    return r;
}
