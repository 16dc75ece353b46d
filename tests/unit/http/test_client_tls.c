/* The client over TLS: whom it believes, what it shows and to whom it sends nothing. */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/tls/ca.h"
#include "lib/tls/pem_file.h"
#include "tests/unit/http/user.h"

#define CLUSTER "0192f3a4-5b6c-7d8e-9f01-23456789abcd"
#define NODE "7f1c2c5e-0c55-4ab6-8b5c-1d2e3f405162"
#define HOUR_S 3600

/* The files of one side. */
struct pair {
    char *key, *cert;
};

struct tls_bed {
    char dir[64];
    char *ca_file, *other_ca_file;
    struct tls_ca *ca;
    struct pair server, node;
    struct http_tls_config shown;
    struct user *user;
};

/* ---- making it ----------------------------------------------------------------------------- */

static const uint32_t loopback = INADDR_LOOPBACK;

static void issue(const struct tls_bed *bed, struct pair *pair, const char *word,
                  struct tls_cert_order order)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;

    free(pair->key);
    free(pair->cert);
    pair->key = mem_printf("%s/%s-key.pem", bed->dir, word);
    pair->cert = mem_printf("%s/%s.pem", bed->dir, word);
    order.names = (struct tls_names){.addrs = &loopback, .addr_count = 1};
    assert_int_equal(tls_key_new(&key), 0);
    assert_int_equal(tls_ca_issue(bed->ca, tls_key_public(key), &order, &cert), 0);
    assert_int_equal(pem_file_write_key(pair->key, key), 0);
    assert_int_equal(pem_file_write_cert(pair->cert, cert), 0);
}

static char *write_ca(const struct tls_bed *bed, const char *word, const struct tls_ca *ca)
{
    char *path = mem_printf("%s/%s.pem", bed->dir, word);

    assert_int_equal(pem_file_write_cert(path, tls_ca_cert(ca)), 0);
    return path;
}

static void make_cas(struct tls_bed *bed)
{
    struct tls_ca *other;

    assert_int_equal(tls_ca_new(CLUSTER, clock_unix_s() - 10 * HOUR_S, &bed->ca), 0);
    assert_int_equal(tls_ca_new(CLUSTER, clock_unix_s(), &other), 0);
    bed->ca_file = write_ca(bed, "ca", bed->ca);
    bed->other_ca_file = write_ca(bed, "other-ca", other);
    tls_ca_free(other);
}

static struct tls_cert_order control_order(int64_t now, int64_t life_s)
{
    return (struct tls_cert_order){
        .kind = TLS_KIND_CONTROL, .name = "", .now = now, .life_s = life_s};
}

static struct tls_cert_order node_order(void)
{
    return (struct tls_cert_order){
        .kind = TLS_KIND_NODE, .name = NODE, .now = clock_unix_s(), .life_s = HOUR_S};
}

static struct tls_bed *tls_bed_new(void)
{
    struct tls_bed *bed = NEW(struct tls_bed);

    (void)snprintf(bed->dir, sizeof bed->dir, "/tmp/quilt-test-XXXXXX");
    assert_non_null(mkdtemp(bed->dir));
    make_cas(bed);
    issue(bed, &bed->node, "node", node_order());
    return bed;
}

/* The server shows this pair from the start on; the client has these files. */
static void meet(struct tls_bed *bed, const struct pair *shown,
                 const struct http_client_config *config)
{
    bed->shown = (struct http_tls_config){shown->cert, shown->key};
    bed_shows = &bed->shown;
    bed->user = user_start(bed_start(NULL), config);
}

static int make(void **state)
{
    struct tls_bed *bed = tls_bed_new();

    issue(bed, &bed->server, "server", control_order(clock_unix_s(), HOUR_S));
    *state = bed;
    return 0;
}

static void pair_drop(struct pair *pair)
{
    if (pair->key) {
        (void)unlink(pair->key);
        (void)unlink(pair->cert);
    }
    free(pair->key);
    free(pair->cert);
}

static int drop(void **state)
{
    struct tls_bed *bed = *state;

    if (bed->user)
        user_stop(bed->user);
    pair_drop(&bed->server);
    pair_drop(&bed->node);
    (void)unlink(bed->ca_file);
    (void)unlink(bed->other_ca_file);
    free(bed->ca_file);
    free(bed->other_ca_file);
    tls_ca_free(bed->ca);
    assert_int_equal(rmdir(bed->dir), 0);
    free(bed);
    return 0;
}

static struct user *meet_good(struct tls_bed *bed)
{
    meet(bed, &bed->server, &(struct http_client_config){.ca_file = bed->ca_file});
    return bed->user;
}

/* GET /who, several times in a row, each with what came of it. */
struct step {
    enum http_connection connection;
    const struct http_client_config *renew; /* before; NULL: not */
    int error;
    char *text; /* the body or the error's; owned */
};

