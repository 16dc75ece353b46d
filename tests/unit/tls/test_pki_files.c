/* A control plane's certificates on disk: made, kept, renewed; and what is said when they are
 * damaged. */
#include "lib/tls/pki_files.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/openssl_made.h"
#include "tests/unit/tls/pki_bed.h"

#define OTHER_KEY everybodys_key_pkcs8

static const char *const names[] = {
    "ca-key.pem", "ca.pem",        "ca-bundle.pem", "server-key.pem",
    "server.pem", "admin-key.pem", "admin.pem",
};

static unsigned int mode_of(const struct pki_bed *bed, const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", bed->dir, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void a_new_directory_gets_all_files_for_its_owner_alone(void **state)
{
    struct pki_bed *bed = *state;
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(bed, NOW);
    AUTO_FREE char *bundle = NULL, *ca = NULL;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(mode_of(bed, names[i]), 0600);
    ca = pki_bed_read(bed, "ca.pem");
    bundle = pki_bed_read(bed, "ca-bundle.pem");
    assert_string_equal(bundle, ca);
    assert_string_equal(files->bundle_pem, ca);
    assert_null(files->next);
    assert_string_equal(tls_ca_cluster_id(files->ca), CLUSTER);
}

static void assert_peer(const struct pki_files *files, const struct tls_cert *cert,
                        enum tls_purpose purpose, enum tls_kind kind, const char *name)
{
    size_t n;
    AUTO_FREE unsigned char *bytes = forge_der(cert, &n);
    const struct tls_der chain[] = {{bytes, n}};
    const struct tls_question question = {chain, 1, purpose, CLUSTER, NOW};
    struct tls_peer peer;

    assert_int_equal(tls_trust_verify(files->trust, &question, &peer), 0);
    assert_int_equal(peer.identity.kind, kind);
    assert_string_equal(peer.identity.name, name);
}

static void server_and_admin_are_what_a_peer_believes(void **state)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(*state, NOW);

    assert_peer(files, files->server.cert, TLS_PURPOSE_SERVER, TLS_KIND_CONTROL, "");
    assert_peer(files, files->admin.cert, TLS_PURPOSE_CLIENT, TLS_KIND_USER, "admin");
    assert_true(tls_cert_covers(files->server.cert, &files->config.names));
    assert_int_equal(tls_cert_facts(files->server.cert)->not_after, NOW + LIFE_S);
    assert_non_null(strstr(files->server.cert_file, "/server.pem"));
    assert_non_null(strstr(files->server.key_file, "/server-key.pem"));
    assert_non_null(strstr(files->admin.cert_file, "/admin.pem"));
    assert_non_null(strstr(files->admin.key_file, "/admin-key.pem"));
    assert_non_null(strstr(files->bundle_file, "/ca-bundle.pem"));
}

static void opening_again_writes_nothing(void **state)
{
    char *before[ARRAY_LEN(names)];

    pki_files_free(pki_bed_open(*state, NOW));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        before[i] = pki_bed_read(*state, names[i]);
    pki_files_free(pki_bed_open(*state, NOW + DAY));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_FREE char *after = pki_bed_read(*state, names[i]);

        assert_string_equal(after, before[i]);
        free(before[i]);
    }
}

static void what_can_be_made_again_is(void **state)
{
    const char *const lost[] = {"ca.pem",         "ca-bundle.pem", "server.pem",
                                "server-key.pem", "admin-key.pem", "admin.pem"};
    AUTO_FREE char *ca = NULL;

    pki_files_free(pki_bed_open(*state, NOW));
    ca = pki_bed_read(*state, "ca.pem");
    for (size_t i = 0; i < ARRAY_LEN(lost); i++) {
        AUTO_FREE char *again = NULL;

        pki_bed_remove(*state, lost[i]);
        pki_files_free(pki_bed_open(*state, NOW));
        again = pki_bed_read(*state, "ca.pem");
        assert_string_equal(again, ca);
    }
}

