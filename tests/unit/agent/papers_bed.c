/* CAs are made anew for each test, and no file of it stays. */
#include "tests/unit/agent/papers_bed.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"

#define CLUSTER "0192f3a4-5b6c-7d8e-9f01-23456789abcd"
#define NODE "7f1c2c5e-0c55-4ab6-8b5c-1d2e3f405162"
#define DAY_S (24 * 3600)

int bed_make(void **state)
{
    struct bed *bed = NEW(struct bed);
    AUTO_FREE char *other_pem = NULL;

    (void)snprintf(bed->dir, sizeof bed->dir, "/tmp/quilt-test-XXXXXX");
    assert_non_null(mkdtemp(bed->dir));
    assert_int_equal(tls_ca_new(CLUSTER, clock_unix_s(), &bed->ca), 0);
    assert_int_equal(tls_ca_new(CLUSTER, clock_unix_s(), &bed->other), 0);
    bed->ca_pem = tls_cert_to_pem(tls_ca_cert(bed->ca));
    other_pem = tls_cert_to_pem(tls_ca_cert(bed->other));
    bed->both_pem = mem_printf("%s%s", other_pem, bed->ca_pem);
    *state = bed;
    return 0;
}

char *path_of(const struct bed *bed, const char *name)
{
    return mem_printf("%s/%s", bed->dir, name);
}

int bed_drop(void **state)
{
    static const char *const names[] = {
        "tls/node-key.pem",   "tls/node.pem",         "tls/ca.pem",    "tls/node-key.pem.damaged",
        "tls/ca.pem.damaged", "tls/node.pem.damaged", "given-key.pem", "given.pem",
        "given-ca.pem",
    };
    struct bed *bed = *state;
    AUTO_FREE char *tls = path_of(bed, "tls");

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_FREE char *path = path_of(bed, names[i]);

        (void)unlink(path);
    }
    (void)rmdir(tls);
    assert_int_equal(rmdir(bed->dir), 0);
    tls_ca_free(bed->ca);
    tls_ca_free(bed->other);
    free(bed->ca_pem);
    free(bed->both_pem);
    free(bed);
    return 0;
}

void write_text(const struct bed *bed, const char *name, const char *text)
{
    AUTO_FREE char *path = path_of(bed, name);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
}

bool exists(const struct bed *bed, const char *name)
{
    AUTO_FREE char *path = path_of(bed, name);

    return access(path, F_OK) == 0;
}

struct tls_cert *issue(const struct tls_ca *ca, const struct tls_public_key *key)
{
    const struct tls_cert_order order = {
        .kind = TLS_KIND_NODE, .name = NODE, .now = clock_unix_s(), .life_s = 30 * DAY_S};
    struct tls_cert *cert = NULL;

    assert_int_equal(tls_ca_issue(ca, key, &order, &cert), 0);
    return cert;
}

struct capture capture_begin(void)
{
    struct capture c = {.saved = dup(STDERR_FILENO)};

    assert_int_equal(pipe2(c.pipes, O_NONBLOCK), 0);
    assert_true(dup2(c.pipes[1], STDERR_FILENO) >= 0);
    return c;
}

void capture_end(const struct capture *c, char text[static LOG_MAX])
{
    ssize_t n;

    assert_true(dup2(c->saved, STDERR_FILENO) >= 0);
    n = read(c->pipes[0], text, LOG_MAX - 1);
    text[n > 0 ? n : 0] = '\0';
    close(c->pipes[0]);
    close(c->pipes[1]);
    close(c->saved);
}
