/* Keys, certificates and bundles in files. */
#include "lib/tls/pem_file.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"

#define FILE_MODE 0600
#define OTHERS_MODE 077
#define WORLD_MODE 07

/* A longer one than there can be is no disk's fault. */
static int read_text(const char *path, size_t max, char **ret_text, size_t *ret_n)
{
    int r = file_read_regular(path, max, ret_text, ret_n);

    return r == -EFBIG ? -EINVAL : r;
}

static bool is_open(const char *path, mode_t to)
{
    struct stat st;

    return stat(path, &st) == 0 && (st.st_mode & to) != 0;
}

static void close_to_others(const char *path)
{
    if (!is_open(path, OTHERS_MODE))
        return;
    if (chmod(path, FILE_MODE) < 0)
        log_warn("a private key can be read by others", LOG_S("file", path));
    else
        log_warn("a private key could be read by others; it is closed to them now",
                 LOG_S("file", path));
}

int pem_file_read_given_key(const char *path, struct tls_key **ret_key)
{
    AUTO_SECRET char *pem = NULL;
    size_t n;
    int r = read_text(path, TLS_PEM_MAX, &pem, &n);

    if (r < 0)
        return r;
    r = tls_key_from_pem(pem, n, ret_key);
    return r < 0 ? err_wrap(r, "%s", path) : 0;
}

int pem_file_read_key(const char *path, struct tls_key **ret_key)
{
    close_to_others(path);
    return pem_file_read_given_key(path, ret_key);
}

void pem_file_tell_open_key(const char *path)
{
    AUTO_FREE char *command = mem_printf("chmod o= %s", path);

    if (is_open(path, WORLD_MODE))
        log_warn("a private key can be read by everybody: close it to them", LOG_S("file", path),
                 LOG_S("command", command));
}

int pem_file_read_cert(const char *path, struct tls_cert **ret_cert)
{
    AUTO_FREE char *pem = NULL;
    size_t n;
    int r = read_text(path, TLS_PEM_MAX, &pem, &n);

    if (r < 0)
        return r;
    r = tls_cert_from_pem(pem, n, ret_cert);
    return r < 0 ? err_wrap(r, "%s", path) : 0;
}

int pem_file_read_chain(const char *path, struct tls_chain **ret_chain)
{
    AUTO_FREE char *pem = NULL;
    size_t n;
    int r = read_text(path, TLS_BUNDLE_MAX, &pem, &n);

    if (r < 0)
        return r;
    r = tls_chain_from_pem(pem, n, ret_chain);
    return r < 0 ? err_wrap(r, "%s", path) : 0;
}

int pem_file_read_trust(const char *path, struct tls_trust **ret_trust)
{
    AUTO_FREE char *pem = NULL;
    size_t n;
    int r = read_text(path, TLS_BUNDLE_MAX, &pem, &n);

    if (r < 0)
        return r;
    r = tls_trust_from_pem(pem, n, ret_trust);
    return r < 0 ? err_wrap(r, "%s", path) : 0;
}

int pem_file_write_key(const char *path, const struct tls_key *key)
{
    AUTO_SECRET char *pem = tls_key_to_pem(key);

    return file_write_atomic(path, pem, strlen(pem), FILE_MODE);
}

int pem_file_write_cert(const char *path, const struct tls_cert *cert)
{
    AUTO_FREE char *pem = tls_cert_to_pem(cert);

    return file_write_atomic(path, pem, strlen(pem), FILE_MODE);
}

int pem_file_write_trust(const char *path, const struct tls_trust *trust)
{
    AUTO_FREE char *pem = tls_trust_to_pem(trust);

    return file_write_atomic(path, pem, strlen(pem), FILE_MODE);
}
