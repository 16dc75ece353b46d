/* The server's end of a TLS connection, against GnuTLS's client, both in this thread. */
#include "lib/tls/session.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/tls/keyring_bed.h"

#define TURNS_MAX 1000

struct pair {
    struct tls_keyring *keyring;
    struct tls_session *session;
    struct keyring_client client;
    int fd; /* the session's */
};

static void pair_init(struct pair *pair, const struct keyring_bed *bed,
                      const struct keyring_client_order *order)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    pair->fd = fds[0];
    pair->keyring = keyring_bed_load(bed);
    assert_int_equal(tls_session_new_server(pair->keyring, fds[0], "h2", &pair->session), 0);
    keyring_client_init(&pair->client, fds[1], order);
}

static void pair_deinit(struct pair *pair)
{
    tls_session_free(pair->session);
    tls_keyring_unref(pair->keyring);
    keyring_client_deinit(&pair->client);
    close(pair->fd);
}

/* What the server's end comes to. */
static int shake(struct pair *pair)
{
    int r = TLS_WANTS_IN;

    for (int i = 0; r > 0; i++) {
        assert_true(i < TURNS_MAX);
        (void)gnutls_handshake(pair->client.session);
        r = tls_session_handshake(pair->session);
    }
    return r;
}

/* What the client hears, at last. */
static int hear(struct pair *pair)
{
    char byte;
    ssize_t r = gnutls_handshake(pair->client.session);

    if (r == 0)
        r = gnutls_record_recv(pair->client.session, &byte, 1);
    assert_int_equal(r, GNUTLS_E_FATAL_ALERT_RECEIVED);
    return (int)gnutls_alert_get(pair->client.session);
}

static struct keyring_client_order good(const struct keyring_bed *bed)
{
    return (struct keyring_client_order){.ca = bed->ca, .uri = NODE_URI, .protocol = "h2"};
}

static void who_shows_a_certificate_of_the_cluster_is_known(void **state)
{
    static const char *const versions[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.3",
                                           "NORMAL:-VERS-ALL:+VERS-TLS1.2"};

    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct keyring_client_order order = good(*state);
        struct pair pair;

        order.priorities = versions[i];
        pair_init(&pair, *state, &order);
        assert_int_equal(shake(&pair), 0);
        assert_string_equal(tls_session_peer(pair.session)->identity.name, NODE);
        assert_int_equal(tls_session_peer(pair.session)->identity.kind, TLS_KIND_NODE);
        pair_deinit(&pair);
    }
}

static void expect_refused(void **state, const struct keyring_client_order *order, int r,
                           const char *text, int alert)
{
    struct pair pair;

    pair_init(&pair, *state, order);
    assert_int_equal(shake(&pair), r);
    if (!strstr(err_text(), text))
        fail_msg("\"%s\" is not in \"%s\"", text, err_text());
    if (alert >= 0)
        assert_int_equal(hear(&pair), alert);
    pair_deinit(&pair);
}

static void who_shows_none_is_refused(void **state)
{
    const struct keyring_client_order order = {.protocol = "h2"};

    expect_refused(state, &order, -EACCES, "shows no certificate", GNUTLS_A_CERTIFICATE_REQUIRED);
}

static void one_of_another_ca_is_refused(void **state)
{
    struct keyring_bed *bed = *state;
    struct keyring_client_order order = good(bed);
    AUTO_TLS_CA struct tls_ca *other = NULL;

    assert_int_equal(tls_ca_new(CLUSTER, bed->now, &other), 0);
    order.ca = other;
    expect_refused(state, &order, -EACCES, "no CA of ours", GNUTLS_A_UNKNOWN_CA);
}

static void one_of_another_cluster_is_refused(void **state)
{
    struct keyring_client_order order = good(*state);

    order.uri = "spiffe://" OTHER_CLUSTER "/user/admin";
    expect_refused(state, &order, -EACCES, "is of cluster " OTHER_CLUSTER, GNUTLS_A_ACCESS_DENIED);
}

static void an_expired_one_is_refused_and_the_client_is_told_so(void **state)
{
    struct keyring_bed *bed = *state;
    struct keyring_client_order order = good(bed);

    order.not_after = bed->now - 60;
    expect_refused(state, &order, -EACCES, "expired", GNUTLS_A_CERTIFICATE_EXPIRED);
}

static void who_does_not_say_what_is_spoken_is_refused(void **state)
{
    struct keyring_client_order order = good(*state);

    order.protocol = NULL;
    expect_refused(state, &order, -EPROTO, "(ALPN)", GNUTLS_A_NO_APPLICATION_PROTOCOL);
    order.protocol = "http/1.1";
    expect_refused(state, &order, -EPROTO, "TLS 1.2 or 1.3", GNUTLS_A_NO_APPLICATION_PROTOCOL);
}