static void a_lost_certificate_of_the_ca_is_made_for_the_same_pin(void **state)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(*state, NOW);
    struct sha256 pin = tls_key_spki(tls_ca_key(files->ca)), again;

    pki_bed_remove(*state, "ca.pem");
    pki_bed_remove(*state, "ca-bundle.pem");
    pki_files_free(TAKE_PTR(files));
    files = pki_bed_open(*state, NOW + DAY);
    again = tls_key_spki(tls_ca_key(files->ca));
    assert_true(sha256_equal(&again, &pin));
    assert_true(tls_trust_has_pin(files->trust, &pin));
}

/* ---- damage -------------------------------------------------------------------------------- */

static const struct {
    const char *what;
    const char *removed[2];
    const char *spoilt;  /* the file that gets ... */
    const char *content; /* NULL: the CA of another cluster */
    const char *named;   /* in the text */
    const char *how;
} damages[] = {
    {"the CA's key is gone",
     {"ca-key.pem"},
     NULL,
     NULL,
     "/ca-key.pem: it is missing",
     "put ca.pem and ca-key.pem back from a backup"},
    {"the CA is gone, its bundle is not",
     {"ca-key.pem", "ca.pem"},
     NULL,
     NULL,
     "/ca.pem: it is missing, and so is its key",
     "move the directory away"},
    {"the CA's key is no key",
     {NULL},
     "ca-key.pem",
     "x",
     "/ca-key.pem: private key: not",
     "put ca.pem and ca-key.pem back from a backup"},
    {"the CA's key is another",
     {NULL},
     "ca-key.pem",
     OTHER_KEY,
     "/ca.pem: the CA's certificate "
     "and private key do not belong together",
     "put ca.pem and ca-key.pem back"},
    {"the CA's certificate is none",
     {NULL},
     "ca.pem",
     "",
     "/ca.pem: not a certificate",
     "move the directory away"},
    {"the bundle is none",
     {NULL},
     "ca-bundle.pem",
     "x",
     "/ca-bundle.pem: bundle of CAs: no",
     "remove it to trust the CA in ca.pem alone"},
    {"the bundle is another's",
     {NULL},
     "ca-bundle.pem",
     NULL,
     "/ca-bundle.pem: it does not hold",
     "remove it to trust the CA in ca.pem alone"},
    {"the server's key is none",
     {NULL},
     "server-key.pem",
     "x",
     "/server-key.pem: private key: not",
     "remove server.pem and server-key.pem: both are made anew"},
    {"the server's key is another",
     {NULL},
     "server-key.pem",
     OTHER_KEY,
     "/server.pem: it does not belong to its private key",
     "remove server.pem and server-key.pem: both are made anew"},
    {"the server's certificate is none",
     {NULL},
     "server.pem",
     "x",
     "/server.pem: not a certificate",
     "remove server.pem and server-key.pem: both are made anew"},
    {"the admin's key is another",
     {NULL},
     "admin-key.pem",
     OTHER_KEY,
     "/admin.pem: it does not belong to its private key",
     "remove admin.pem and admin-key.pem: both are made anew"},
    {"the next CA's key is none",
     {NULL},
     "ca-next-key.pem",
     "x",
     "/ca-next-key.pem: private key",
     "to give up replacing the CA, remove both"},
    {"the next CA has no key",
     {NULL},
     "ca-next.pem",
     NULL,
     "/ca-next-key.pem: it is missing",
     "to give up replacing the CA, remove both"},
};

static char *other_ca(void)
{
    AUTO_TLS_CA struct tls_ca *ca = NULL;

    assert_int_equal(tls_ca_new(OTHER_CLUSTER, NOW, &ca), 0);
    return tls_cert_to_pem(tls_ca_cert(ca));
}

static void assert_damaged(const struct pki_bed *bed, const char *named, const char *how)
{
    struct pki_files *files = NULL;
    int r = pki_files_open(&bed->config, NOW, &files);

    assert_null(files);
    if (r != PKI_DAMAGED || strncmp(err_text(), bed->dir, strlen(bed->dir)) != 0 ||
        !strstr(err_text(), named) || !strstr(err_text(), "; to recover, ") ||
        !strstr(err_text(), how))
        fail_msg("%s: outcome %d, \"%s\"", named, r, err_text());
}

