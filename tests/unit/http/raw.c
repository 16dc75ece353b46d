/* The HTTP tests' client of bytes. */
#include "tests/unit/http/raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/clock.h"
#include "tests/unit/http/bed.h"

#define READ_LIMIT_S 10
#define NARROW_MSS 536
#define NARROW_BUFFER 8192
#define CERT_LIFE_S 3600

/* ---- certificates ---------------------------------------------------------------------------- */

static void write_file(char ret_name[static 64], const gnutls_datum_t *text)
{
    int fd;

    (void)snprintf(ret_name, 64, "/tmp/quilt-test-XXXXXX");
    fd = mkstemp(ret_name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text->data, text->size), (ssize_t)text->size);
    close(fd);
}

static void fill_cert(gnutls_x509_crt_t cert, gnutls_x509_privkey_t key, const char *common_name)
{
    assert_int_equal(gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0,
                                                   common_name, (unsigned int)strlen(common_name)),
                     0);
    assert_int_equal(gnutls_x509_crt_set_version(cert, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(cert, "\x01", 1), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(cert, time(NULL) - CERT_LIFE_S), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(cert, time(NULL) + CERT_LIFE_S), 0);
    assert_int_equal(gnutls_x509_crt_set_key(cert, key), 0);
    assert_int_equal(gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0), 0);
}

void bed_identity_init(struct bed_identity *identity, const char *common_name)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
    gnutls_datum_t text;

    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(
                         key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    assert_int_equal(gnutls_x509_crt_init(&cert), 0);
    fill_cert(cert, key, common_name);
    assert_int_equal(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &text), 0);
    write_file(identity->cert_file, &text);
    gnutls_free(text.data);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text), 0);
    write_file(identity->key_file, &text);
    gnutls_free(text.data);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
}

void bed_identity_deinit(struct bed_identity *identity)
{
    if (identity->cert_file[0] == '\0')
        return;
    (void)unlink(identity->cert_file);
    (void)unlink(identity->key_file);
    *identity = (struct bed_identity){0};
}

/* ---- connections ----------------------------------------------------------------------------- */

static void narrow(int fd)
{
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &(int){NARROW_MSS}, sizeof(int)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){NARROW_BUFFER}, sizeof(int)), 0);
}

