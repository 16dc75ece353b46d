/* When the server is to show another certificate, and when nodes are told another CA. */
#include "control/pki.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/tls/pem_file.h"
#include "tests/unit/cmocka.h"

#define CLUSTER "0b0d7a4e-6f1c-4c39-9f62-3b8f6d1c5a77"
#define GIVERS "5c0a1f7e-0000-4c39-9f62-3b8f6d1c5a77"
#define DB_PATH "/var/mesh.db"

static const char *const public_hosts[] = {"localhost", "control.example"};
static const uint32_t loopback_addr = INADDR_LOOPBACK;
static const struct tls_names loopback = {.addrs = &loopback_addr, .addr_count = 1},
                              public = {.hosts = public_hosts, .host_count = 2},
                              nothing = {.host_count = 0};

struct fixture {
    char dir[32];
    char *cert, *key, *ca; /* that are given */
    struct tls_ca *given_ca;
    struct pki *pki;
};

static void write_file(const char *path, const char *text)
{
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
}

static void lose(const struct fixture *f, const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", f->dir, name);

    assert_int_equal(unlink(path), 0);
}

static void open_pki(struct fixture *f, const struct pki_options *options)
{
    bool is_new;

    pki_free(f->pki);
    f->pki = NULL;
    assert_int_equal(pki_open(options, CLUSTER, DB_PATH, &f->pki, &is_new), 0);
    pki_note_shown(f->pki);
}

/* A server with certificates of its own. */
static int make(void **ret)
{
    struct fixture *f = NEW(struct fixture);
    struct pki_options options = {.mode = PKI_AUTO, .node_life_s = 86400, .dir = f->dir};

    (void)stpcpy(f->dir, "/tmp/quilt-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->cert = mem_printf("%s/given.pem", f->dir);
    f->key = mem_printf("%s/given-key.pem", f->dir);
    f->ca = mem_printf("%s/given-ca.pem", f->dir);
    assert_int_equal(tls_ca_new(GIVERS, clock_unix_s(), &f->given_ca), 0);
    open_pki(f, &options);
    *ret = f;
    return 0;
}

static int drop(void **state)
{
    static const char *const names[] = {
        "ca-key.pem",    "ca.pem",          "ca-bundle.pem", "server-key.pem",  "server.pem",
        "admin-key.pem", "admin.pem",       "lock",          "given.pem",       "given-key.pem",
        "given-ca.pem",  "ca-next-key.pem", "ca-next.pem",   "told-bundle.pem",
    };
    struct fixture *f = *state;

    pki_free(f->pki);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_FREE char *path = mem_printf("%s/%s", f->dir, names[i]);

        (void)unlink(path);
    }
    assert_int_equal(rmdir(f->dir), 0);
    tls_ca_free(f->given_ca);
    free(f->cert);
    free(f->key);
    free(f->ca);
    free(f);
    return 0;
}

static void write_cas(const struct fixture *f, const char *more)
{
    AUTO_FREE char *own = tls_cert_to_pem(tls_ca_cert(f->given_ca));
    AUTO_FREE char *all = mem_printf("%s%s", own, more);

    write_file(f->ca, all);
}

/* Another key, and a certificate of the given CA for it and these names. */
static void write_pair(const struct fixture *f, struct tls_names names)
{
    const struct tls_cert_order order = {
        .kind = TLS_KIND_CONTROL, .names = names, .now = clock_unix_s(), .life_s = 86400};
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;

    assert_int_equal(tls_key_new(&key), 0);
    assert_int_equal(tls_ca_issue(f->given_ca, tls_key_public(key), &order, &cert), 0);
    assert_int_equal(pem_file_write_key(f->key, key), 0);
    assert_int_equal(pem_file_write_cert(f->cert, cert), 0);
}

static struct pki_options options_of(const struct fixture *f)
{
    return (struct pki_options){.mode = PKI_AUTO,
                                .node_life_s = 86400,
                                .dir = f->dir,
                                .cert_file = f->cert,
                                .key_file = f->key,
                                .ca_file = f->ca};
}

/* From now on with given files. */
static void give(struct fixture *f)
{
    const struct pki_options options = options_of(f);

    write_pair(f, loopback);
    write_cas(f, "");
    open_pki(f, &options);
}

static bool refresh(struct fixture *f)
{
    bool is_new = false;

    assert_int_equal(pki_refresh(f->pki, &is_new), 0);
    return is_new;
}

static void assert_settled(struct fixture *f)
{
    uint64_t edition = f->pki->edition;

    assert_false(refresh(f));
    assert_int_equal(f->pki->edition, edition);
}

static void what_has_not_changed_is_not_new(void **state)
{
    assert_settled(*state);
}

static void a_certificate_that_is_made_anew_is_new_once(void **state)
{
    struct fixture *f = *state;

    lose(f, "server.pem");
    assert_true(refresh(f));
    assert_int_equal(f->pki->edition, 2);
    pki_note_shown(f->pki);
    assert_settled(f);
}

static void the_admins_certificate_is_none_of_the_server(void **state)
{
    struct fixture *f = *state;

    lose(f, "admin.pem");
    assert_settled(f);
}