static void damage_is_named_with_its_file_and_the_way_out_and_not_written_over(void **state)
{
    AUTO_FREE char *other = other_ca();

    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        const char *content = damages[i].content ? damages[i].content : other;
        char *saved[ARRAY_LEN(names)];

        pki_files_free(pki_bed_open(*state, NOW));
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            saved[k] = pki_bed_read(*state, names[k]);
        for (size_t k = 0; k < 2 && damages[i].removed[k]; k++)
            pki_bed_remove(*state, damages[i].removed[k]);
        if (damages[i].spoilt)
            pki_bed_write(*state, damages[i].spoilt, content);
        assert_damaged(*state, damages[i].named, damages[i].how);
        if (damages[i].spoilt) {
            AUTO_FREE char *after = pki_bed_read(*state, damages[i].spoilt);

            assert_string_equal(after, content);
        }
        pki_bed_remove(*state, "ca-next.pem");
        pki_bed_remove(*state, "ca-next-key.pem");
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            pki_bed_write(*state, names[k], saved[k]);
            free(saved[k]);
        }
    }
}

static void the_way_out_of_a_damaged_server_pair_works(void **state)
{
    pki_files_free(pki_bed_open(*state, NOW));
    pki_bed_write(*state, "server-key.pem", OTHER_KEY);
    assert_damaged(*state, "/server.pem", "remove server.pem and server-key.pem");
    pki_bed_remove(*state, "server.pem");
    pki_bed_remove(*state, "server-key.pem");
    pki_files_free(pki_bed_open(*state, NOW));
}

static void the_ca_of_another_cluster_is_refused(void **state)
{
    struct pki_bed other = *(struct pki_bed *)*state;

    pki_files_free(pki_bed_open(*state, NOW));
    other.config.cluster_id = OTHER_CLUSTER;
    assert_damaged(&other,
                   "/ca.pem: it is the CA of cluster " CLUSTER
                   ", and the database /var/mesh.db is of cluster " OTHER_CLUSTER,
                   "name the database of that cluster with --db-path");
}

static void a_clock_of_last_century_makes_no_ca(void **state)
{
    const struct pki_bed *bed = *state;
    struct pki_files *files = NULL;

    assert_int_equal(pki_files_open(&bed->config, 3600, &files), -EINVAL);
    assert_non_null(strstr(err_text(), "clock is years behind; set it first"));
    assert_null(pki_bed_read(bed, "ca-key.pem"));
}

static void a_clock_that_is_off_by_years_later_stops_nothing(void **state)
{
    const int64_t clocks[] = {NOW - 3650 * DAY, NOW + 3700 * DAY};
    AUTO_FREE char *server = NULL;

    pki_files_free(pki_bed_open(*state, NOW));
    server = pki_bed_read(*state, "server.pem");
    for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
        AUTO_FREE char *after = NULL;

        pki_files_free(pki_bed_open(*state, clocks[i]));
        after = pki_bed_read(*state, "server.pem");
        assert_string_equal(after, server);
    }
    pki_bed_remove(*state, "server.pem");
    assert_int_equal(
        pki_files_open(&((struct pki_bed *)*state)->config, clocks[0], &(struct pki_files *){NULL}),
        -ESTALE);
    assert_non_null(strstr(err_text(), "not yet valid by this host's clock"));
}

static void only_one_process_uses_a_directory(void **state)
{
    const struct pki_bed *bed = *state;
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(bed, NOW);
    struct pki_files *second = NULL;

    assert_int_equal(pki_files_open(&bed->config, NOW, &second), -EWOULDBLOCK);
    pki_files_free(TAKE_PTR(files));
    second = pki_bed_open(bed, NOW);
    pki_files_free(second);
}

static void a_key_that_others_can_read_is_closed(void **state)
{
    const struct pki_bed *bed = *state;
    AUTO_FREE char *path = mem_printf("%s/ca-key.pem", bed->dir);

    pki_files_free(pki_bed_open(bed, NOW));
    assert_int_equal(chmod(path, 0644), 0);
    pki_files_free(pki_bed_open(bed, NOW));
    assert_int_equal(mode_of(bed, "ca-key.pem"), 0600);
}

