/* The certificates of a control plane that runs: the first start, renewal, and what is shown. */
#include "control/certificates.h"

#include <stdio.h>
#include <string.h>

#include "control/api/tokens.h"
#include "control/control.h"
#include "lib/api/access_token.h"
#include "lib/base/error.h"
#include "lib/base/list.h"
#include "lib/base/secret.h"

/* Between two looks at the certificates. */
#define RENEWAL_MS 30000
#define FIRST_TOKEN_TTL_S (24LL * 3600)

/* ---- the start ----------------------------------------------------------------------------- */

/* Clusters of versions that did not note it: by what only TLS leaves behind. */
static bool has_spoken_tls(const struct control *c)
{
    const struct node *node;

    if (c->cluster.speaks_tls || c->tokens.count > 0)
        return true;
    DL_FOREACH(c->registry.first, node)
    {
        if (node->facts.key_sha256[0])
            return true;
    }
    return false;
}

static enum cluster_certs certs_now(const struct control *c)
{
    return c->pki->given ? CLUSTER_CERTS_GIVEN : CLUSTER_CERTS_OWN;
}

/* Between the cluster's own certificates and given ones. */
static bool is_other_kind(const struct control *c)
{
    enum cluster_certs before = c->cluster.certs;

    return (before == CLUSTER_CERTS_OWN || before == CLUSTER_CERTS_GIVEN) && before != certs_now(c);
}

static void tell_change(const struct control *c, bool is_new)
{
    if (is_new)
        log_warn("a new CA in place of the one that is missing: every node has to join anew",
                 LOG_S("dir", c->pki->dir));
    else if (is_other_kind(c))
        log_warn(c->pki->given ? "a given certificate is shown in place of the cluster's own: "
                                 "nodes that were not given its CA have to join anew"
                               : "the cluster's own certificate is shown in place of a given one: "
                                 "nodes that know only the given CA have to join anew",
                 LOG_S("file", c->pki->cert_file));
}

int certificates_load(struct control *c)
{
    const struct pki_past past = {.has_spoken = has_spoken_tls(c),
                                  .is_wanted = c->cluster.certs == CLUSTER_CERTS_WANTED,
                                  .was_given = c->cluster.certs == CLUSTER_CERTS_GIVEN};
    bool is_wanted = false, is_new = false;
    int r = pki_decide(&c->config.pki, c->config.db_path, &past, &is_wanted);

    if (r == 0 && is_wanted)
        r = pki_open(&c->config.pki, c->cluster.cluster_id, c->config.db_path, &c->pki, &is_new);
    if (r == PKI_DAMAGED)
        return STORE_DAMAGED;
    if (r < 0 || !is_wanted)
        return r;
    if (past.has_spoken)
        tell_change(c, is_new);
    c->wants_first_token = is_new || !past.has_spoken || is_other_kind(c);
    return 0;
}

static int store_tls(struct control *c, struct store_change *change)
{
    int r = store_commit(c->store, change);

    if (r == 0 && change->outcome != STORE_DONE)
        r = err_fail(ENOSPC, "%s: no room to note that the cluster speaks TLS", c->config.db_path);
    if (r == 0)
        c->registry.revision = change->revision;
    return r;
}

static void write_certs(struct control *c, struct store_change *change)
{
    if (c->cluster.speaks_tls && c->cluster.certs == certs_now(c))
        return;
    c->cluster.speaks_tls = true;
    c->cluster.certs = certs_now(c);
    store_add_update(change, CLUSTER_KIND, CLUSTER_ID, c->cluster_revision, NULL,
                     cluster_to_json(&c->cluster));
}

static int begin_with_first_token(struct control *c, struct store_change *change)
{
    struct token_facts facts = {.role = ACCESS_JOINING};
    char text[ACCESS_TOKEN_TEXT_SIZE];
    int r;

    tokens_api_make(c, &facts, text);
    facts.expires_at = facts.created_at + FIRST_TOKEN_TTL_S;
    tokens_write_create(change, &facts);
    r = store_tls(c, change);
    if (r == 0) {
        tokens_add(&c->tokens, &facts, change->revision);
        c->first_token = mem_strdup(text);
    }
    explicit_bzero(text, sizeof text);
    return r;
}

int certificates_begin(struct control *c)
{
    struct store_change change = {.at_unix_s = clock_unix_s()};
    int r = 0;

    if (!c->pki)
        return 0;
    write_certs(c, &change);
    if (c->wants_first_token)
        r = begin_with_first_token(c, &change);
    else if (change.op_count > 0)
        r = store_tls(c, &change);
    store_change_deinit(&change);
    return r;
}

static int print_join_line(const struct control *c)
{
    AUTO_FREE char *host = pki_host(c->pki);
    int n = printf("quilt-mesh-agent --control-plane https://%s:%u --host-ip HOST_IP --token %s\n",
                   host, http_server_port(c->server), c->first_token);

    return n < 0 || fflush(stdout) != 0 ? err_sys(errno, "write to standard output") : 0;
}

void certificates_print_join_line(struct control *c)
{
    if (!c->first_token)
        return;
    if (print_join_line(c) < 0)
        log_warn("the line to join with could not be printed; another one is printed by "
                 "'quiltctl token create -o wide', as root on this host",
                 LOG_ERR());
    secret_free(TAKE_PTR(c->first_token));
}

/* ---- renewal ------------------------------------------------------------------------------- */

struct http_tls_config certificates_files(const struct control *c)
{
    return (struct http_tls_config){c->pki->cert_file, c->pki->key_file};
}

void certificates_note_shown(struct control *c)
{
    pki_note_shown(c->pki);
    if (pki_keep_url(c->pki, http_server_port(c->server)) < 0)
        log_warn("quiltctl on this host may not find the control plane without --control-plane",
                 LOG_ERR());
}

int certificates_show(struct control *c)
{
    const struct http_tls_config config = certificates_files(c);
    int r = http_server_set_tls(c->server, &config);

    if (r == 0)
        certificates_note_shown(c);
    return r;
}

static void renew(struct control *c)
{
    bool is_new = false;
    int r = pki_refresh(c->pki, &is_new);

    if (r == 0 && is_new)
        r = certificates_show(c);
    if (r != 0 && !c->is_renewal_failing)
        log_error("certificates could not be renewed; the old ones are shown on, and this is tried "
                  "again without another word",
                  LOG_ERR());
    else if (r == 0 && is_new)
        log_info("another certificate is shown from now on", LOG_S("file", c->pki->cert_file));
    c->is_renewal_failing = r != 0;
}

static void on_renewal(void *data)
{
    struct control *c = data;

    renew(c);
    loop_timer_set_in(c->renewal, RENEWAL_MS);
}

int certificates_watch(struct control *c)
{
    int r = loop_add_timer(c->daemon.loop, on_renewal, c, &c->renewal);

    if (r == 0 && c->pki)
        loop_timer_set_in(c->renewal, RENEWAL_MS);
    return r;
}
