/* What quiltctl shows to the control plane, and whom it believes to be it. */
#include "cli/credentials.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/local.h"
#include "lib/api/access_token.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/secret.h"
#include "lib/tls/trust.h"

#define TOKEN_FILE_MAX 4096
#define CA_TIMEOUT_MS 10000
#define OTHERS_MODE 077

void credentials_deinit(struct credentials *c)
{
    free(c->ca_file);
    free(c->cert_file);
    free(c->key_file);
    secret_free(c->bearer);
    free(c->words);
    if (c->pinned_fd >= 0)
        close(c->pinned_fd);
    *c = CREDENTIALS_NONE;
}

static char *copy_or_null(const char *text)
{
    return text ? mem_strdup(text) : NULL;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static void warn_of_readers(const char *file)
{
    struct stat st;

    if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & OTHERS_MODE) != 0)
        (void)fprintf(stderr, "quiltctl: others can read the token in %s; chmod 600 ends that\n",
                      file);
}

/* Once: what it is read from may be a pipe. */
static int read_token_file(struct cli *cli)
{
    static const char blanks[] = " \t\r\n";
    AUTO_SECRET char *text = NULL;
    size_t n, start;
    int r = file_read(cli->token_file, TOKEN_FILE_MAX, &text, &n);

    if (r < 0)
        return r;
    warn_of_readers(cli->token_file);
    start = strspn(text, blanks);
    while (n > start && strchr(blanks, text[n - 1]))
        text[--n] = '\0';
    cli->token = mem_strdup(text + start); /* kept for the life of the process */
    return 0;
}

/* Wrong here, whatever the control plane is like. */
static int fail_here(void)
{
    return err_fail(EBADMSG, "%s", err_text());
}

static int get_token(struct cli *cli, struct access_token *ret_token)
{
    int r = cli->token ? 0 : read_token_file(cli);

    if (r == 0)
        r = access_token_parse(cli->token, ret_token);
    if (r < 0 && cli->token)
        return err_wrap(r, "the token%s%s", cli->token_file ? " in " : "",
                        cli->token_file ? cli->token_file : "");
    return r;
}

/* ---- the CA that a token pins ---------------------------------------------------------------- */

static int fetch_cas(const struct cli *cli, const char *base, struct tls_trust **ret_trust)
{
    AUTO_FREE char *url = mem_printf("%s/api/ca", base);
    const struct http_request_spec spec = {.method = "GET",
                                           .url = url,
                                           .connect_to = cli->control_addr,
                                           .timeout_ms = CA_TIMEOUT_MS,
                                           .body_max = TLS_BUNDLE_MAX,
                                           .connection = HTTP_UNVERIFIED};
    struct http_reply reply = {0};
    int r = http_fetch(NULL, &spec, &reply);

    if (r < 0)
        return r;
    if (reply.status != 200)
        r = err_fail(EREMOTEIO, "GET %s: HTTP %u; is this the right URL?", url, reply.status);
    else if (tls_trust_from_pem(reply.body, reply.body_len, ret_trust) < 0)
        r = err_fail(EREMOTEIO, "GET %s: %s; is this the right URL?", url, err_text());
    http_reply_deinit(&reply);
    return r;
}

/* libcurl reads files. This one is in no directory, and goes with the descriptor. */
static int keep_cas(const struct tls_trust *trust, struct credentials *c)
{
    AUTO_FREE char *pem = tls_trust_to_pem(trust);
    int r;

    c->pinned_fd = memfd_create("quiltctl-ca", MFD_CLOEXEC);
    r = c->pinned_fd < 0 ? -errno : file_write_all(c->pinned_fd, pem, strlen(pem));
    if (r < 0)
        return err_sys(-r, "keep the CA in memory");
    c->ca_file = mem_printf("/proc/self/fd/%d", c->pinned_fd);
    return 0;
}

static int pin_ca(const struct cli *cli, const char *base, const struct access_token *token,
                  struct credentials *c)
{
    AUTO_TLS_TRUST struct tls_trust *trust = NULL;
    int r = fetch_cas(cli, base, &trust);

    if (r < 0)
        return r;
    if (tls_trust_keep_pinned(trust, token->pins, token->pin_count) != 0)
        return err_fail(EKEYREJECTED, "%s: %s, or the CA was replaced after the token was made",
                        base, err_text());
    return keep_cas(trust, c);
}

static int use_token(struct cli *cli, const char *base, struct credentials *c)
{
    AUTO_ACCESS_TOKEN struct access_token token = {0};

    if (get_token(cli, &token) < 0)
        return fail_here();
    c->bearer = mem_printf("Authorization: Bearer %s", cli->token);
    c->words = mem_printf("the token %s", token.id);
    if (!cli->tls_ca)
        return pin_ca(cli, base, &token, c);
    c->ca_file = mem_strdup(cli->tls_ca);
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int fail_locked(void)
{
    return err_fail(ENOKEY, "what this host shows to the control plane is for root; be root, or "
                            "give --token-file FILE");
}

static int use_files(const struct cli *cli, size_t attempt, struct credentials *c)
{
    static const struct local_place nothing = {0};
    AUTO_LOCAL struct local local = {0};
    const struct local_place *place = &nothing;

    if (local_find(cli, &local) < 0)
        return fail_here();
    if (attempt > 0 && (attempt >= local.count || cli->tls_ca))
        return CREDENTIALS_NO_MORE;
    if (local.count > 0)
        place = &local.places[attempt];
    else if (local.is_locked && !cli->tls_ca && !cli->tls_cert)
        return fail_locked();
    c->ca_file = copy_or_null(cli->tls_ca ? cli->tls_ca : place->ca_file);
    c->cert_file = copy_or_null(cli->tls_cert ? cli->tls_cert : place->cert_file);
    c->key_file = copy_or_null(cli->tls_key ? cli->tls_key : place->key_file);
    c->words = copy_or_null(c->cert_file);
    return 0;
}

static bool is_whole(const struct credentials *c)
{
    return c->ca_file && c->cert_file && c->key_file;
}

int credentials_for_runtime(const struct cli *cli, struct credentials *ret_credentials)
{
    AUTO_CREDENTIALS struct credentials c = CREDENTIALS_NONE;
    int r = use_files(cli, 0, &c);

    if (r < 0)
        return r;
    if (!is_whole(&c))
        return err_fail(ENOKEY,
                        "%s wants to see a certificate: be root on its node or on the "
                        "control plane's host, or give --tls-ca, --tls-cert and --tls-key",
                        cli->runtime);
    *ret_credentials = c;
    c = CREDENTIALS_NONE;
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int fill(struct cli *cli, const char *base, size_t attempt, struct credentials *c)
{
    bool is_plain = !http_url_is_tls(base);
    bool has_token = cli->token || cli->token_file;

    if (is_plain && has_token)
        return err_fail(EBADMSG, "%s: a token is shown over https:// only", base);
    if (attempt > 0 && (is_plain || has_token))
        return CREDENTIALS_NO_MORE;
    if (is_plain)
        return 0;
    return has_token ? use_token(cli, base, c) : use_files(cli, attempt, c);
}

int credentials_find(struct cli *cli, const char *base, size_t attempt,
                     struct credentials *ret_credentials)
{
    AUTO_CREDENTIALS struct credentials c = CREDENTIALS_NONE;
    int r = fill(cli, base, attempt, &c);

    if (r != 0)
        return r;
    *ret_credentials = c;
    c = CREDENTIALS_NONE;
    return 0;
}