static void old_versions_and_weak_suites_are_refused(void **state)
{
    static const char *const priorities[] = {
        "LEGACY:-VERS-ALL:+VERS-TLS1.1", "LEGACY:-VERS-ALL:+VERS-TLS1.0",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA"};

    for (size_t i = 0; i < ARRAY_LEN(priorities); i++) {
        struct keyring_client_order order = good(*state);

        order.priorities = priorities[i];
        expect_refused(state, &order, -EPROTO, "no handshake of TLS 1.2 or 1.3", -1);
    }
}

static void what_is_no_tls_is_refused(void **state)
{
    static const char *const lines[] = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                        "GET / HTTP/1.1\r\n\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const struct keyring_client_order order = good(*state);
        struct pair pair;

        pair_init(&pair, *state, &order);
        assert_true(send(pair.client.fd, lines[i], strlen(lines[i]), 0) > 0);
        assert_int_equal(tls_session_handshake(pair.session), -EPROTO);
        pair_deinit(&pair);
    }
}

static void a_silent_client_is_waited_for(void **state)
{
    const struct keyring_client_order order = good(*state);
    struct pair pair;

    pair_init(&pair, *state, &order);
    assert_int_equal(tls_session_handshake(pair.session), TLS_WANTS_IN);
    assert_int_equal(tls_session_handshake(pair.session), TLS_WANTS_IN);
    pair_deinit(&pair);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static void pair_open(struct pair *pair, void **state)
{
    const struct keyring_client_order order = good(*state);

    pair_init(pair, *state, &order);
    assert_int_equal(shake(pair), 0);
}

static void bytes_go_both_ways_and_what_is_left_of_a_record_is_pending(void **state)
{
    struct pair pair;
    char got[16] = "";

    pair_open(&pair, state);
    assert_int_equal(tls_session_recv(pair.session, got, sizeof got), -EAGAIN);
    assert_int_equal(gnutls_record_send(pair.client.session, "hello you", 9), 9);
    assert_int_equal(tls_session_recv(pair.session, got, 5), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(tls_session_pending(pair.session), 4);
    assert_int_equal(tls_session_recv(pair.session, got, sizeof got), 4);
    assert_int_equal(tls_session_pending(pair.session), 0);
    assert_int_equal(tls_session_send(pair.session, "and you", 7), 7);
    assert_int_equal(gnutls_record_recv(pair.client.session, got, sizeof got), 7);
    assert_memory_equal(got, "and you", 7);
    pair_deinit(&pair);
}

/* Sends until the socket is full, then reads all; every byte comes once, in order. */
static void a_send_that_has_to_wait_is_given_again_and_nothing_is_lost_or_doubled(void **state)
{
    struct pair pair;
    char bytes[8192], got[8192];
    size_t sent = 0, heard = 0;
    ssize_t n;

    pair_open(&pair, state);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i % 251);
    while ((n = tls_session_send(pair.session, bytes, sizeof bytes)) > 0)
        sent += (size_t)n;
    assert_int_equal(n, -EAGAIN);
    for (int i = 0; heard < sent + sizeof bytes && i < TURNS_MAX * 10; i++) {
        if (n == -EAGAIN)
            n = tls_session_send(pair.session, bytes, sizeof bytes);
        ssize_t r = gnutls_record_recv(pair.client.session, got, sizeof got);

        if (r <= 0)
            continue;
        assert_int_equal(got[0], bytes[heard % sizeof bytes]);
        heard += (size_t)r;
    }
    assert_int_equal(n, sizeof bytes);
    assert_int_equal(heard, sent + sizeof bytes);
    pair_deinit(&pair);
}

static void an_end_that_is_said_is_told_from_a_broken_connection(void **state)
{
    struct pair pair;
    char byte;

    pair_open(&pair, state);
    assert_int_equal(gnutls_bye(pair.client.session, GNUTLS_SHUT_WR), 0);
    assert_int_equal(tls_session_recv(pair.session, &byte, 1), 0);
    tls_session_bye(pair.session);
    assert_int_equal(gnutls_record_recv(pair.client.session, &byte, 1), 0);
    pair_deinit(&pair);

    pair_open(&pair, state);
    assert_int_equal(shutdown(pair.client.fd, SHUT_RDWR), 0);
    assert_int_equal(tls_session_recv(pair.session, &byte, 1), -ECONNRESET);
    pair_deinit(&pair);
}

static void a_renegotiation_ends_the_connection(void **state)
{
    struct keyring_client_order order = good(*state);
    struct pair pair;
    char byte;

    order.priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
    pair_init(&pair, *state, &order);
    assert_int_equal(shake(&pair), 0);
    assert_int_equal(gnutls_handshake(pair.client.session), 0);
    assert_int_equal(gnutls_handshake(pair.client.session), GNUTLS_E_AGAIN);
    assert_int_equal(tls_session_recv(pair.session, &byte, 1), -EPROTO);
    pair_deinit(&pair);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, keyring_bed_make, keyring_bed_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_shows_a_certificate_of_the_cluster_is_known),
        TEST(who_shows_none_is_refused),
        TEST(one_of_another_ca_is_refused),
        TEST(one_of_another_cluster_is_refused),
        TEST(an_expired_one_is_refused_and_the_client_is_told_so),
        TEST(who_does_not_say_what_is_spoken_is_refused),
        TEST(old_versions_and_weak_suites_are_refused),
        TEST(what_is_no_tls_is_refused),
        TEST(a_silent_client_is_waited_for),
        TEST(bytes_go_both_ways_and_what_is_left_of_a_record_is_pending),
        TEST(a_send_that_has_to_wait_is_given_again_and_nothing_is_lost_or_doubled),
        TEST(an_end_that_is_said_is_told_from_a_broken_connection),
        TEST(a_renegotiation_ends_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
