/* The URI in a certificate, read and written. */
#include "lib/tls/identity.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/base/strbuf.h"

#define SCHEME "spiffe://"
#define SCHEME_LEN (sizeof SCHEME - 1)
#define CLUSTER_LEN (UUID_TEXT_SIZE - 1)

static const char *const kind_words[] = {
    [TLS_KIND_NODE] = "node",
    [TLS_KIND_USER] = "user",
    [TLS_KIND_CONTROL] = "control",
};
static_assert(ARRAY_LEN(kind_words) == TLS_KIND_COUNT, "a word for each kind");

const char *tls_kind_word(enum tls_kind kind)
{
    return kind_words[kind];
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

int tls_name_check(const char *name)
{
    size_t n = strlen(name);

    if (n < 1 || n >= TLS_NAME_SIZE)
        return err_fail(EINVAL, "a name has 1 to %d characters, this one has %zu",
                        TLS_NAME_SIZE - 1, n);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_fail(EINVAL, "\"%s\" is no name", name);
    for (size_t i = 0; i < n; i++)
        if (!is_name_char(name[i]))
            return err_fail(EINVAL, "a name is made of letters, digits, '.', '_' and '-'");
    return 0;
}

/* The cluster's id, lower case, with its end at text[CLUSTER_LEN]. */
static int read_cluster(const char *text, struct tls_identity *identity)
{
    (void)snprintf(identity->cluster_id, sizeof identity->cluster_id, "%.*s", (int)CLUSTER_LEN,
                   text);
    for (const char *p = identity->cluster_id; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            return err_fail(EINVAL, "the cluster id is not in lower case");
    if (parse_uuid(identity->cluster_id) < 0 || text[CLUSTER_LEN] != '/')
        return err_fail(EINVAL, "no cluster id behind " SCHEME);
    return 0;
}

/* What stands behind the cluster's id and its slash. */
static int read_path(const char *path, struct tls_identity *identity)
{
    const char *slash = strchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : strlen(path);

    for (size_t i = 0; i < TLS_KIND_COUNT; i++) {
        if (strlen(kind_words[i]) != n || memcmp(kind_words[i], path, n) != 0)
            continue;
        identity->kind = (enum tls_kind)i;
        if ((slash != NULL) == (i == TLS_KIND_CONTROL))
            return err_fail(EINVAL, slash ? "something behind /control" : "no name at the end");
        if (!slash)
            return 0;
        (void)snprintf(identity->name, sizeof identity->name, "%s", slash + 1);
        return tls_name_check(slash + 1);
    }
    return err_fail(EINVAL, "neither a node's, nor a user's, nor the control plane's");
}

static int read_uri(const char *uri, struct tls_identity *identity)
{
    int r;

    if (strncmp(uri, SCHEME, SCHEME_LEN) != 0)
        return err_fail(EINVAL, "it does not begin with " SCHEME);
    r = read_cluster(uri + SCHEME_LEN, identity);
    return r < 0 ? r : read_path(uri + SCHEME_LEN + CLUSTER_LEN + 1, identity);
}

int tls_identity_from_uri(const char *uri, size_t n, struct tls_identity *ret_identity)
{
    struct tls_identity identity = {.kind = TLS_KIND_COUNT};
    AUTO_STRBUF struct strbuf safe = {0};
    char text[TLS_URI_SIZE] = "";
    int r;

    if (n >= sizeof text || memchr(uri, '\0', n))
        return err_fail(EINVAL, "the URI is too long, or has a NUL in it");
    memcpy(text, uri, n);
    r = read_uri(text, &identity);
    if (r == 0) {
        *ret_identity = identity;
        return 0;
    }
    strbuf_add_printable(&safe, text);
    return err_wrap(r, "URI %s", safe.data ? safe.data : "\"\"");
}

void tls_identity_to_uri(const struct tls_identity *identity, char ret_uri[static TLS_URI_SIZE])
{
    bool is_named = identity->name[0] != '\0';

    (void)snprintf(ret_uri, TLS_URI_SIZE, SCHEME "%s/%s%s%s", identity->cluster_id,
                   kind_words[identity->kind], is_named ? "/" : "", identity->name);
}