/* ---- renewal ------------------------------------------------------------------------------- */

/* The life is 90 days and the hour before; two thirds of it are over 60 days - 20 min after NOW. */
static const struct {
    int64_t now;
    bool is_new;
} moments[] = {
    {NOW, false},
    {NOW + 59 * DAY, false},
    {NOW + 60 * DAY - 21 * 60, false},
    {NOW + 60 * DAY - 20 * 60, true},
    {NOW + 60 * DAY, false},
    {NOW + 500 * DAY, true},
    {NOW + 60 * DAY, true}, /* the clock was ahead, and what was made then is not valid yet */
    {NOW + 60 * DAY, false},
};

static void certificates_are_renewed_when_two_thirds_are_over_for_the_same_key(void **state)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(*state, NOW);
    struct sha256 key = tls_cert_facts(files->server.cert)->spki;

    for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
        bool is_new = !moments[i].is_new;

        assert_int_equal(pki_files_refresh(files, moments[i].now, &is_new), 0);
        if (is_new != moments[i].is_new)
            fail_msg("moment %zu", i);
        if (is_new) {
            assert_int_equal(tls_cert_facts(files->server.cert)->not_after,
                             moments[i].now + LIFE_S);
            assert_int_equal(tls_cert_facts(files->admin.cert)->not_after, moments[i].now + LIFE_S);
        }
        assert_memory_equal(&tls_cert_facts(files->server.cert)->spki, &key, SHA256_SIZE);
    }
}

static void another_name_makes_another_server_certificate(void **state)
{
    const char *const hosts[] = {"localhost", "control.example"};
    const struct tls_names more = {.hosts = hosts, .host_count = 2};
    struct pki_bed *bed = *state;
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(bed, NOW);
    AUTO_FREE char *admin = pki_bed_read(bed, "admin.pem"), *after = NULL;
    bool is_new = true;

    assert_false(tls_cert_covers(files->server.cert, &more));
    pki_files_free(TAKE_PTR(files));
    bed->config.names = more;
    files = pki_bed_open(bed, NOW);
    assert_true(tls_cert_covers(files->server.cert, &more));
    assert_int_equal(pki_files_refresh(files, NOW, &is_new), 0);
    assert_false(is_new);
    after = pki_bed_read(bed, "admin.pem");
    assert_string_equal(after, admin);
}

static void renewal_stops_with_the_life_of_the_ca(void **state)
{
    AUTO_PKI_FILES struct pki_files *files = pki_bed_open(*state, NOW);
    bool is_new = false;

    assert_int_equal(pki_files_refresh(files, NOW + 3640 * DAY, &is_new), 0);
    assert_int_equal(tls_cert_facts(files->server.cert)->not_after, NOW + 3650 * DAY);
    assert_int_equal(pki_files_refresh(files, NOW + 3651 * DAY, &is_new), 0);
    assert_false(is_new);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pki_bed_make, pki_bed_drop)
    const struct CMUnitTest tests[] = {
        TEST(a_new_directory_gets_all_files_for_its_owner_alone),
        TEST(server_and_admin_are_what_a_peer_believes),
        TEST(opening_again_writes_nothing),
        TEST(what_can_be_made_again_is),
        TEST(a_lost_certificate_of_the_ca_is_made_for_the_same_pin),
        TEST(damage_is_named_with_its_file_and_the_way_out_and_not_written_over),
        TEST(the_way_out_of_a_damaged_server_pair_works),
        TEST(the_ca_of_another_cluster_is_refused),
        TEST(a_clock_of_last_century_makes_no_ca),
        TEST(a_clock_that_is_off_by_years_later_stops_nothing),
        TEST(only_one_process_uses_a_directory),
        TEST(a_key_that_others_can_read_is_closed),
        TEST(certificates_are_renewed_when_two_thirds_are_over_for_the_same_key),
        TEST(another_name_makes_another_server_certificate),
        TEST(renewal_stops_with_the_life_of_the_ca),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
