/* Fills a directory with a control plane's certificates and those of a node and a user that asked
 * by a request, for test_openssl.py. */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/tls/pem_file.h"
#include "lib/tls/pki_files.h"
#include "tests/unit/tls/forge.h"

static int write_text(const char *dir, const char *name, const char *text)
{
    AUTO_FREE char *path = mem_printf("%s/%s", dir, name);

    return file_write_atomic(path, text, strlen(text), 0600);
}

/* As a node that joins does it. */
static int admit(const struct pki_files *files, const struct tls_cert_order *order)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_PUBLIC_KEY struct tls_public_key *half = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    AUTO_FREE char *csr = NULL, *pem = NULL, *cert_name = NULL, *csr_name = NULL, *key_path = NULL;
    const char *word = tls_kind_word(order->kind);
    int r = tls_key_new(&key);

    key_path = mem_printf("%s/%s-key.pem", files->dir, word);
    cert_name = mem_printf("%s.pem", word);
    csr_name = mem_printf("%s.csr", word);
    if (r == 0)
        r = pem_file_write_key(key_path, key);
    if (r == 0)
        r = tls_csr_new(key, &csr);
    if (r == 0)
        r = write_text(files->dir, csr_name, csr);
    if (r == 0)
        r = tls_csr_from_pem(csr, strlen(csr), &half);
    if (r == 0)
        r = tls_ca_issue(files->ca, half, order, &cert);
    if (r < 0)
        return r;
    pem = tls_cert_to_pem(cert);
    return write_text(files->dir, cert_name, pem);
}

static int make(const char *dir, int64_t now)
{
    static const char *const hosts[] = {"localhost", "control.example"};
    static const uint32_t addrs[] = {0x7f000001}, host_ip[] = {0xc0a8010b};
    const struct pki_config config = {
        .dir = dir, .cluster_id = CLUSTER, .names = {hosts, 2, addrs, 1}, .life_s = 90 * DAY};
    const struct tls_cert_order node = {
        TLS_KIND_NODE, NODE, {.addrs = host_ip, .addr_count = 1}, now, 30 * DAY};
    const struct tls_cert_order user = {TLS_KIND_USER, "ada", {.hosts = NULL}, now, DAY};
    AUTO_PKI_FILES struct pki_files *files = NULL;
    int r = pki_files_open(&config, now, &files);

    if (r == 0)
        r = admit(files, &node);
    if (r == 0)
        r = admit(files, &user);
    if (r == 0)
        r = pki_files_make_next(files, now);
    return r == 0 ? pki_files_publish_next(files) : r;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    if (make(argv[1], clock_unix_s()) == 0)
        return 0;
    (void)fprintf(stderr, "make_certs: %s\n", err_text());
    return 1;
}
