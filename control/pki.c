/* The control plane's certificates. */
#include "control/pki.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "control/pki_given.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/ip4.h"
#include "lib/base/log.h"
#include "lib/base/parse.h"
#include "lib/tls/pem_file.h"

#define OWN_LIFE_S (365LL * 24 * 3600)
#define URL_MODE 0600

/* ---- what the server is called --------------------------------------------------------------- */

static void add_addr(struct pki *pki, uint32_t addr)
{
    for (size_t i = 0; i < pki->addr_count; i++)
        if (pki->addrs[i] == addr)
            return;
    if (pki->addr_count < PKI_ADDRS_MAX)
        pki->addrs[pki->addr_count++] = addr;
}

static void add_host_addrs(struct pki *pki)
{
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) < 0)
        return; /* the loopback address is there, and what was listened on */
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct sockaddr_in in;

        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
            continue;
        memcpy(&in, i->ifa_addr, sizeof in);
        add_addr(pki, ntohl(in.sin_addr.s_addr));
    }
    freeifaddrs(all);
}

/* The first is what others are told. */
static void find_names(struct pki *pki)
{
    char name[HOST_NAME_MAX + 1] = "";

    if (pki->options.listen_addr != INADDR_ANY)
        add_addr(pki, pki->options.listen_addr);
    else
        add_host_addrs(pki);
    add_addr(pki, INADDR_LOOPBACK);
    if (gethostname(name, sizeof name - 1) == 0 && parse_hostname(name) == 0)
        pki->hostname = mem_strdup(name);
}

static struct tls_names names_of(struct pki *pki)
{
    const char *extra = pki->options.extra_name;
    size_t hosts = 0;
    uint32_t addr;

    pki->hosts[hosts++] = "localhost";
    if (pki->hostname)
        pki->hosts[hosts++] = pki->hostname;
    if (extra && ip4_parse(extra, &addr) == 0)
        add_addr(pki, addr);
    else if (extra)
        pki->hosts[hosts++] = extra;
    return (struct tls_names){.hosts = pki->hosts,
                              .host_count = hosts,
                              .addrs = pki->addrs,
                              .addr_count = pki->addr_count};
}

static uint32_t find_address(const struct pki *pki)
{
    for (size_t i = 0; i < pki->addr_count; i++)
        if (!ip4_is_loopback(pki->addrs[i]))
            return pki->addrs[i];
    return INADDR_LOOPBACK;
}

char *pki_host(const struct pki *pki)
{
    char *given = pki->given ? pki_given_host(pki) : NULL;
    char text[IP4_TEXT_SIZE];

    return given ? given : mem_strdup(ip4_format(find_address(pki), text));
}

const struct tls_cert_facts *pki_shown(const struct pki *pki)
{
    return tls_cert_facts(pki->given ? tls_chain_own(pki->given) : pki->files->server.cert);
}

/* ---- what is told to nodes ------------------------------------------------------------------- */

static int tell(struct pki *pki, const char *pem)
{
    AUTO_TLS_TRUST struct tls_trust *told = NULL;
    int r = tls_trust_from_pem(pem, strlen(pem), &told);

    if (r < 0)
        return r;
    free(pki->told_pem);
    tls_trust_free(pki->told);
    pki->told_pem = tls_trust_to_pem(told);
    pki->told = TAKE_PTR(told);
    sha256_hex(pki->told_pem, strlen(pki->told_pem), pki->told_sha256);
    return 0;
}

/* Their own CA besides, for it makes the certificates by which nodes know each other. */
static int tell_given(struct pki *pki)
{
    AUTO_TLS_CHAIN struct tls_chain *given = NULL;
    AUTO_TLS_TRUST struct tls_trust *roots = NULL;
    AUTO_FREE char *given_pem = NULL, *all_pem = NULL;
    int r = pki_given_check_place(&pki->options, pki->dir);

    if (r == 0)
        r = pki_given_read(&pki->options, &given, &roots);
    if (r < 0)
        return r;
    given_pem = tls_trust_to_pem(roots);
    all_pem = mem_printf("%s%s", given_pem, pki->files->bundle_pem);
    r = tell(pki, all_pem);
    if (r < 0)
        return err_wrap(r, "--tls-ca, and the cluster's own CA");
    tls_chain_free(pki->given);
    pki->given = TAKE_PTR(given);
    pki->given_roots = tls_trust_count(roots);
    sha256_hex(given_pem, strlen(given_pem), pki->given_sha256);
    return 0;
}

/* ---- what is told to quiltctl ---------------------------------------------------------------- */

