/* What quiltctl shows to the control plane. */
#include "cli/credentials.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/api/access_token.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/secret.h"
#include "lib/tls/trust.h"

#define TOKEN_FILE_MAX 4096
#define CA_TIMEOUT_MS 10000

void credentials_deinit(struct credentials *c)
{
    secret_free(c->bearer);
    free(c->ca_file);
    free(c->cert_file);
    free(c->key_file);
    if (c->ca_fd >= 0)
        close(c->ca_fd);
    *c = (struct credentials){.ca_fd = -1};
}

/* ---- what lies here -------------------------------------------------------------------------- */

/* Where the files of the control plane's admin and those of a node are. */
static const struct {
    const char *dir, *ca, *cert, *key;
} places[] = {
    {"pki", "ca-bundle.pem", "admin.pem", "admin-key.pem"},
    {"tls", "ca.pem", "node.pem", "node-key.pem"},
};

static char *path_in(const struct cli *cli, size_t place, const char *name)
{
    return mem_printf("%s/%s/%s", cli->state_dir, places[place].dir, name);
}

static bool can_read(const struct cli *cli, size_t place)
{
    AUTO_FREE char *cert = path_in(cli, place, places[place].cert);
    AUTO_FREE char *key = path_in(cli, place, places[place].key);

    return access(cert, R_OK) == 0 && access(key, R_OK) == 0;
}

bool credentials_are_admins(const struct cli *cli)
{
    return can_read(cli, 0);
}

static void take_local(const struct cli *cli, struct credentials *c)
{
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (!can_read(cli, i))
            continue;
        c->ca_file = cli->tls_ca ? mem_strdup(cli->tls_ca) : path_in(cli, i, places[i].ca);
        c->cert_file = path_in(cli, i, places[i].cert);
        c->key_file = path_in(cli, i, places[i].key);
        return;
    }
    c->ca_file = cli->tls_ca ? mem_strdup(cli->tls_ca) : NULL;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static int read_token(const struct cli *cli, char **ret_text)
{
    char *text = NULL;
    size_t n = 0;
    int r;

    if (cli->token) {
        *ret_text = mem_strdup(cli->token);
        return 0;
    }
    r = file_read(cli->token_file, TOKEN_FILE_MAX, &text, &n);
    if (r < 0)
        return r;
    text[strcspn(text, " \t\r\n")] = '\0';
    *ret_text = text;
    return 0;
}

static int fetch_ca(const char *base, struct http_reply *ret_reply)
{
    const struct http_client_config none = {0};
    AUTO_FREE char *url = mem_printf("%s/api/ca", base);
    const struct http_request_spec spec = {.method = "GET",
                                           .url = url,
                                           .timeout_ms = CA_TIMEOUT_MS,
                                           .body_max = TLS_BUNDLE_MAX,
                                           .connection = HTTP_UNVERIFIED};
    int r = http_fetch(&none, &spec, ret_reply);

    if (r == 0 && ret_reply->status != 200)
        r = err_fail(EREMOTEIO, "%s: HTTP %u; is this a quilt-mesh-control?", url,
                     ret_reply->status);
    return r;
}

/* libcurl reads files; this one is in no directory and goes with the process. */
static int keep_ca(struct credentials *c, const char *pem)
{
    size_t n = strlen(pem);

    c->ca_fd = memfd_create("quiltctl-ca", MFD_CLOEXEC);
    if (c->ca_fd < 0 || write(c->ca_fd, pem, n) != (ssize_t)n)
        return err_sys(errno, "keep the CA");
    c->ca_file = mem_printf("/proc/self/fd/%d", c->ca_fd);
    return 0;
}

static int believe_pinned(const char *base, const struct access_token *token, struct credentials *c)
{
    AUTO_TLS_TRUST struct tls_trust *trust = NULL;
    AUTO_FREE char *pem = NULL;
    struct http_reply reply = {0};
    int r = fetch_ca(base, &reply);

    if (r == 0)
        r = tls_trust_from_pem(reply.body, reply.body_len, &trust);
    http_reply_deinit(&reply);
    if (r < 0)
        return r;
    if (tls_trust_keep_pinned(trust, token->pins, token->pin_count) != 0)
        return err_fail(EKEYREJECTED,
                        "%s is not the control plane that the token is for, or its CA was replaced "
                        "since; nothing was shown to it (%s)",
                        base, err_text());
    pem = tls_trust_to_pem(trust);
    return keep_ca(c, pem);
}

static int use_token(const struct cli *cli, const char *base, struct credentials *c)
{
    AUTO_ACCESS_TOKEN struct access_token token = {0};
    AUTO_SECRET char *text = NULL;
    int r = read_token(cli, &text);

    if (r == 0)
        r = access_token_parse(text, &token);
    if (r < 0)
        return r;
    c->bearer = mem_printf("Authorization: Bearer %s", text);
    if (!cli->tls_ca)
        return believe_pinned(base, &token, c);
    c->ca_file = mem_strdup(cli->tls_ca);
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int fill(const struct cli *cli, const char *base, struct credentials *c)
{
    if (cli->token || cli->token_file)
        return use_token(cli, base, c);
    if (!cli->tls_cert) {
        take_local(cli, c);
        return 0;
    }
    c->ca_file = cli->tls_ca ? mem_strdup(cli->tls_ca) : NULL;
    c->cert_file = mem_strdup(cli->tls_cert);
    c->key_file = mem_strdup(cli->tls_key);
    return 0;
}

int credentials_find(const struct cli *cli, const char *base, struct credentials *ret)
{
    bool is_https = strncmp(base, "https:", 6) == 0;
    int r = 0;

    *ret = (struct credentials){.ca_fd = -1};
    if (!is_https && (cli->token || cli->token_file))
        return err_fail(EINVAL, "%s: a token is shown over https:// only", base);
    if (is_https)
        r = fill(cli, base, ret);
    if (r < 0) {
        credentials_deinit(ret);
        return r;
    }
    ret->config = (struct http_client_config){
        .ca_file = ret->ca_file, .cert_file = ret->cert_file, .key_file = ret->key_file};
    return 0;
}
