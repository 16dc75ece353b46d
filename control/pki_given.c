/* Certificates that were given on the command line. */
#include "control/pki_given.h"

#include <errno.h>
#include <string.h>

#include "lib/api/access_token.h"
#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/log.h"
#include "lib/tls/pem_file.h"

/* Besides the given ones nodes are told the cluster's own CA, and while that is replaced two. */
#define OWN_CAS_MAX 2

/* ---- whose files they are ------------------------------------------------------------------ */

static int check_not_ours(const char *option, const char *file, const char *dir)
{
    AUTO_FREE char *ours = pki_files_find_same(dir, file);

    if (!ours)
        return 0;
    return err_fail(EINVAL,
                    "%s %s is %s, which the control plane makes and renews itself: leave out "
                    "--tls-cert and --tls-key and it shows its own certificate, or give files "
                    "from elsewhere",
                    option, file, ours);
}

/* A CA of ours may well vouch for what is given. But what nodes are told is made from this file. */
static int check_not_told(const char *file, const char *dir)
{
    AUTO_FREE char *told = mem_printf("%s/" PKI_TOLD, dir);
    AUTO_FREE char *ours = pki_files_find_same(dir, file);

    if (!ours || strcmp(ours, told) != 0)
        return 0;
    return err_fail(EINVAL,
                    "--tls-ca %s is %s, which the control plane writes itself: give the root of "
                    "--tls-cert alone, in a file elsewhere",
                    file, told);
}

int pki_given_check_place(const struct pki_options *o, const char *dir)
{
    int r = check_not_ours("--tls-cert", o->cert_file, dir);

    if (r == 0)
        r = check_not_ours("--tls-key", o->key_file, dir);
    return r == 0 && o->ca_file ? check_not_told(o->ca_file, dir) : r;
}

/* ---- reading ------------------------------------------------------------------------------- */

static int read_pair(const struct pki_options *o, struct tls_chain **ret_chain)
{
    AUTO_TLS_CHAIN struct tls_chain *chain = NULL;
    AUTO_TLS_KEY struct tls_key *key = NULL;
    int r = pem_file_read_chain(o->cert_file, &chain);

    if (r < 0)
        return err_wrap(r, "--tls-cert");
    r = pem_file_read_given_key(o->key_file, &key);
    if (r < 0)
        return err_wrap(r, "--tls-key");
    r = tls_chain_check_key(chain, key);
    if (r < 0)
        return err_wrap(r, "--tls-cert %s with --tls-key %s", o->cert_file, o->key_file);
    *ret_chain = TAKE_PTR(chain);
    return 0;
}

/* The last one of an ACME client's file is from a root that is not in it. */
static int find_roots_inside(const struct pki_options *o, const struct tls_chain *chain,
                             struct tls_trust **ret_roots)
{
    int r = tls_chain_roots(chain, chain, ret_roots);

    if (r <= 0)
        return r < 0 ? err_wrap(r, "--tls-cert %s", o->cert_file) : 0;
    return err_fail(EINVAL,
                    "--tls-cert %s: %s; give the root's certificate, by which nodes are to know "
                    "the control plane, with --tls-ca",
                    o->cert_file, err_text());
}

static int find_roots(const struct pki_options *o, const struct tls_chain *chain,
                      struct tls_trust **ret_roots)
{
    AUTO_TLS_CHAIN struct tls_chain *cas = NULL;
    int r;

    if (!o->ca_file)
        return find_roots_inside(o, chain, ret_roots);
    r = pem_file_read_chain(o->ca_file, &cas);
    if (r < 0)
        return err_wrap(r, "--tls-ca");
    r = tls_chain_roots(chain, cas, ret_roots);
    return r != 0 ? err_wrap(-EINVAL, "--tls-ca %s", o->ca_file) : 0;
}

static int check(const struct pki_options *o, const struct tls_chain *chain,
                 const struct tls_trust *roots)
{
    int r = tls_chain_check(chain, roots);

    if (r == TLS_UNKNOWN_ISSUER)
        return err_fail(EINVAL,
                        "--tls-cert %s: %s; put the certificates between behind the server's own "
                        "(\"full chain\"), or give the root that it is from with --tls-ca",
                        o->cert_file, err_text());
    return r < 0 ? err_wrap(r, "--tls-cert %s", o->cert_file) : 0;
}