static bool is_kept(const char *path, const char *text)
{
    AUTO_FREE char *kept = NULL;
    size_t n;

    return file_read_regular(path, TLS_BUNDLE_MAX, &kept, &n) == 0 && strcmp(kept, text) == 0;
}

static int remove_told(const char *path)
{
    return unlink(path) == 0 || errno == ENOENT ? 0 : err_sys(errno, "remove %s", path);
}

/* A given CA is in a file that quiltctl does not know of. */
static int keep_told(const struct pki *pki)
{
    AUTO_FREE char *path = mem_printf("%s/" PKI_TOLD, pki->dir);

    if (pki->given)
        return is_kept(path, pki->told_pem) ? 0 : pem_file_write_trust(path, pki->told);
    return remove_told(path);
}

/* A given certificate may be for names that this host cannot know, a pattern say. */
int pki_keep_url(const struct pki *pki, uint16_t port)
{
    AUTO_FREE char *path = mem_printf("%s/" PKI_TOLD_URL, pki->dir);
    AUTO_FREE char *host = pki->given ? pki_given_host(pki) : pki_host(pki);
    AUTO_FREE char *url = host ? mem_printf("https://%s:%u\n", host, port) : NULL;

    if (!url)
        return remove_told(path);
    return is_kept(path, url) ? 0 : file_write_atomic(path, url, strlen(url), URL_MODE);
}

/* ---- life ------------------------------------------------------------------------------------ */

static char *directory_of(const struct pki_options *options, const char *db_path)
{
    const char *slash = strrchr(db_path, '/');

    if (options->dir)
        return mem_strdup(options->dir);
    return slash ? mem_printf("%.*s/pki", (int)(slash - db_path), db_path) : mem_strdup("pki");
}

static uint64_t stamp_pair(const struct pki *pki)
{
    const char *const paths[] = {pki->cert_file, pki->key_file};

    return file_stamp(paths, ARRAY_LEN(paths));
}

static uint64_t stamp_told(const struct pki *pki)
{
    return file_stamp(&pki->options.ca_file, 1);
}

/* The files that the server shows: given ones, or those of our own CA. */
static void choose_files(struct pki *pki)
{
    const struct pki_options *o = &pki->options;

    pki->cert_file = o->cert_file ? mem_strdup(o->cert_file)
                                  : mem_printf("%s/server.pem", pki->files->config.dir);
    pki->key_file = o->key_file ? mem_strdup(o->key_file)
                                : mem_printf("%s/server-key.pem", pki->files->config.dir);
}

/* After the files have changed, which r says; what others look at is made from them. */
static int follow_files(struct pki *pki, int r)
{
    uint64_t told = stamp_told(pki);

    if (r != 0)
        return r;
    pki->read_stamp = stamp_pair(pki);
    pki->edition++;
    pki->signer_spki = tls_cert_facts(tls_ca_cert(pki->files->ca))->spki;
    r = pki->options.cert_file ? tell_given(pki) : tell(pki, pki->files->bundle_pem);
    if (r == 0)
        r = keep_told(pki);
    if (r == 0)
        pki->told_stamp = told; /* else it is tried again */
    return r;
}

static int open_files(struct pki *pki, const char *cluster_id, const char *db_path)
{
    const struct pki_config config = {.dir = pki->dir,
                                      .cluster_id = cluster_id,
                                      .db_path = db_path,
                                      .names = names_of(pki),
                                      .life_s = OWN_LIFE_S};

    return pki_files_open(&config, clock_unix_s(), &pki->files);
}

/* The certificate alone can be lost: it is made again from the key. */
static bool has_ca(const char *dir)
{
    AUTO_FREE char *cert = mem_printf("%s/ca.pem", dir), *key = mem_printf("%s/ca-key.pem", dir);

    return pki_file_is_there(cert) || pki_file_is_there(key);
}

static int ca_is_gone(const char *dir)
{
    (void)err_fail(
        ENOENT,
        "this cluster speaks TLS, and %s/ca.pem is missing: put it and ca-key.pem back "
        "from a backup, or name the directory where they are with --tls-dir; or, for one "
        "start, ask with --tls new for another CA, which every node has to join anew, or "
        "with --tls off for plain HTTP",
        dir);
    return PKI_DAMAGED;
}

static int given_are_gone(void)
{
    (void)err_fail(ENOENT,
                   "this cluster shows a certificate that was given with --tls-cert, and none is "
                   "given now: nodes may know it by that one alone. Give it again; or, for one "
                   "start, ask with --tls new for certificates of the cluster's own CA, or with "
                   "--tls off for plain HTTP");
    return PKI_DAMAGED;
}