struct walk {
    struct user *user;
    struct step *steps;
    size_t count, at;
};

static void on_step_done(const struct http_response *response, void *data);

static void take_step(struct walk *walk)
{
    const struct step *step = &walk->steps[walk->at];
    AUTO_FREE char *url = url_of(walk->user, "/who");
    const struct http_request_spec spec = {.method = "GET",
                                           .url = url,
                                           .timeout_ms = 5000,
                                           .connection = step->connection,
                                           .done = on_step_done,
                                           .data = walk};

    if (step->renew)
        assert_int_equal(http_client_renew(walk->user->client, step->renew), 0);
    assert_int_equal(http_client_start(walk->user->client, &spec, &walk->user->call), 0);
}

static void on_step_done(const struct http_response *response, void *data)
{
    struct walk *walk = data;
    struct step *step = &walk->steps[walk->at++];

    step->error = response->error;
    step->text = mem_strdup(response->error ? response->detail : response->body);
    if (walk->at < walk->count)
        take_step(walk);
    else
        loop_exit(walk->user->loop, 0);
}

static void walk(struct user *user, struct step *steps, size_t count)
{
    struct walk walk = {user, steps, count, 0};

    take_step(&walk);
    run(user);
    assert_int_equal(walk.at, count);
}

static void drop_texts(struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(steps[i].text);
}

static void ask(struct user *user, enum http_connection connection)
{
    call(user, "/who",
         (struct http_request_spec){
             .method = "GET", .timeout_ms = 5000, .connection = connection, .done = keep_and_exit});
    run(user);
}

/* The server has not been sent a single request. */
static void assert_nothing_was_asked(struct user *user)
{
    AUTO_FREE char *answer = raw_ask(user->bed, GET("/state"));

    assert_contains(answer, " done=0 ");
}

static void assert_refused(struct user *user, int error, const char *words)
{
    assert_int_equal(user->error, error);
    assert_contains(user->detail.data, words);
    assert_nothing_was_asked(user);
}

/* ---- who is believed ----------------------------------------------------------------------- */

static void a_server_of_a_known_ca_is_believed(void **state)
{
    struct user *user = meet_good(*state);

    ask(user, HTTP_KEPT);
    assert_int_equal(user->error, 0);
    assert_contains(user->body.data, "certificates=0");
}

static void one_of_another_ca_is_sent_nothing(void **state)
{
    struct tls_bed *bed = *state;
    AUTO_FREE char *words = mem_printf("which is none of the CAs in %s", bed->other_ca_file);

    meet(bed, &bed->server, &(struct http_client_config){.ca_file = bed->other_ca_file});
    ask(bed->user, HTTP_KEPT);
    assert_refused(bed->user, EKEYREJECTED, words);
    assert_starts(bed->user->detail.data, "GET https://127.0.0.1:");
}

static void one_with_another_name_is_sent_nothing(void **state)
{
    struct user *user = meet_good(*state);
    AUTO_FREE char *url = mem_printf("https://localhost:%u/who", bed_port(user->bed));
    struct http_request_spec spec = {
        .method = "GET", .url = url, .timeout_ms = 5000, .done = keep_and_exit, .data = user};

    assert_int_equal(http_client_start(user->client, &spec, &user->call), 0);
    run(user);
    assert_refused(user, EPROTO, "is not for localhost");
}