static void what_could_not_be_shown_is_new_again(void **state)
{
    struct fixture *f = *state;

    lose(f, "server.pem");
    assert_true(refresh(f));
    assert_true(refresh(f));
    pki_note_shown(f->pki);
    assert_settled(f);
}

static void a_promoted_ca_is_shown_once(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(pki_publish_next(f->pki), 0);
    assert_settled(f);
    assert_int_equal(pki_promote_next(f->pki), 0);
    pki_note_shown(f->pki);
    assert_settled(f);
}

static void what_could_not_be_read_is_tried_again(void **state)
{
    struct fixture *f = *state;
    bool is_new = false;

    give(f);
    write_pair(f, loopback);
    lose(f, "given-ca.pem");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pki_refresh(f->pki, &is_new), -ENOENT);
        assert_false(is_new);
    }
    write_cas(f, "");
    assert_true(refresh(f));
    pki_note_shown(f->pki);
    assert_settled(f);
}

static void a_given_ca_is_told_when_it_changes_and_the_certificate_is_shown_on(void **state)
{
    struct fixture *f = *state;
    AUTO_TLS_CA struct tls_ca *other = NULL;
    AUTO_FREE char *pem = NULL;

    give(f);
    assert_int_equal(tls_ca_new(GIVERS, clock_unix_s(), &other), 0);
    pem = tls_cert_to_pem(tls_ca_cert(other));
    write_cas(f, pem);
    assert_false(refresh(f));
    assert_int_equal(tls_trust_count(f->pki->told), 3);
    assert_settled(f);
}

static bool is_told(const struct fixture *f, size_t index, const struct tls_ca *ca)
{
    const struct sha256 spki = tls_cert_facts(tls_trust_ca(f->pki->told, index))->spki;
    const struct sha256 wanted = tls_key_spki(tls_ca_key(ca));

    return sha256_equal(&spki, &wanted);
}

/* By that one nodes know each other. */
static void the_clusters_own_ca_is_told_behind_the_given_one(void **state)
{
    struct fixture *f = *state;

    give(f);
    assert_int_equal(tls_trust_count(f->pki->told), 2);
    assert_true(is_told(f, 0, f->given_ca));
    assert_true(is_told(f, 1, f->pki->files->ca));
    assert_int_equal(pki_publish_next(f->pki), 0);
    assert_int_equal(tls_trust_count(f->pki->told), 3);
}

static void a_given_certificate_that_nodes_would_refuse_is_not_shown(void **state)
{
    struct fixture *f = *state;
    bool is_new = false;

    give(f);
    write_pair(f, loopback);
    write_file(f->ca, f->pki->files->bundle_pem);
    assert_int_equal(pki_refresh(f->pki, &is_new), -EINVAL);
    assert_false(is_new);
    assert_non_null(strstr(err_text(), "or give the root that it is from with --tls-ca"));
    assert_true(is_told(f, 0, f->given_ca));
}

static void assert_host(struct fixture *f, struct tls_names names, const char *want)
{
    const struct pki_options options = options_of(f);
    AUTO_FREE char *host = NULL;

    write_pair(f, names);
    open_pki(f, &options);
    host = pki_host(f->pki);
    if (want)
        assert_string_equal(host, want);
}

static bool is_told_in_file(const struct fixture *f)
{
    AUTO_FREE char *path = mem_printf("%s/told-bundle.pem", f->dir);
    AUTO_FREE char *text = NULL;
    size_t n;

    return file_read(path, TLS_BUNDLE_MAX, &text, &n) == 0 && strcmp(text, f->pki->told_pem) == 0;
}

static void quiltctl_finds_what_nodes_are_told_while_a_ca_is_given(void **state)
{
    struct fixture *f = *state;
    struct pki_options own = {.mode = PKI_AUTO, .node_life_s = 86400, .dir = f->dir};

    assert_false(is_told_in_file(f));
    give(f);
    assert_true(is_told_in_file(f));
    assert_int_equal(pki_publish_next(f->pki), 0);
    assert_true(is_told_in_file(f));
    open_pki(f, &own);
    assert_false(is_told_in_file(f));
}

static void others_are_told_a_name_that_a_given_certificate_is_for(void **state)
{
    struct fixture *f = *state;

    write_cas(f, "");
    assert_host(f, loopback, "127.0.0.1");
    assert_host(f, public, "control.example");
    assert_host(f, nothing, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(what_has_not_changed_is_not_new),
        TEST(a_certificate_that_is_made_anew_is_new_once),
        TEST(the_admins_certificate_is_none_of_the_server),
        TEST(what_could_not_be_shown_is_new_again),
        TEST(a_promoted_ca_is_shown_once),
        TEST(what_could_not_be_read_is_tried_again),
        TEST(a_given_ca_is_told_when_it_changes_and_the_certificate_is_shown_on),
        TEST(the_clusters_own_ca_is_told_behind_the_given_one),
        TEST(a_given_certificate_that_nodes_would_refuse_is_not_shown),
        TEST(quiltctl_finds_what_nodes_are_told_while_a_ca_is_given),
        TEST(others_are_told_a_name_that_a_given_certificate_is_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
