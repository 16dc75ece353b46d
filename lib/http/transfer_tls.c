/* TLS of one request: whom the client believes, what it shows, and words for what goes wrong.
 *
 * libcurl looks at the chain, the name and the time. Whose certificate it is, it does not know:
 * that is looked at when all else is good and before the first byte of the request goes out.
 */
#include <gnutls/gnutls.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/http/client_internal.h"
#include "lib/tls/server.h"

/* ---- whose certificate it is --------------------------------------------------------------- */

static int read_shown(CURL *easy, struct tls_cert **ret_cert)
{
    struct curl_tlssessioninfo *info = NULL;
    const gnutls_datum_t *shown = NULL;
    unsigned int count = 0;

    if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &info) == CURLE_OK && info->internals)
        shown = gnutls_certificate_get_peers(info->internals, &count);
    if (!shown || count == 0)
        return err_fail(EPROTO, "the server shows no certificate");
    return tls_cert_from_der(shown[0].data, shown[0].size, ret_cert);
}

static int on_ready_to_ask(void *data, char *ip, char *own_ip, int port, int own_port)
{
    struct transfer *t = data;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;

    if (read_shown(t->easy, &cert) == 0 && tls_server_may_show(cert) == 0)
        return CURL_PREREQFUNC_OK;
    t->refusal = mem_strdup(err_text());
    return CURL_PREREQFUNC_ABORT;
}

/* ---- before -------------------------------------------------------------------------------- */

static CURLcode set_files(struct transfer *t, const struct http_client_config *config)
{
    if (config->ca_file) {
        SET(t, CURLOPT_CAINFO, config->ca_file);
        t->ca_file = mem_strdup(config->ca_file);
    }
    if (config->cert_file)
        SET(t, CURLOPT_SSLCERT, config->cert_file);
    if (config->key_file)
        SET(t, CURLOPT_SSLKEY, config->key_file);
    return CURLE_OK;
}

static CURLcode set_verification(struct transfer *t, const struct http_client_config *config)
{
    CURLcode code = config ? set_files(t, config) : CURLE_OK;

    if (code != CURLE_OK)
        return code;
    SET(t, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(t, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(t, CURLOPT_PREREQFUNCTION, on_ready_to_ask);
    SET(t, CURLOPT_PREREQDATA, t);
    return CURLE_OK;
}

static CURLcode set_no_verification(struct transfer *t)
{
    SET(t, CURLOPT_SSL_VERIFYPEER, 0L);
    SET(t, CURLOPT_SSL_VERIFYHOST, 0L);
    return CURLE_OK;
}

CURLcode transfer_set_tls(struct transfer *t, const struct http_client_config *config,
                          const struct http_request_spec *spec)
{
    long is_own = spec->connection == HTTP_KEPT ? 0 : 1;
    CURLcode code;

    if (!http_url_is_tls(spec->url))
        return CURLE_OK;
    code =
        spec->connection == HTTP_UNVERIFIED ? set_no_verification(t) : set_verification(t, config);
    if (code != CURLE_OK)
        return code;
    SET(t, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* A session that is resumed has been verified by what was believed then. */
    SET(t, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    SET(t, CURLOPT_CERTINFO, 1L); /* for the words when it is refused */
    SET(t, CURLOPT_FRESH_CONNECT, is_own);
    SET(t, CURLOPT_FORBID_REUSE, is_own);
    return CURLE_OK;
}

/* ---- after --------------------------------------------------------------------------------- */

/* The certificate that the server showed, as libcurl noted it down; NULL: none. */
static struct tls_cert *noted_cert(struct transfer *t)
{
    static const char key[] = "Cert:";
    struct curl_certinfo *info = NULL;
    struct tls_cert *cert = NULL;

    if (curl_easy_getinfo(t->easy, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
        info->num_of_certs < 1)
        return NULL;
    for (const struct curl_slist *line = info->certinfo[0]; line; line = line->next) {
        const char *pem = line->data + strlen(key);

        if (strncmp(line->data, key, strlen(key)) == 0)
            return tls_cert_from_pem(pem, strlen(pem), &cert) == 0 ? cert : NULL;
    }
    return NULL;
}

/* Caller frees. */
static char *host_of(struct transfer *t)
{
    char *url = NULL, *part = NULL, *host = NULL;
    CURLU *parser = curl_url();

    (void)curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
    if (parser && url && curl_url_set(parser, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parser, CURLUPART_HOST, &part, 0) == CURLUE_OK)
        host = mem_strdup(part);
    curl_free(part);
    curl_url_cleanup(parser);
    return host ? host : mem_strdup("");
}

static int explain(struct transfer *t, const struct tls_cert *cert)
{
    AUTO_FREE char *host = host_of(t);
    struct tls_server_question question = {
        .host = host, .ca_file = t->ca_file, .words = t->curl_text, .now = clock_unix_s()};
    long faults = 0;
    int outcome;

    (void)curl_easy_getinfo(t->easy, CURLINFO_SSL_VERIFYRESULT, &faults);
    question.is_ca_known = ((unsigned long)faults & GNUTLS_CERT_SIGNER_NOT_FOUND) == 0;
    outcome = tls_server_explain(cert, &question);
    (void)err_wrap(-EPROTO, "%s", t->what);
    if (outcome == TLS_EXPIRED || outcome == TLS_NOT_YET_VALID)
        return EKEYEXPIRED;
    return outcome == TLS_UNKNOWN_ISSUER ? EKEYREJECTED : EPROTO;
}

static int refused_server(struct transfer *t)
{
    AUTO_TLS_CERT struct tls_cert *cert = noted_cert(t);

    if (cert)
        return explain(t, cert);
    (void)err_fail(EPROTO, "%s: %s", t->what, t->curl_text);
    return EPROTO;
}

/* With GnuTLS, libcurl has one code for that and for what servers do. */
static bool is_own_cert_unread(const struct transfer *t, CURLcode code)
{
    static const char words[] = "error reading X.509 ";

    return code == CURLE_SSL_CONNECT_ERROR && strncmp(t->curl_text, words, strlen(words)) == 0;
}

/* The server has no part in it: it was not even asked. */
static int own_files_error(struct transfer *t, CURLcode code)
{
    if (code == CURLE_SSL_CACERT_BADFILE)
        (void)err_fail(EBADMSG, "%s: %s cannot be read as CAs", t->what, t->ca_file);
    else if (code == CURLE_SSL_CERTPROBLEM || is_own_cert_unread(t, code))
        (void)err_fail(EBADMSG, "%s: %s", t->what, t->curl_text);
    else
        return 0;
    return EBADMSG;
}

int transfer_tls_error(struct transfer *t, CURLcode code)
{
    int errnum = t->refusal ? 0 : own_files_error(t, code);

    if (errnum > 0)
        return errnum;
    if (t->refusal)
        (void)err_fail(EPROTO, "%s: %s", t->what, t->refusal);
    else if (code == CURLE_PEER_FAILED_VERIFICATION)
        return refused_server(t);
    else if (code == CURLE_SSL_CONNECT_ERROR)
        (void)err_fail(EPROTO, "%s: %s (does the server speak TLS there, 1.2 or later?)", t->what,
                       t->curl_text);
    else
        return 0;
    return EPROTO;
}
