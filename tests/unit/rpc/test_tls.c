/* Client and server over TLS: whom the client believes, what it says when it does not, and that
 * whatever is said arrives. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/rpc/client.h"
#include "lib/tls/pem_file.h"
#include "proto/quilt.pb-c.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/rpc/host.h"
#include "tests/unit/tls/keyring_bed.h"

#define TIMEOUT_MS 10000
#define OTHER_NODE "7f1c2c5e-0c55-4ab6-8b5c-000000000000"

/* The server has the files of one bed, the client those of another one, or of the same. */
static int echo(const char *target, const struct keyring_bed *shown, bool is_own_node, char *text)
{
    const struct rpc_client_tls tls = {.files = shown->files, .is_own_node = is_own_node};
    Quilt__ConfigureNodeSubnetRequest request = QUILT__CONFIGURE_NODE_SUBNET_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    int r;

    request.subnet = text;
    r = rpc_call_once(target, &tls, "/quilt.QuiltRuntime/ConfigureNodeSubnet", &request.base,
                      &quilt__configure_node_subnet_reply__descriptor, TIMEOUT_MS, &reply);
    if (r < 0)
        return r;
    assert_string_equal(((Quilt__ConfigureNodeSubnetReply *)reply)->error, text);
    protobuf_c_message_free_unpacked(reply, NULL);
    return 0;
}

static void expect_echo(const char *target, const struct keyring_bed *shown)
{
    char text[] = "10.42.1.0/24";

    if (echo(target, shown, true, text) < 0)
        fail_msg("%s", err_text());
}

static void expect_failure(const char *target, const struct keyring_bed *shown, bool is_own_node,
                           const char *words)
{
    char text[] = "10.42.1.0/24";

    assert_int_equal(echo(target, shown, is_own_node, text), -ECONNREFUSED);
    if (!strstr(err_text(), words))
        fail_msg("\"%s\" is not in \"%s\"", words, err_text());
}

static void this_nodes_own_certificate_is_all_that_it_takes(void **state)
{
    struct keyring_bed *bed = *state;
    struct host *host = host_new_tls(0, &bed->files);

    for (int i = 0; i < 3; i++)
        expect_echo(host_target(host), bed);
    host_free(host);
}

/* More than lanes, records and sockets hold, both ways. */
static void a_long_message_arrives_whole(void **state)
{
    struct keyring_bed *bed = *state;
    struct host *host = host_new_tls(0, &bed->files);
    size_t n = 3 * 1024 * 1024 + 17;
    AUTO_FREE char *text = mem_alloc(n + 1);

    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + i % 23);
    text[n] = '\0';
    if (echo(host_target(host), bed, true, text) < 0)
        fail_msg("%s", err_text());
    host_free(host);
}

/* With a file of its own: the server reads it again when it has changed. */
static void a_server_that_is_another_node_is_not_believed(void **state)
{
    struct keyring_bed *bed = *state, other = *bed;
    AUTO_FREE char *file = mem_printf("%s/other.pem", bed->dir);
    struct host *host;

    other.cert_file = file;
    other.files.cert_file = file;
    keyring_bed_write_cert(&other, OTHER_NODE, bed->key);
    host = host_new_tls(0, &other.files);
    expect_failure(host_target(host), bed, true, "the server is node " OTHER_NODE);
    expect_failure(host_target(host), bed, false, "is not for 127.0.0.1; use the node's address");
    host_free(host);
    (void)unlink(file);
}

static void another_cas_server_is_not_believed(void **state)
{
    struct keyring_bed *bed = *state, *other;
    void *made = NULL;
    struct host *host;

    (void)keyring_bed_make(&made);
    other = made;
    host = host_new_tls(0, &other->files);
    expect_failure(host_target(host), bed, true, "no CA of ours");
    host_free(host);
    (void)keyring_bed_drop(&made);
}

/* In a file of its own, since both sides read theirs again when it has changed. Caller frees it. */
static char *write_expired(const struct keyring_bed *bed)
{
    const struct forge_order late = {.uris = {NODE_URI},
                                     .purposes = FORGE_CLIENT | FORGE_SERVER,
                                     .not_before = bed->now - DAY,
                                     .not_after = bed->now - HOUR};
    AUTO_TLS_CERT struct tls_cert *cert = forge_cert(bed->key, bed->ca, &late);
    char *file = mem_printf("%s/expired.pem", bed->dir);

    assert_int_equal(pem_file_write_cert(file, cert), 0);
    return file;
}

static void an_expired_server_is_not_believed(void **state)
{
    struct keyring_bed *bed = *state;
    AUTO_FREE char *file = write_expired(bed);
    struct tls_keyring_files files = bed->files;
    struct host *host;

    files.cert_file = file;
    host = host_new_tls(0, &files);
    expect_failure(host_target(host), bed, true, "expired");
    host_free(host);
    (void)unlink(file);
}