static int check_room(const struct pki_options *o, const struct tls_trust *roots)
{
    size_t count = tls_trust_count(roots);

    if (count <= TLS_BUNDLE_CAS_MAX - OWN_CAS_MAX)
        return 0;
    return err_fail(EINVAL,
                    "%s has %zu CAs, of which nodes can be told %d beside the cluster's own: give "
                    "the one that vouches for the certificate alone with --tls-ca",
                    o->ca_file ? o->ca_file : o->cert_file, count,
                    TLS_BUNDLE_CAS_MAX - OWN_CAS_MAX);
}

int pki_given_read(const struct pki_options *options, struct tls_chain **ret_chain,
                   struct tls_trust **ret_roots)
{
    AUTO_TLS_CHAIN struct tls_chain *chain = NULL;
    AUTO_TLS_TRUST struct tls_trust *roots = NULL;
    int r = read_pair(options, &chain);

    if (r == 0)
        r = find_roots(options, chain, &roots);
    if (r == 0)
        r = check(options, chain, roots);
    if (r == 0)
        r = check_room(options, roots);
    if (r < 0)
        return r;
    *ret_chain = TAKE_PTR(chain);
    *ret_roots = TAKE_PTR(roots);
    return 0;
}

int pki_given_check(const struct pki_options *options)
{
    AUTO_TLS_CHAIN struct tls_chain *chain = NULL;
    AUTO_TLS_TRUST struct tls_trust *roots = NULL;

    return options->cert_file ? pki_given_read(options, &chain, &roots) : 0;
}

/* ---- names --------------------------------------------------------------------------------- */

static char *find_addr(const struct pki *pki, bool is_loopback)
{
    char text[IP4_TEXT_SIZE];

    for (size_t i = 0; i < pki->addr_count; i++)
        if (ip4_is_loopback(pki->addrs[i]) == is_loopback &&
            tls_cert_is_for_host(tls_chain_own(pki->given), ip4_format(pki->addrs[i], text)))
            return mem_strdup(text);
    return NULL;
}

char *pki_given_host(const struct pki *pki)
{
    const struct tls_cert *own = tls_chain_own(pki->given);
    const char *const names[] = {pki->options.extra_name, pki->hostname};
    char *found = NULL;

    for (size_t i = 0; i < ARRAY_LEN(names) && !found; i++) {
        if (names[i] && tls_cert_is_for_host(own, names[i]))
            return mem_strdup(names[i]);
        found = find_addr(pki, false);
    }
    found = found ? found : tls_cert_host(own);
    return found ? found : find_addr(pki, true);
}

static void warn_of_names(const struct pki *pki)
{
    const char *extra = pki->options.extra_name;
    AUTO_FREE char *host = pki_given_host(pki);

    if (!host)
        log_warn("the given certificate is for no name or address of this host: nodes refuse it "
                 "unless it is for what their --control-plane says",
                 LOG_S("file", pki->cert_file));
    else if (extra && !tls_cert_is_for_host(tls_chain_own(pki->given), extra))
        log_warn("the given certificate is not for --tls-name", LOG_S("file", pki->cert_file),
                 LOG_S("name", extra));
}

/* ---- what may keep nodes away -------------------------------------------------------------- */

void pki_given_warn(const struct pki *pki)
{
    warn_of_names(pki);
    if (pki->given_roots > ACCESS_TOKEN_PINS_MAX)
        log_warn("--tls-ca has more CAs than a token has room for: of those that vouch for the "
                 "certificate the first ones are in it",
                 LOG_U("cas", pki->given_roots), LOG_U("room", ACCESS_TOKEN_PINS_MAX));
}

/* A tenth of its life is left: whatever renews it should have done so. */
static bool ends_soon(const struct tls_cert_facts *facts, int64_t now)
{
    return facts->not_after - now < (facts->not_after - facts->not_before) / 10;
}

void pki_given_watch_time(struct pki *pki, int64_t now)
{
    const struct tls_cert_facts *own = tls_cert_facts(tls_chain_own(pki->given));
    int r = tls_chain_check_time(pki->given, pki->told, now);
    enum pki_time time = r != 0                ? PKI_OUT_OF_TIME
                         : ends_soon(own, now) ? PKI_ENDS_SOON
                                               : PKI_IN_TIME;

    if (time == pki->given_time)
        return;
    pki->given_time = time;
    if (time == PKI_OUT_OF_TIME)
        log_error("nodes refuse the given certificate, which is read again when it changes",
                  LOG_S("file", pki->cert_file), LOG_ERR());
    else if (time == PKI_ENDS_SOON)
        log_warn("the given certificate expires soon: does anything renew it?",
                 LOG_S("file", pki->cert_file), LOG_I("not_after", own->not_after));
}
