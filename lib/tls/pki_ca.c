/* The CA in its directory, the next one, and the bundle: whatever a crash has left of them. What
 * can be there, by the order in which it is written (a key before its certificate, the bundle after
 * the first CA, the active CA before the next one's files go):
 *
 *     ca-key  ca   ca-next-key  ca-next
 *       -     -        -           -      nothing yet
 *       A     -        -           -      the first CA, half made
 *       A     A        -           -      at rest
 *       A     A        B           -      the next CA, half made
 *       A     A        B           B      being replaced
 *       B     A        B           B      promoted, not yet all of it
 *       B     B        B           B
 *       B     B        -           B
 *       B     B        B           -      (two removals, which the disk took in the other order)
 *
 * All else was done by hand, or by a bad disk.
 */
#include <string.h>

#include "lib/base/error.h"
#include "lib/tls/pki_internal.h"

/* What a person can do. */
#define RESTORE                                                                                 \
    "put ca.pem and ca-key.pem back from a backup, or, to begin with a new CA that every node " \
    "has to join anew, move the directory away"
#define CHOOSE                                                                                    \
    "name the database of that cluster with --db-path, or the directory of this one's CA with "   \
    "--tls-dir; or, to begin with a new CA that every node has to join anew, move the directory " \
    "away"
#define GIVE_UP_NEXT                                                                            \
    "put ca-next.pem and ca-next-key.pem back from a backup, or, to give up replacing the CA, " \
    "remove both"
#define REMAKE_BUNDLE                                                                        \
    "put it back from a backup, or remove it to trust the CA in ca.pem alone (nodes with a " \
    "certificate of another one then join anew)"

/* A clock that says less is wrong, and a CA made by it would expire when it is set: 2025-01-01. */
#define EARLIEST 1735689600

const struct pki_slot pki_active = {"ca-key.pem", "ca.pem"};
const struct pki_slot pki_next = {"ca-next-key.pem", "ca-next.pem"};

/* The files as they were found; NULL: not there. */
struct found {
    struct tls_key *key, *next_key;
    struct tls_cert *cert, *next_cert;
    struct tls_trust *trust;
};

static void found_deinit(struct found *found)
{
    tls_key_free(found->key);
    tls_key_free(found->next_key);
    tls_cert_free(found->cert);
    tls_cert_free(found->next_cert);
    tls_trust_free(found->trust);
}

static int find_bundle(const struct pki_files *files, struct found *found)
{
    int r = pem_file_read_trust(files->bundle_file, &found->trust);

    if (r == -EINVAL)
        return pki_damaged(files, PKI_BUNDLE, err_text(), REMAKE_BUNDLE);
    return r == -ENOENT ? 0 : r;
}

static int find(const struct pki_files *files, struct found *found)
{
    int r = pki_read_slot(files, &pki_active, RESTORE, &found->key, &found->cert);

    if (r == 0)
        r = pki_read_slot(files, &pki_next, GIVE_UP_NEXT, &found->next_key, &found->next_cert);
    return r != 0 ? r : find_bundle(files, found);
}

/* ---- promotion, brought to its end --------------------------------------------------------- */

int pki_clear_next(const struct pki_files *files)
{
    int r = pki_remove(files, pki_next.key_name);

    return r < 0 ? r : pki_remove(files, pki_next.cert_name);
}

static bool is_same_key(const struct tls_key *a, const struct tls_key *b)
{
    struct sha256 x, y;

    if (!a || !b)
        return false;
    x = tls_key_spki(a);
    y = tls_key_spki(b);
    return sha256_equal(&x, &y);
}

static int settle(const struct pki_files *files, struct found *found)
{
    int r = 0;

    if (found->cert && !pki_belong(found->cert, found->key) &&
        pki_belong(found->next_cert, found->key)) {
        r = pki_write_cert(files, pki_active.cert_name, found->next_cert);
        tls_cert_free(found->cert);
        found->cert = TAKE_PTR(found->next_cert);
    }
    if (r < 0 ||
        !(is_same_key(found->next_key, found->key) || pki_belong(found->next_cert, found->key)))
        return r;
    tls_key_free(TAKE_PTR(found->next_key));
    tls_cert_free(TAKE_PTR(found->next_cert));
    return pki_clear_next(files);
}

/* ---- the CA -------------------------------------------------------------------------------- */

static int provide_key(const struct pki_files *files, const char *name, struct tls_key **ret_key)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    int r = tls_key_new(&key);

    if (r == 0)
        r = pki_write_key(files, name, key);
    if (r == 0)
        *ret_key = TAKE_PTR(key);
    return r;
}

int pki_make_ca(const struct pki_files *files, const struct pki_slot *slot, struct tls_key **key,
                int64_t now, struct tls_ca **ret_ca)
{
    AUTO_TLS_CA struct tls_ca *ca = NULL;
    int r = 0;

    if (now < EARLIEST)
        return err_fail(EINVAL, "make a CA: this host's clock is years behind; set it first");
    if (!*key)
        r = provide_key(files, slot->key_name, key);
    if (r == 0)
        r = tls_ca_from_key(*key, files->config.cluster_id, now, &ca);
    if (r < 0)
        return r;
    (void)TAKE_PTR(*key);
    r = pki_write_cert(files, slot->cert_name, tls_ca_cert(ca));
    if (r == 0)
        *ret_ca = TAKE_PTR(ca);
    return r;
}