bool pki_is_asked_for(const struct pki_options *options)
{
    return options->cert_file || options->mode == PKI_AUTO || options->mode == PKI_NEW;
}

int pki_check_options(const struct pki_options *options, const char *db_path)
{
    AUTO_FREE char *dir = directory_of(options, db_path);

    return options->cert_file ? pki_given_check_place(options, dir) : 0;
}

int pki_decide(const struct pki_options *options, const char *db_path, const struct pki_past *past,
               bool *ret_is_wanted)
{
    AUTO_FREE char *dir = directory_of(options, db_path);

    *ret_is_wanted = pki_is_asked_for(options);
    if (options->mode == PKI_NEW || options->mode == PKI_OFF)
        return 0;
    if (past->has_spoken && !has_ca(dir))
        return ca_is_gone(dir);
    if (past->was_given && !options->cert_file)
        return given_are_gone();
    *ret_is_wanted = *ret_is_wanted || past->is_wanted || has_ca(dir);
    return 0;
}

int pki_check_unfounded(const struct pki_options *options, const char *db_path)
{
    AUTO_FREE char *dir = directory_of(options, db_path);
    AUTO_FREE char *found = pki_files_find(dir);

    if (!found)
        return 0;
    (void)err_fail(
        ENOENT,
        "%s is not there, and %s is of a cluster already: is --db-path the right one? Else "
        "restore the database from a backup, or, to begin a new cluster, name another --tls-dir "
        "or move the directory away",
        db_path, found);
    return PKI_DAMAGED;
}

int pki_open(const struct pki_options *options, const char *cluster_id, const char *db_path,
             struct pki **ret_pki, bool *ret_is_new)
{
    struct pki *pki = NEW(struct pki);
    int r;

    pki->options = *options;
    pki->dir = directory_of(options, db_path);
    *ret_is_new = !has_ca(pki->dir);
    find_names(pki);
    if (options->key_file)
        pem_file_tell_open_key(options->key_file);
    r = open_files(pki, cluster_id, db_path);
    if (r == 0) {
        choose_files(pki);
        r = follow_files(pki, 0);
    }
    if (r != 0) {
        pki_free(pki);
        return r;
    }
    *ret_pki = pki;
    return 0;
}

void pki_free(struct pki *pki)
{
    if (!pki)
        return;
    pki_files_free(pki->files);
    tls_trust_free(pki->told);
    tls_chain_free(pki->given);
    free(pki->told_pem);
    free(pki->cert_file);
    free(pki->key_file);
    free(pki->hostname);
    free(pki->dir);
    free(pki);
}

/* After our own writes, so that they are one change. The admin's certificate is shown by nobody
 * here. */
int pki_refresh(struct pki *pki, bool *ret_is_new)
{
    bool is_made = false, is_new, is_told_new;
    int r = pki_files_refresh(pki->files, clock_unix_s(), &is_made);

    if (r != 0)
        return r;
    is_new = stamp_pair(pki) != pki->shown_stamp;
    is_told_new = stamp_told(pki) != pki->told_stamp;
    if (is_new || is_told_new)
        r = follow_files(pki, 0);
    if (r != 0)
        return r;
    if (pki->given)
        pki_given_watch_time(pki, clock_unix_s());
    if (is_told_new)
        log_info("nodes are told what --tls-ca has now", LOG_S("file", pki->options.ca_file));
    *ret_is_new = is_new;
    return 0;
}

void pki_note_shown(struct pki *pki)
{
    pki->shown_stamp = pki->read_stamp;
    if (!pki->given)
        return;
    pki_given_warn(pki);
    pki_given_watch_time(pki, clock_unix_s());
}

int pki_publish_next(struct pki *pki)
{
    int r = pki_files_make_next(pki->files, clock_unix_s());

    return follow_files(pki, r == 0 ? pki_files_publish_next(pki->files) : r);
}

int pki_promote_next(struct pki *pki)
{
    return follow_files(pki, pki_files_promote_next(pki->files, clock_unix_s()));
}

int pki_drop_old(struct pki *pki)
{
    return follow_files(pki, pki_files_drop_old(pki->files));
}

int pki_issue_node(const struct pki *pki, const struct tls_public_key *key, const char *node_id,
                   uint32_t host_ip, char **ret_pem)
{
    const struct tls_cert_order order = {.kind = TLS_KIND_NODE,
                                         .name = node_id,
                                         .names = {.addrs = &host_ip, .addr_count = 1},
                                         .now = clock_unix_s(),
                                         .life_s = pki->options.node_life_s};
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    int r = tls_ca_issue(pki->files->ca, key, &order, &cert);

    if (r == 0)
        *ret_pem = tls_cert_to_pem(cert);
    return r;
}