static void one_that_is_out_of_time_is_sent_nothing_and_the_clock_is_named(void **state)
{
    struct tls_bed *bed = *state;
    const int64_t now = clock_unix_s();
    const struct {
        int64_t begin, life_s;
        const char *words;
    } rows[] = {
        {now - 5 * HOUR_S, 2 * HOUR_S, "the server's certificate expired 3 h ago"},
        {now + 4 * HOUR_S + 5, HOUR_S, "is not yet valid: this host's clock is 3 h behind"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        issue(bed, &bed->server, "server", control_order(rows[i].begin, rows[i].life_s));
        meet_good(bed);
        ask(bed->user, HTTP_KEPT);
        assert_refused(bed->user, EKEYEXPIRED, rows[i].words);
        user_stop(TAKE_PTR(bed->user));
    }
}

static void a_node_that_shows_its_certificate_as_a_server_is_sent_nothing(void **state)
{
    struct tls_bed *bed = *state;

    meet(bed, &bed->node, &(struct http_client_config){.ca_file = bed->ca_file});
    ask(bed->user, HTTP_KEPT);
    assert_refused(bed->user, EPROTO, "it is not the control plane");
}

static void a_server_that_speaks_plainly_is_reported(void **state)
{
    struct tls_bed *bed = *state;
    struct bed *plain;
    AUTO_FREE char *url = NULL;
    struct http_request_spec spec = {
        .method = "GET", .timeout_ms = 5000, .done = keep_and_exit, .data = meet_good(bed)};

    bed_speaks_tls = false;
    plain = bed_start(NULL);
    url = mem_printf("https://127.0.0.1:%u/who", bed_port(plain));
    spec.url = url;
    assert_int_equal(http_client_start(bed->user->client, &spec, &bed->user->call), 0);
    run(bed->user);
    bed_stop(plain, NULL);
    bed_speaks_tls = true;
    assert_int_equal(bed->user->error, EPROTO);
    assert_contains(bed->user->detail.data, "(does the server speak TLS there, 1.2 or later?)");
}

/* ---- an old server ------------------------------------------------------------------------- */

struct old_server {
    struct http_tls_config shown;
    int listener;
    int result; /* of the handshake */
};

static void *serve_old(void *data)
{
    struct old_server *old = data;
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    int fd = accept4(old->listener, NULL, NULL, SOCK_CLOEXEC);

    assert_int_equal(gnutls_certificate_allocate_credentials(&credentials), 0);
    assert_int_equal(gnutls_certificate_set_x509_key_file(credentials, old->shown.cert_file,
                                                          old->shown.key_file, GNUTLS_X509_FMT_PEM),
                     0);
    assert_int_equal(gnutls_init(&session, GNUTLS_SERVER), 0);
    assert_int_equal(gnutls_priority_set_direct(
                         session, "NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0:%COMPAT", NULL),
                     0);
    assert_int_equal(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials), 0);
    gnutls_transport_set_int(session, fd);
    do
        old->result = gnutls_handshake(session);
    while (old->result == GNUTLS_E_AGAIN || old->result == GNUTLS_E_INTERRUPTED);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    close(fd);
    return NULL;
}

static int listen_somewhere(uint16_t *ret_port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    *ret_port = ntohs(name.sin_port);
    return fd;
}

static void tls_below_1_2_is_not_spoken(void **state)
{
    struct tls_bed *bed = *state;
    struct user *user = meet_good(bed);
    struct old_server old = {.shown = bed->shown};
    uint16_t port;
    pthread_t thread;
    AUTO_FREE char *url = NULL;
    struct http_request_spec spec = {
        .method = "GET", .timeout_ms = 5000, .done = keep_and_exit, .data = user};

    old.listener = listen_somewhere(&port);
    url = mem_printf("https://127.0.0.1:%u/who", port);
    spec.url = url;
    assert_int_equal(pthread_create(&thread, NULL, serve_old, &old), 0);
    assert_int_equal(http_client_start(user->client, &spec, &user->call), 0);
    run(user);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(old.listener);
    assert_true(old.result < 0);
    assert_int_equal(user->error, EPROTO);
}

/* ---- without verification ------------------------------------------------------------------ */

static void what_is_public_can_be_had_from_anybody_who_is_shown_nothing(void **state)
{
    struct tls_bed *bed = *state;

    meet(bed, &bed->server,
         &(struct http_client_config){.ca_file = bed->other_ca_file,
                                      .cert_file = bed->node.cert,
                                      .key_file = bed->node.key});
    ask(bed->user, HTTP_UNVERIFIED);
    assert_int_equal(bed->user->error, 0);
    assert_contains(bed->user->body.data, "certificates=0");
}

static void its_connection_serves_no_other_call(void **state)
{
    struct step steps[] = {{HTTP_UNVERIFIED}, {HTTP_KEPT}};
    struct tls_bed *bed = *state;

    meet(bed, &bed->server, &(struct http_client_config){.ca_file = bed->other_ca_file});
    walk(bed->user, steps, ARRAY_LEN(steps));
    assert_int_equal(steps[0].error, 0);
    assert_int_equal(steps[1].error, EKEYREJECTED);
    drop_texts(steps, ARRAY_LEN(steps));
}

static void nothing_of_ours_goes_out_without_verification(void **state)
{
    static const char *const headers[] = {"Authorization: Bearer secret", NULL};
    static const struct http_request_spec specs[] = {
        {.method = "GET", .headers = headers},
        {.method = "GET", .body = "{}"},
        {.method = "POST"},
    };
    struct user *user = meet_good(*state);

    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        struct http_request_spec spec = specs[i];
        struct http_call *unused;

        spec.url = "https://127.0.0.1:1/who";
        spec.connection = HTTP_UNVERIFIED;
        spec.done = keep_and_exit;
        assert_int_equal(http_client_start(user->client, &spec, &unused), -EINVAL);
        assert_contains(err_text(), "only a bare GET goes out without verification");
    }
    assert_nothing_was_asked(user);
}

/* ---- connections and certificates ---------------------------------------------------------- */

