/* Opening a control plane's certificates, and keeping them up to date. */
#include "lib/tls/pki_files.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/tls/pki_internal.h"

#define DIR_MODE 0700

/* ---- the directory ------------------------------------------------------------------------- */

char *pki_path(const struct pki_files *files, const char *name)
{
    return mem_printf("%s/%s", files->dir, name);
}

int pki_damaged(const struct pki_files *files, const char *name, const char *what, const char *how)
{
    (void)err_fail(EINVAL, "%s/%s: %s; to recover, %s", files->dir, name, what, how);
    return PKI_DAMAGED;
}

bool pki_file_is_there(const char *path)
{
    return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* The first of these files, by its path, of which is_it says so; NULL: none. */
static char *find_file(const char *dir, bool (*is_it)(const char *path, const void *data),
                       const void *data)
{
    const char *const names[] = {
        pki_active.cert_name, pki_active.key_name,
        pki_next.cert_name,   pki_next.key_name,
        PKI_BUNDLE,           pki_server.key_name,
        pki_server.cert_name, pki_admin.key_name,
        pki_admin.cert_name,  PKI_TOLD,
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_FREE char *path = mem_printf("%s/%s", dir, names[i]);

        if (is_it(path, data))
            return TAKE_PTR(path);
    }
    return NULL;
}

static bool is_there(const char *path, const void *data)
{
    return pki_file_is_there(path);
}

char *pki_files_find(const char *dir)
{
    return find_file(dir, is_there, NULL);
}

static bool is_the_file(const char *path, const void *data)
{
    const struct stat *wanted = data;
    struct stat st;

    return stat(path, &st) == 0 && st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino;
}

char *pki_files_find_same(const char *dir, const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? find_file(dir, is_the_file, &st) : NULL;
}

/* The text begins with the path already; it gets how to recover at its end. */
static int judge(int r, const char *how)
{
    if (r == -ENOENT)
        return 0;
    if (r != -EINVAL)
        return r;
    (void)err_fail(EINVAL, "%s; to recover, %s", err_text(), how);
    return PKI_DAMAGED;
}

int pki_read_slot(const struct pki_files *files, const struct pki_slot *slot, const char *how,
                  struct tls_key **ret_key, struct tls_cert **ret_cert)
{
    AUTO_FREE char *key_path = pki_path(files, slot->key_name);
    AUTO_FREE char *cert_path = pki_path(files, slot->cert_name);
    int r = judge(pem_file_read_key(key_path, ret_key), how);

    return r != 0 ? r : judge(pem_file_read_cert(cert_path, ret_cert), how);
}

int pki_write_key(const struct pki_files *files, const char *name, const struct tls_key *key)
{
    AUTO_FREE char *path = pki_path(files, name);

    return pem_file_write_key(path, key);
}

int pki_write_cert(const struct pki_files *files, const char *name, const struct tls_cert *cert)
{
    AUTO_FREE char *path = pki_path(files, name);

    return pem_file_write_cert(path, cert);
}

int pki_remove(const struct pki_files *files, const char *name)
{
    AUTO_FREE char *path = pki_path(files, name);

    if (unlink(path) < 0 && errno != ENOENT)
        return err_sys(errno, "remove %s", path);
    return 0;
}

bool pki_belong(const struct tls_cert *cert, const struct tls_key *key)
{
    return cert && key && tls_cert_is_for_key(cert, key);
}

/* ---- life ---------------------------------------------------------------------------------- */

static struct pki_pair name_pair(const struct pki_files *files, const struct pki_slot *slot)
{
    return (struct pki_pair){
        .cert_file = pki_path(files, slot->cert_name),
        .key_file = pki_path(files, slot->key_name),
    };
}

static void pair_deinit(struct pki_pair *pair)
{
    tls_cert_free(pair->cert);
    free(pair->cert_file);
    free(pair->key_file);
}

static int lock(struct pki_files *files)
{
    AUTO_FREE char *path = pki_path(files, "lock");
    int r = file_make_dirs(files->dir, DIR_MODE);

    return r < 0 ? r : file_lock(path, &files->lock_fd);
}

static struct pki_files *files_alloc(const struct pki_config *config)
{
    struct pki_files *files = NEW(struct pki_files);

    files->config = *config;
    files->dir = mem_strdup(config->dir);
    files->lock_fd = -1;
    files->bundle_file = pki_path(files, PKI_BUNDLE);
    files->server = name_pair(files, &pki_server);
    files->admin = name_pair(files, &pki_admin);
    return files;
}

int pki_files_open(const struct pki_config *config, int64_t now, struct pki_files **ret_files)
{
    AUTO_PKI_FILES struct pki_files *files = files_alloc(config);
    bool is_new;
    int r = lock(files);

    if (r == 0)
        r = pki_load_cas(files, now);
    if (r == 0)
        r = pki_load_pairs(files, now, &is_new);
    if (r == 0)
        *ret_files = TAKE_PTR(files);
    return r;
}

void pki_files_free(struct pki_files *files)
{
    if (!files)
        return;
    cleanup_close(&files->lock_fd);
    pair_deinit(&files->server);
    pair_deinit(&files->admin);
    tls_trust_free(files->trust);
    tls_ca_free(files->next);
    tls_ca_free(files->ca);
    free(files->bundle_pem);
    free(files->bundle_file);
    free(files->dir);
    free(files);
}

int pki_files_refresh(struct pki_files *files, int64_t now, bool *ret_is_new)
{
    return pki_load_pairs(files, now, ret_is_new);
}
