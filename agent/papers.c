/* The node's key, its certificate and its CAs, on disk. */
#include "agent/papers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/tls/pem_file.h"

#define DIR_MODE 0700
#define CA_NAME "ca.pem"
#define CERT_NAME "node.pem"
#define KEY_NAME "node-key.pem"

/* ---- in force ------------------------------------------------------------------------------ */

static void set_key(struct papers *p, struct tls_key *key)
{
    tls_key_free(p->key);
    p->key = key;
}

static void set_cert(struct papers *p, struct tls_cert *cert)
{
    tls_cert_free(p->cert);
    p->cert = cert;
}

static void set_trust(struct papers *p, struct tls_trust *trust)
{
    AUTO_FREE char *pem = tls_trust_to_pem(trust);

    tls_trust_free(p->trust);
    p->trust = trust;
    sha256_hex(pem, strlen(pem), p->ca_sha256);
}

bool papers_are_own(const struct papers *p)
{
    return !p->config.cert_file;
}

struct http_client_config papers_files(const struct papers *p)
{
    return (struct http_client_config){
        .ca_file = p->ca_file,
        .cert_file = p->cert ? p->cert_file : NULL,
        .key_file = p->cert ? p->key_file : NULL,
    };
}

struct tls_keyring_files papers_keyring_files(const struct papers *p)
{
    return p ? (struct tls_keyring_files){p->cert_file, p->key_file, p->ca_file}
             : (struct tls_keyring_files){0};
}

/* ---- our own files ------------------------------------------------------------------------- */

static char *aside_of(const char *path)
{
    return mem_printf("%s.damaged", path);
}

static int put_aside(const char *path, const char *why)
{
    AUTO_FREE char *aside = aside_of(path);

    log_warn("a file cannot be used and is put aside", LOG_S("file", path), LOG_S("problem", why));
    if (rename(path, aside) < 0)
        return err_sys(errno, "rename %s to %s", path, aside);
    return 0;
}

static int make_key(struct papers *p)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    int r = tls_key_new(&key);

    if (r == 0)
        r = pem_file_write_key(p->key_file, key);
    if (r == 0)
        set_key(p, TAKE_PTR(key));
    return r;
}

int papers_make_key(struct papers *p)
{
    int r = make_key(p);

    if (r < 0)
        return r;
    set_cert(p, NULL);
    if (unlink(p->cert_file) < 0 && errno != ENOENT)
        return err_sys(errno, "remove %s", p->cert_file);
    return 0;
}

static int read_own_key(struct papers *p)
{
    int r = pem_file_read_key(p->key_file, &p->key);

    if (r == -EINVAL)
        r = put_aside(p->key_file, err_text());
    else if (r == -ENOENT)
        r = 0;
    return r == 0 && !p->key ? make_key(p) : r;
}

static int read_own_cert(struct papers *p)
{
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    int r = pem_file_read_cert(p->cert_file, &cert);

    if (r == -ENOENT)
        return 0;
    if (r == -EINVAL)
        return put_aside(p->cert_file, err_text());
    if (r < 0)
        return r;
    if (!tls_cert_is_for_key(cert, p->key))
        return put_aside(p->cert_file, "it is for another key than node-key.pem has");
    set_cert(p, TAKE_PTR(cert));
    return 0;
}

static int read_own_cas(struct papers *p)
{
    struct tls_trust *trust = NULL;
    int r = pem_file_read_trust(p->ca_file, &trust);

    if (r == -ENOENT)
        return 0;
    if (r == -EINVAL)
        return put_aside(p->ca_file, err_text());
    if (r == 0)
        set_trust(p, trust);
    return r;
}

/* ---- given files --------------------------------------------------------------------------- */

static uint64_t stamp_given(const struct papers *p)
{
    const char *const paths[] = {p->config.ca_file, p->config.cert_file, p->config.key_file};

    return file_stamp(paths, ARRAY_LEN(paths));
}