static void a_certificate_is_shown_when_there_is_one(void **state)
{
    struct tls_bed *bed = *state;

    meet(bed, &bed->server,
         &(struct http_client_config){
             .ca_file = bed->ca_file, .cert_file = bed->node.cert, .key_file = bed->node.key});
    ask(bed->user, HTTP_KEPT);
    assert_contains(bed->user->body.data, "certificates=1");
}

static void a_fresh_connection_is_new_and_not_kept(void **state)
{
    struct step steps[] = {{HTTP_KEPT}, {HTTP_FRESH}, {HTTP_KEPT}};

    walk(meet_good(*state), steps, ARRAY_LEN(steps));
    assert_contains(steps[0].text, "looks=1");
    assert_contains(steps[1].text, "looks=1");
    assert_contains(steps[2].text, "looks=2");
    drop_texts(steps, ARRAY_LEN(steps));
}

static void after_renewing_calls_use_the_new_files_on_new_connections(void **state)
{
    struct tls_bed *bed = *state;
    struct user *user = meet_good(bed);
    const struct http_client_config config = {
        .ca_file = bed->ca_file, .cert_file = bed->node.cert, .key_file = bed->node.key};

    struct step steps[] = {{HTTP_KEPT}, {HTTP_KEPT, &config}, {HTTP_KEPT}};

    walk(user, steps, ARRAY_LEN(steps));
    assert_contains(steps[0].text, "certificates=0 bytes=0 looks=1");
    assert_contains(steps[1].text, "certificates=1");
    assert_contains(steps[1].text, "looks=1");
    assert_contains(steps[2].text, "looks=2");
    drop_texts(steps, ARRAY_LEN(steps));
}

static bool renew_then_end(const char *bytes, size_t n, void *data)
{
    struct user *user = data;

    (void)keep_chunk(bytes, n, data);
    assert_int_equal(http_client_renew(user->client, NULL), 0);
    raw_post(user->bed, user->chunk_count == 1 ? "/push" : "/end", "two");
    return true;
}

/* The stream exists once its server says so; then something is pushed. */
static void on_stream_exists(const struct http_response *response, void *data)
{
    struct user *user = data;

    if (strstr(response->body, "streams=1"))
        raw_post(user->bed, "/push", "one");
    else
        call(user, "/state", (struct http_request_spec){.method = "GET", .done = on_stream_exists});
}

static void what_is_under_way_goes_on_meanwhile(void **state)
{
    struct user *user = meet_good(*state);

    call(user, "/stream",
         (struct http_request_spec){
             .method = "GET", .chunk = renew_then_end, .done = keep_and_exit});
    call(user, "/state", (struct http_request_spec){.method = "GET", .done = on_stream_exists});
    run(user);
    assert_int_equal(user->error, 0);
    assert_string_equal(user->chunks.data, "onetwotwo");
    raw_wait_state(user->bed, "streams=0");
}

static void files_that_cannot_be_used_are_named(void **state)
{
    struct tls_bed *bed = *state;
    const struct http_client_config no_ca = {.ca_file = "/nowhere/ca.pem"},
                                    others_key = {.ca_file = bed->ca_file,
                                                  .cert_file = bed->node.cert,
                                                  .key_file = bed->server.key};
    struct step steps[] = {{HTTP_KEPT, &no_ca}, {HTTP_KEPT, &others_key}};

    walk(meet_good(bed), steps, ARRAY_LEN(steps));
    assert_int_equal(steps[0].error, EBADMSG);
    assert_contains(steps[0].text, "/nowhere/ca.pem cannot be read as CAs");
    assert_int_equal(steps[1].error, EBADMSG);
    assert_contains(steps[1].text, "error reading X.509 key or certificate file");
    assert_nothing_was_asked(bed->user);
    drop_texts(steps, ARRAY_LEN(steps));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_server_of_a_known_ca_is_believed),
        TEST(one_of_another_ca_is_sent_nothing),
        TEST(one_with_another_name_is_sent_nothing),
        TEST(one_that_is_out_of_time_is_sent_nothing_and_the_clock_is_named),
        TEST(a_node_that_shows_its_certificate_as_a_server_is_sent_nothing),
        TEST(a_server_that_speaks_plainly_is_reported),
        TEST(tls_below_1_2_is_not_spoken),
        TEST(what_is_public_can_be_had_from_anybody_who_is_shown_nothing),
        TEST(its_connection_serves_no_other_call),
        TEST(nothing_of_ours_goes_out_without_verification),
        TEST(a_certificate_is_shown_when_there_is_one),
        TEST(a_fresh_connection_is_new_and_not_kept),
        TEST(after_renewing_calls_use_the_new_files_on_new_connections),
        TEST(what_is_under_way_goes_on_meanwhile),
        TEST(files_that_cannot_be_used_are_named),
    };

    bed_speaks_tls = true;
    return cmocka_run_group_tests_name("http client over TLS", tests, NULL, NULL);
}