static void a_client_that_is_refused_hears_why(void **state)
{
    struct keyring_bed *bed = *state, shown = *bed;
    AUTO_FREE char *file = write_expired(bed);
    struct host *host = host_new_tls(0, &bed->files);

    shown.files.cert_file = file;
    expect_failure(host_target(host), &shown, true,
                   "the other end refuses: Certificate is expired");
    host_free(host);
    (void)unlink(file);
}

static void a_server_without_tls_is_told_from_one_with_it(void **state)
{
    struct host *host = host_new("127.0.0.1:0");
    AUTO_FREE char *target =
        mem_printf("https%s", strchr(host_target(host), ':')); /* instead of http */

    expect_failure(target, *state, true, "");
    host_free(host);
}

static void while_the_files_are_missing_each_call_says_so(void **state)
{
    struct keyring_bed *bed = *state;

    assert_int_equal(unlink(bed->cert_file), 0);
    expect_failure("https://127.0.0.1:9", bed, true, bed->cert_file);
}

static void nobody_there_is_unavailable(void **state)
{
    expect_failure("https://127.0.0.1:9", *state, true, "connect: Connection refused");
}

static void without_anything_to_show_no_client_is_made(void **state)
{
    struct rpc_client *client = NULL;
    struct loop *loop = NULL;

    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(rpc_client_new(loop, "https://127.0.0.1:9", NULL, &client), -EINVAL);
    assert_null(client);
    loop_free(loop);
}

/* ---- a client that lives on ----------------------------------------------------------------- */

struct caller {
    struct keyring_bed *bed;
    struct loop *loop;
    struct rpc_client *client;
    struct host *host; /* NULL: gone */
    int port;
    size_t stage;
};

static void write_new_files(struct caller *c)
{
    keyring_bed_write_cert(c->bed, NODE, c->bed->key);
}

static void end_server(struct caller *c)
{
    host_free(c->host);
    c->host = NULL;
}

static void just_ask_again(struct caller *c)
{
}

static void start_server(struct caller *c)
{
    c->host = host_new_tls(c->port, &c->bed->files);
}

/* What each call comes to, and what happens then. */
static const struct {
    int status;
    void (*then)(struct caller *c);
} stages[] = {
    {0, write_new_files}, {0, end_server}, {14, just_ask_again}, {14, start_server}, {0, NULL},
};

static void on_answer(const struct rpc_result *result, void *data);

static void ask(struct caller *c)
{
    Quilt__ConfigureNodeSubnetRequest request = QUILT__CONFIGURE_NODE_SUBNET_REQUEST__INIT;

    rpc_client_call(c->client, "/quilt.QuiltRuntime/ConfigureNodeSubnet", &request.base,
                    &quilt__configure_node_subnet_reply__descriptor, TIMEOUT_MS, on_answer, c);
}

static void on_answer(const struct rpc_result *result, void *data)
{
    struct caller *c = data;
    size_t stage = c->stage++;

    assert_int_equal(result->status, stages[stage].status);
    if (!stages[stage].then) {
        loop_exit(c->loop, 0);
        return;
    }
    stages[stage].then(c);
    ask(c);
}

static void a_client_goes_on_after_a_restart_and_with_new_files(void **state)
{
    struct caller c = {.bed = *state};
    const struct rpc_client_tls tls = {.files = c.bed->files, .is_own_node = true};

    start_server(&c);
    c.port = rpc_server_port(host_server(c.host));
    assert_int_equal(loop_new(&c.loop), 0);
    assert_int_equal(rpc_client_new(c.loop, host_target(c.host), &tls, &c.client), 0);
    ask(&c);
    assert_int_equal(loop_run(c.loop), 0);
    assert_int_equal(c.stage, ARRAY_LEN(stages));
    rpc_client_free(c.client);
    loop_free(c.loop);
    host_free(c.host);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, keyring_bed_make, keyring_bed_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(this_nodes_own_certificate_is_all_that_it_takes),
        TEST(a_long_message_arrives_whole),
        TEST(a_server_that_is_another_node_is_not_believed),
        TEST(another_cas_server_is_not_believed),
        TEST(an_expired_server_is_not_believed),
        TEST(a_client_that_is_refused_hears_why),
        TEST(a_server_without_tls_is_told_from_one_with_it),
        TEST(while_the_files_are_missing_each_call_says_so),
        TEST(nobody_there_is_unavailable),
        TEST(without_anything_to_show_no_client_is_made),
        TEST(a_client_goes_on_after_a_restart_and_with_new_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