static int read_given_pair(const struct papers *p, struct tls_key **ret_key,
                           struct tls_cert **ret_cert)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    int r = pem_file_read_given_key(p->config.key_file, &key);

    if (r == 0)
        r = pem_file_read_cert(p->config.cert_file, &cert);
    if (r < 0)
        return r;
    if (!tls_cert_is_for_key(cert, key))
        return err_fail(EINVAL, "the certificate %s is not for the key %s", p->config.cert_file,
                        p->config.key_file);
    *ret_key = TAKE_PTR(key);
    *ret_cert = TAKE_PTR(cert);
    return 0;
}

/* All that is given comes into force, or nothing of it; then it is tried again. */
static int read_given(struct papers *p, uint64_t stamp)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    AUTO_TLS_TRUST struct tls_trust *trust = NULL;
    int r = p->config.cert_file ? read_given_pair(p, &key, &cert) : 0;

    if (r == 0 && p->config.ca_file)
        r = pem_file_read_trust(p->config.ca_file, &trust);
    if (r < 0)
        return r;
    if (key) {
        set_key(p, TAKE_PTR(key));
        set_cert(p, TAKE_PTR(cert));
    }
    if (trust)
        set_trust(p, TAKE_PTR(trust));
    p->given_stamp = stamp;
    return 0;
}

/* Said once for each change. */
static void say_given(struct papers *p, bool is_usable)
{
    if (!is_usable && !p->is_given_unusable)
        log_error("the given certificates cannot be used; the old ones are used on", LOG_ERR());
    if (is_usable && p->is_given_unusable)
        log_info("the given certificates can be used again");
    p->is_given_unusable = !is_usable;
}

bool papers_refresh(struct papers *p)
{
    uint64_t stamp = stamp_given(p);
    bool is_other = stamp != p->given_stamp, is_usable = !is_other || read_given(p, stamp) == 0;

    say_given(p, is_usable);
    return is_other && is_usable;
}

/* ---- deleted files ------------------------------------------------------------------------- */

static bool is_gone(const char *path)
{
    return access(path, F_OK) < 0 && errno == ENOENT;
}

/* r: what came of writing it. */
static int say_restored(const char *path, int r)
{
    if (r == 0)
        log_warn("somebody deleted a file of this node, it is written again", LOG_S("file", path));
    return r;
}

/* In the order in which they were written first. */
static int restore(const struct papers *p)
{
    bool is_own = papers_are_own(p);
    int r = file_make_dirs(p->dir, DIR_MODE);

    if (r == 0 && is_own && is_gone(p->key_file))
        r = say_restored(p->key_file, pem_file_write_key(p->key_file, p->key));
    if (r == 0 && is_own && p->cert && is_gone(p->cert_file))
        r = say_restored(p->cert_file, pem_file_write_cert(p->cert_file, p->cert));
    if (r == 0 && !p->config.ca_file && p->trust && is_gone(p->ca_file))
        r = say_restored(p->ca_file, pem_file_write_trust(p->ca_file, p->trust));
    return r;
}

void papers_restore(struct papers *p)
{
    int r = restore(p);

    if (r < 0 && !p->is_short_of_files)
        log_error("deleted files of this node cannot be written again; see to its disk", LOG_ERR());
    p->is_short_of_files = r < 0;
}

/* ---- life ---------------------------------------------------------------------------------- */

static char *place_of(const struct papers *p, const char *given, const char *name)
{
    return given ? mem_strdup(given) : mem_printf("%s/%s", p->dir, name);
}

static int read_all(struct papers *p)
{
    bool is_own = papers_are_own(p);
    int r = file_make_dirs(p->dir, DIR_MODE);

    if (r == 0)
        r = read_given(p, stamp_given(p));
    if (r == 0 && is_own)
        r = read_own_key(p);
    if (r == 0 && is_own)
        r = read_own_cert(p);
    if (r == 0 && !p->config.ca_file)
        r = read_own_cas(p);
    return r;
}

int papers_open(const struct papers_config *config, struct papers **ret_papers)
{
    AUTO_PAPERS struct papers *p = NEW(struct papers);
    int r;

    p->config = *config;
    p->dir = mem_printf("%s/tls", config->state_dir);
    p->ca_file = place_of(p, config->ca_file, CA_NAME);
    p->cert_file = place_of(p, config->cert_file, CERT_NAME);
    p->key_file = place_of(p, config->key_file, KEY_NAME);
    if (config->key_file)
        pem_file_tell_open_key(config->key_file);
    r = read_all(p);
    if (r < 0)
        return r;
    *ret_papers = TAKE_PTR(p);
    return 0;
}