static int of_another_cluster(const struct pki_files *files, const char *name, const char *ca_of)
{
    AUTO_FREE char *what =
        mem_printf("it is the CA of cluster %s, and the database %s is of cluster %s", ca_of,
                   files->config.db_path, files->config.cluster_id);

    return pki_damaged(files, name, what, CHOOSE);
}

/* Takes the two over; they have to be of one CA, and of our cluster. */
static int take_ca(const struct pki_files *files, const char *name, const char *how,
                   struct tls_key **key, struct tls_cert **cert, struct tls_ca **ret_ca)
{
    AUTO_TLS_CA struct tls_ca *ca = NULL;

    if (tls_ca_from_parts(*cert, *key, &ca) < 0)
        return pki_damaged(files, name, err_text(), how);
    (void)TAKE_PTR(*key);
    (void)TAKE_PTR(*cert);
    if (strcmp(tls_ca_cluster_id(ca), files->config.cluster_id) != 0)
        return of_another_cluster(files, name, tls_ca_cluster_id(ca));
    *ret_ca = TAKE_PTR(ca);
    return 0;
}

/* The certificate of this key in the bundle; NULL when there is none. */
static const struct tls_cert *find_in_bundle(const struct found *found)
{
    struct sha256 pin = tls_key_spki(found->key);

    for (size_t i = 0; found->trust && i < tls_trust_count(found->trust); i++) {
        const struct tls_cert *ca = tls_trust_ca(found->trust, i);

        if (sha256_equal(&tls_cert_facts(ca)->spki, &pin))
            return ca;
    }
    return NULL;
}

/* The certificate was not made yet, or is lost. What was signed with its key is good with any
 * certificate for that key; the one in the bundle is the very same. */
static int restore_cert(struct pki_files *files, struct found *found, int64_t now)
{
    const struct tls_cert *known = find_in_bundle(found);
    AUTO_FREE char *pem = NULL;
    int r;

    if (!known)
        return pki_make_ca(files, &pki_active, &found->key, now, &files->ca);
    r = pki_write_cert(files, pki_active.cert_name, known);
    if (r < 0)
        return r;
    pem = tls_cert_to_pem(known);
    r = tls_cert_from_pem(pem, strlen(pem), &found->cert);
    return r < 0 ? r
                 : take_ca(files, pki_active.cert_name, RESTORE, &found->key, &found->cert,
                           &files->ca);
}

static int load_active(struct pki_files *files, struct found *found, int64_t now)
{
    bool is_new = !found->trust && !found->next_key && !found->next_cert;

    if (found->key && found->cert)
        return take_ca(files, pki_active.cert_name, RESTORE, &found->key, &found->cert, &files->ca);
    if (found->cert)
        return pki_damaged(files, pki_active.key_name, "it is missing", RESTORE);
    if (found->key)
        return restore_cert(files, found, now);
    if (is_new)
        return pki_make_ca(files, &pki_active, &found->key, now, &files->ca);
    return pki_damaged(files, pki_active.cert_name,
                       "it is missing, and so is its key; other files of the CA are there",
                       RESTORE);
}

/* A key alone is half a next CA; pki_files_make_next() goes on with it. */
static int load_next(struct pki_files *files, struct found *found)
{
    if (!found->next_cert)
        return 0;
    if (!found->next_key)
        return pki_damaged(files, pki_next.key_name, "it is missing", GIVE_UP_NEXT);
    return take_ca(files, pki_next.cert_name, GIVE_UP_NEXT, &found->next_key, &found->next_cert,
                   &files->next);
}

/* ---- the bundle ---------------------------------------------------------------------------- */

static void take_trust(struct pki_files *files, struct tls_trust *trust)
{
    tls_trust_free(files->trust);
    free(files->bundle_pem);
    files->trust = trust;
    files->bundle_pem = tls_trust_to_pem(trust);
}

int pki_set_bundle(struct pki_files *files, const char *pem)
{
    AUTO_TLS_TRUST struct tls_trust *trust = NULL;
    int r = tls_trust_from_pem(pem, strlen(pem), &trust);

    if (r == 0)
        r = pem_file_write_trust(files->bundle_file, trust);
    if (r == 0)
        take_trust(files, TAKE_PTR(trust));
    return r;
}

static int load_bundle(struct pki_files *files, struct found *found)
{
    AUTO_FREE char *pem = tls_cert_to_pem(tls_ca_cert(files->ca));
    struct sha256 pin = tls_key_spki(tls_ca_key(files->ca));

    if (!found->trust)
        return pki_set_bundle(files, pem);
    if (!tls_trust_has_pin(found->trust, &pin))
        return pki_damaged(files, PKI_BUNDLE, "it does not hold the CA in ca.pem", REMAKE_BUNDLE);
    take_trust(files, TAKE_PTR(found->trust));
    return 0;
}

int pki_load_cas(struct pki_files *files, int64_t now)
{
    CLEANUP(found_deinit) struct found found = {.key = NULL};
    int r = find(files, &found);

    if (r == 0)
        r = settle(files, &found);
    if (r == 0)
        r = load_active(files, &found, now);
    if (r == 0)
        r = load_next(files, &found);
    if (r == 0)
        r = load_bundle(files, &found);
    return r;
}