static int open_from(const struct bed *bed, uint32_t addr, bool is_narrow)
{
    const struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(addr)};
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons(bed_port(bed)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = READ_LIMIT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    if (is_narrow)
        narrow(fd);
    assert_int_equal(bind(fd, (const struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

int raw_open_plain(const struct bed *bed)
{
    return open_from(bed, INADDR_LOOPBACK, false);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

#define FDS_MAX 4096

struct session {
    gnutls_session_t tls;
    gnutls_certificate_credentials_t credentials;
    bool is_refused;
};

static struct session sessions[FDS_MAX]; /* by descriptor; zeroes: plain */

static void session_start(struct session *s, int fd, const struct bed_identity *identity)
{
    assert_int_equal(gnutls_certificate_allocate_credentials(&s->credentials), 0);
    if (identity)
        assert_int_equal(gnutls_certificate_set_x509_key_file(s->credentials, identity->cert_file,
                                                              identity->key_file,
                                                              GNUTLS_X509_FMT_PEM),
                         0);
    assert_int_equal(gnutls_init(&s->tls, GNUTLS_CLIENT), 0);
    assert_int_equal(gnutls_set_default_priority(s->tls), 0);
    assert_int_equal(gnutls_credentials_set(s->tls, GNUTLS_CRD_CERTIFICATE, s->credentials), 0);
    gnutls_transport_set_int(s->tls, fd);
}

static int speak(int fd, const struct bed_identity *identity)
{
    int r;

    assert_true(fd < FDS_MAX);
    if (!bed_speaks_tls)
        return fd;
    session_start(&sessions[fd], fd, identity);
    do
        r = gnutls_handshake(sessions[fd].tls);
    while (r < 0 && !gnutls_error_is_fatal(r));
    sessions[fd].is_refused = r < 0; /* as a test may want it */
    return fd;
}

int raw_open_as(const struct bed *bed, const struct bed_identity *identity)
{
    return speak(raw_open_plain(bed), identity);
}

int raw_open_from(const struct bed *bed, uint32_t addr)
{
    return speak(open_from(bed, addr, false), NULL);
}

/* The bed's end of a connection is a descriptor of this process, too. */
static int find_far_end(int fd)
{
    struct sockaddr_in near, peer;
    socklen_t size = sizeof near;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&near, &size), 0);
    for (int i = 0; i < FDS_MAX; i++) {
        size = sizeof peer;
        if (getpeername(i, (struct sockaddr *)&peer, &size) == 0 && peer.sin_family == AF_INET &&
            peer.sin_port == near.sin_port)
            return i;
    }
    fail_msg("the bed has no end of it");
    return -1;
}

int raw_open_narrow(const struct bed *bed)
{
    int fd = speak(open_from(bed, INADDR_LOOPBACK, true), NULL);

    raw_send(fd, "GET /state HTTP/1.1\r\nHost: t\r\n\r\n");
    free(raw_read_until(fd, "last="));
    assert_int_equal(
        setsockopt(find_far_end(fd), SOL_SOCKET, SO_SNDBUF, &(int){NARROW_BUFFER}, sizeof(int)), 0);
    return fd;
}

int raw_open(const struct bed *bed)
{
    return raw_open_as(bed, NULL);
}

void raw_close(int fd)
{
    struct session *s = &sessions[fd];

    if (s->tls) {
        gnutls_deinit(s->tls);
        gnutls_certificate_free_credentials(s->credentials);
    }
    *s = (struct session){0};
    close(fd);
}

char *raw_server_name(int fd)
{
    unsigned int count = 0;
    const gnutls_datum_t *certs = gnutls_certificate_get_peers(sessions[fd].tls, &count);
    gnutls_x509_crt_t cert;
    char name[64] = "";
    size_t size = sizeof name;

    assert_true(count > 0);
    assert_int_equal(gnutls_x509_crt_init(&cert), 0);
    assert_int_equal(gnutls_x509_crt_import(cert, certs, GNUTLS_X509_FMT_DER), 0);
    assert_int_equal(
        gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size), 0);
    gnutls_x509_crt_deinit(cert);
    return mem_strdup(name);
}

static ssize_t send_some(int fd, const char *bytes, size_t n)
{
    ssize_t sent;

    if (!sessions[fd].tls)
        return send(fd, bytes, n, MSG_NOSIGNAL);
    sent = sessions[fd].is_refused ? (ssize_t)n : gnutls_record_send(sessions[fd].tls, bytes, n);
    return sent < 0 ? -1 : sent;
}

ssize_t raw_receive(int fd, void *bytes, size_t n)
{
    ssize_t got;

    if (!sessions[fd].tls)
        return recv(fd, bytes, n, 0);
    if (sessions[fd].is_refused)
        return 0;
    got = gnutls_record_recv(sessions[fd].tls, bytes, n);
    if (got == GNUTLS_E_PREMATURE_TERMINATION || got == GNUTLS_E_INVALID_SESSION)
        return 0;
    errno = got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED ? EAGAIN : ECONNRESET;
    return got < 0 ? -1 : got;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

void raw_send(int fd, const char *text)
{
    size_t n = strlen(text);

    while (n > 0) {
        ssize_t sent = send_some(fd, text, n);

        assert_true(sent > 0);
        text += sent;
        n -= (size_t)sent;
    }
}

void raw_send_what_fits(int fd, const char *bytes, size_t n)
{
    size_t sent = 0;

    while (sent < n) {
        ssize_t k = send_some(fd, bytes + sent, n - sent);

        if (k < 0)
            return;
        sent += (size_t)k;
    }
}

static bool read_some(int fd, struct strbuf *text)
{
    char bytes[65536];
    ssize_t n = raw_receive(fd, bytes, sizeof bytes);

    if (n < 0)
        fail_msg("read: %s; so far:\n%s", strerrordesc_np(errno), text->data ? text->data : "");
    if (n > 0)
        strbuf_add(text, bytes, (size_t)n);
    return n > 0;
}

char *raw_read_to_end(int fd)
{
    struct strbuf text = {0};

    while (read_some(fd, &text))
        ;
    return strbuf_take(&text);
}

char *raw_read_until(int fd, const char *part)
{
    struct strbuf text = {0};

    while (!text.data || !strstr(text.data, part))
        if (!read_some(fd, &text))
            fail_msg("closed before '%s' came; so far:\n%s", part, text.data ? text.data : "");
    return strbuf_take(&text);
}

char *raw_ask(const struct bed *bed, const char *request)
{
    int fd = raw_open(bed);
    char *answer;

    raw_send(fd, request);
    answer = raw_read_to_end(fd);
    raw_close(fd);
    return answer;
}

void raw_post(const struct bed *bed, const char *path, const char *body)
{
    AUTO_FREE char *request = mem_printf("POST %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
                                         "Content-Length: %zu\r\n\r\n%s",
                                         path, strlen(body), body);
    AUTO_FREE char *answer = raw_ask(bed, request);

    assert_starts(answer, "HTTP/1.1 204 ");
}

void raw_wait_state(const struct bed *bed, const char *text)
{
    int64_t end_ms = clock_boot_ms() + READ_LIMIT_S * 1000;
    int fd = raw_open(bed);
    bool is_so = false;

    while (!is_so && clock_boot_ms() < end_ms) {
        AUTO_FREE char *answer = NULL;

        raw_send(fd, "GET /state HTTP/1.1\r\nHost: t\r\n\r\n");
        answer = raw_read_until(fd, "last=");
        is_so = strstr(answer, text) != NULL;
    }
    raw_close(fd);
    if (!is_so)
        fail_msg("never became '%s'", text);
}