void papers_free(struct papers *p)
{
    if (!p)
        return;
    tls_key_free(p->key);
    tls_cert_free(p->cert);
    tls_trust_free(p->trust);
    free(p->ca_file);
    free(p->cert_file);
    free(p->key_file);
    free(p->dir);
    free(p);
}

static int remove_file(const char *path)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    return err_sys(errno, "remove %s", path);
}

/* What was put aside is ours, whatever is given now. */
static int remove_own(const struct papers *p, const char *given, const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", p->dir, name), *aside = aside_of(path);
    int r = given ? 0 : remove_file(path), r_aside = remove_file(aside);

    return r_aside < 0 ? r_aside : r;
}

int papers_erase(const struct papers *p)
{
    const struct {
        const char *given, *name;
    } files[] = {{p->config.key_file, KEY_NAME},
                 {p->config.cert_file, CERT_NAME},
                 {p->config.ca_file, CA_NAME}};
    int r = 0;

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        int r_file = remove_own(p, files[i].given, files[i].name);

        r = r_file < 0 ? r_file : r;
    }
    return r;
}

/* ---- what is heard ------------------------------------------------------------------------- */

int papers_request(const struct papers *p, char **ret_csr)
{
    return tls_csr_new(p->key, ret_csr);
}

int papers_take_cert(struct papers *p, const char *pem)
{
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    int r = tls_cert_from_pem(pem, strlen(pem), &cert);

    if (r < 0)
        return r;
    if (!tls_cert_is_for_key(cert, p->key))
        return err_fail(EINVAL, "the certificate is for another key than this node's");
    r = pem_file_write_cert(p->cert_file, cert);
    if (r == 0)
        set_cert(p, TAKE_PTR(cert));
    return r;
}

/* Takes the CAs over, also when it fails. */
static int store_trust(struct papers *p, struct tls_trust *taken)
{
    AUTO_TLS_TRUST struct tls_trust *trust = taken;
    int r = pem_file_write_trust(p->ca_file, trust);

    if (r == 0)
        set_trust(p, TAKE_PTR(trust));
    return r;
}

int papers_take_cas(struct papers *p, const char *pem, bool *ret_is_new)
{
    AUTO_TLS_TRUST struct tls_trust *trust = NULL;
    AUTO_FREE char *text = NULL;
    char digest[SHA256_HEX_SIZE];
    int r;

    *ret_is_new = false;
    if (p->config.ca_file)
        return 0;
    r = tls_trust_from_pem(pem, strlen(pem), &trust);
    if (r < 0)
        return r;
    text = tls_trust_to_pem(trust);
    sha256_hex(text, strlen(text), digest);
    if (strcmp(digest, p->ca_sha256) == 0)
        return 0;
    r = store_trust(p, TAKE_PTR(trust));
    *ret_is_new = r == 0;
    return r;
}

int papers_pin(struct papers *p, const char *pem, const struct sha256 *pins, size_t count)
{
    AUTO_TLS_TRUST struct tls_trust *trust = NULL;
    int r = tls_trust_from_pem(pem, strlen(pem), &trust);

    if (r == 0)
        r = tls_trust_keep_pinned(trust, pins, count);
    return r != 0 ? r : store_trust(p, TAKE_PTR(trust));
}

/* Some certificates do not tell who made them. */
static bool tells_issuer(const struct papers *p)
{
    const struct sha256 none = {0};

    return p->cert && !sha256_equal(&tls_cert_facts(p->cert)->issuer_spki, &none);
}

/* The control plane may show a certificate of another CA than it makes the nodes' with. */
size_t papers_pins(const struct papers *p, struct sha256 ret_pins[static PAPERS_PINS_MAX])
{
    const struct tls_pins *remembered = p->config.remembered;
    size_t count = remembered ? remembered->count : 0;

    if (count > 0)
        memcpy(ret_pins, remembered->items, count * sizeof ret_pins[0]);
    if (tells_issuer(p))
        ret_pins[count++] = tls_cert_facts(p->cert)->issuer_spki;
    return count;
}
