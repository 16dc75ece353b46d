/* When the server is to show another certificate, and when nodes are told another CA. */
#include "control/pki.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "tests/unit/cmocka.h"

#define CLUSTER "0b0d7a4e-6f1c-4c39-9f62-3b8f6d1c5a77"
#define DB_PATH "/var/mesh.db"

struct fixture {
    char dir[32];
    char *cert, *key, *ca; /* that are given */
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
    open_pki(f, &options);
    *ret = f;
    return 0;
}

static int drop(void **state)
{
    static const char *const names[] = {
        "ca-key.pem",    "ca.pem",          "ca-bundle.pem", "server-key.pem", "server.pem",
        "admin-key.pem", "admin.pem",       "lock",          "given.pem",      "given-key.pem",
        "given-ca.pem",  "ca-next-key.pem", "ca-next.pem",
    };
    struct fixture *f = *state;

    pki_free(f->pki);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_FREE char *path = mem_printf("%s/%s", f->dir, names[i]);

        (void)unlink(path);
    }
    assert_int_equal(rmdir(f->dir), 0);
    free(f->cert);
    free(f->key);
    free(f->ca);
    free(f);
    return 0;
}

/* From now on with given files: what they hold nobody looks at here, but for the CA. */
static void give(struct fixture *f)
{
    const struct pki_options options = {.mode = PKI_AUTO,
                                        .node_life_s = 86400,
                                        .dir = f->dir,
                                        .cert_file = f->cert,
                                        .key_file = f->key,
                                        .ca_file = f->ca};

    write_file(f->cert, "first");
    write_file(f->key, "first");
    write_file(f->ca, f->pki->files->bundle_pem);
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
    write_file(f->cert, "second");
    lose(f, "given-ca.pem");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pki_refresh(f->pki, &is_new), -ENOENT);
        assert_false(is_new);
    }
    write_file(f->ca, f->pki->files->bundle_pem);
    assert_true(refresh(f));
    pki_note_shown(f->pki);
    assert_settled(f);
}

static void a_given_ca_is_told_when_it_changes_and_the_certificate_is_shown_on(void **state)
{
    struct fixture *f = *state;

    give(f);
    assert_int_equal(pki_publish_next(f->pki), 0);
    assert_int_equal(tls_trust_count(f->pki->told), 1);
    write_file(f->ca, f->pki->files->bundle_pem);
    assert_false(refresh(f));
    assert_int_equal(tls_trust_count(f->pki->told), 2);
    assert_settled(f);
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
