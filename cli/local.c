/* What this host has of a mesh that speaks TLS. */
#include "cli/local.h"

#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/ip4.h"
#include "lib/http/client.h"
#include "lib/tls/pem_file.h"
#include "lib/tls/pki_files.h"

#define URL_MAX 512

/* Where the control plane keeps its CA: beside the agent's state, or as README and its unit have
 * it. */
static const char *const usual_dirs[] = {"/var/lib/quilt-mesh/pki",
                                         "/var/lib/quilt-mesh-control/pki"};

static void place_deinit(struct local_place *place)
{
    free(place->ca_file);
    free(place->cert_file);
    free(place->key_file);
}

void local_deinit(struct local *local)
{
    for (size_t i = 0; i < local->count; i++)
        place_deinit(&local->places[i]);
    *local = (struct local){0};
}

/* 0, or the errno of what keeps this user from using it. */
static int check_place(const struct local_place *place)
{
    const char *const files[] = {place->ca_file, place->cert_file, place->key_file};

    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (files[i] && access(files[i], R_OK) < 0)
            return errno;
    return 0;
}

/* Takes the place over. */
static int add_place(struct local *local, struct local_place place)
{
    int errnum = check_place(&place);

    local->is_locked = local->is_locked || errnum == EACCES;
    if (errnum == 0)
        local->places[local->count++] = place;
    else
        place_deinit(&place);
    return errnum;
}

/* What nodes are told, if that is more than the cluster's own CAs. */
static char *find_cas(const char *dir)
{
    AUTO_FREE char *told = mem_printf("%s/" PKI_TOLD, dir);

    return access(told, F_OK) == 0 ? TAKE_PTR(told) : mem_printf("%s/ca-bundle.pem", dir);
}

static int add_admin(struct local *local, const char *dir)
{
    return add_place(local, (struct local_place){.ca_file = find_cas(dir),
                                                 .cert_file = mem_printf("%s/admin.pem", dir),
                                                 .key_file = mem_printf("%s/admin-key.pem", dir)});
}

/* Who was revoked, or is not let in yet, has a CA to believe and nothing to show. It must not hide
 * that there is more here, for root. */
static void add_node(struct local *local, const char *state_dir)
{
    struct local_place place = {.ca_file = mem_printf("%s/tls/ca.pem", state_dir),
                                .cert_file = mem_printf("%s/tls/node.pem", state_dir),
                                .key_file = mem_printf("%s/tls/node-key.pem", state_dir)};

    if (!local->is_locked && access(place.cert_file, F_OK) < 0 && errno == ENOENT) {
        free(TAKE_PTR(place.cert_file));
        free(TAKE_PTR(place.key_file));
    }
    (void)add_place(local, place);
}

int local_find(const struct cli *cli, struct local *ret_local)
{
    struct local local = {0};
    int errnum = cli->tls_dir ? add_admin(&local, cli->tls_dir) : 0;

    if (errnum != 0)
        return err_sys(errnum, "the admin's certificate in %s (--tls-dir)", cli->tls_dir);
    for (size_t i = 0; !cli->tls_dir && i < ARRAY_LEN(usual_dirs); i++)
        (void)add_admin(&local, usual_dirs[i]);
    add_node(&local, cli->state_dir);
    *ret_local = local;
    return 0;
}

/* ---- where the control plane is -------------------------------------------------------------- */

/* The first directory that has it. */
static int read_server_cert(const struct cli *cli, const char **ret_dir, struct tls_cert **ret_cert)
{
    int r = -ENOENT;

    for (size_t i = 0; r < 0 && i < ARRAY_LEN(usual_dirs); i++) {
        const char *dir = cli->tls_dir ? cli->tls_dir : usual_dirs[i];
        AUTO_FREE char *path = mem_printf("%s/server.pem", dir);

        r = pem_file_read_cert(path, ret_cert);
        *ret_dir = dir;
    }
    return r;
}

char *local_url(const struct cli *cli)
{
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    AUTO_FREE char *path = NULL, *text = NULL, *url = NULL;
    const char *dir;
    size_t n;

    if (read_server_cert(cli, &dir, &cert) < 0)
        return NULL;
    path = mem_printf("%s/" PKI_TOLD_URL, dir);
    if (file_read_regular(path, URL_MAX, &text, &n) < 0)
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    return http_base_url_parse(text, &url) == 0 && http_url_is_tls(url) ? TAKE_PTR(url) : NULL;
}

static size_t add_side(const uint32_t *from, size_t count, bool is_loopback, uint32_t *addrs)
{
    size_t added = 0;

    for (size_t i = 0; i < count; i++)
        if (ip4_is_loopback(from[i]) == is_loopback)
            addrs[added++] = from[i];
    return added;
}

size_t local_addrs(const struct cli *cli, uint32_t ret_addrs[static LOCAL_ADDRS_MAX])
{
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    uint32_t addrs[LOCAL_ADDRS_MAX];
    const char *dir;
    size_t count, near;

    if (read_server_cert(cli, &dir, &cert) < 0)
        return 0;
    count = tls_cert_addrs(cert, addrs, ARRAY_LEN(addrs));
    near = add_side(addrs, count, true, ret_addrs);
    return near + add_side(addrs, count, false, ret_addrs + near);
}

int local_node_cert(const struct cli *cli, struct tls_cert **ret_cert)
{
    AUTO_FREE char *path = mem_printf("%s/tls/node.pem", cli->state_dir);

    return pem_file_read_cert(path, ret_cert);
}
