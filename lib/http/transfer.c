/* One request as libcurl knows it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/error.h"
#include "lib/http/client_internal.h"

#define DEFAULT_BODY_MAX (16 * 1024 * 1024)
#define DEFAULT_TIMEOUT_MS 30000
#define CONNECT_TIMEOUT_MS 3000
#define RETRY_AFTER_MAX_S 86400
/* Below what servers usually give idle connections, so that we let go first. */
#define IDLE_CONNECTION_MAX_S 25L
/* A server that moves is to be found before it counts us as gone. */
#define NAME_MAX_AGE_S 5L

/* ---- what comes in --------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
    struct transfer *t = data;

    if (n > t->body_max || t->body.len > t->body_max - n)
        return CURL_WRITEFUNC_ERROR;
    strbuf_add(&t->body, bytes, n);
    if (t->ready_list)
        ring_append(t->ready_list, &t->ready);
    return n;
}

static void take_etag(struct transfer *t, const char *value, size_t n)
{
    while (n > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        n--;
    }
    while (n > 0 && strchr(" \t\r\n", value[n - 1]))
        n--;
    if (n < sizeof t->etag)
        (void)snprintf(t->etag, sizeof t->etag, "%.*s", (int)n, value);
}

static size_t on_header(char *line, size_t size, size_t n, void *data)
{
    struct transfer *t = data;

    if (n > 5 && memcmp(line, "HTTP/", 5) == 0)
        t->etag[0] = '\0'; /* another answer begins; the one before was 1xx */
    else if (n > 5 && strncasecmp(line, "etag:", 5) == 0)
        take_etag(t, line + 5, n - 5);
    return n;
}

/* ---- what goes out --------------------------------------------------------------------------- */

static void add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (!longer)
        mem_exhausted(strlen(line));
    *list = longer;
}

static void add_header(struct transfer *t, const char *line)
{
    add_line(&t->headers, line);
}

static bool has_header(const char *const *headers, const char *name)
{
    for (size_t i = 0; headers && headers[i]; i++)
        if (strncasecmp(headers[i], name, strlen(name)) == 0)
            return true;
    return false;
}

static void set_headers(struct transfer *t, const struct http_request_spec *spec)
{
    if (!has_header(spec->headers, "Accept:"))
        add_header(t, "Accept: application/json");
    if (spec->body && !has_header(spec->headers, "Content-Type:"))
        add_header(t, "Content-Type: application/json");
    add_header(t, "Expect:"); /* no waiting for 100 Continue */
    for (size_t i = 0; spec->headers && spec->headers[i]; i++)
        add_header(t, spec->headers[i]);
}

static CURLcode set_method(struct transfer *t, const struct http_request_spec *spec)
{
    const char *body = spec->body ? spec->body : "";

    if (strcmp(spec->method, "GET") == 0)
        return CURLE_OK;
    if (strcmp(spec->method, "HEAD") == 0) {
        SET(t, CURLOPT_NOBODY, 1L);
        return CURLE_OK;
    }
    if (spec->body || strcmp(spec->method, "POST") == 0) {
        SET(t, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        SET(t, CURLOPT_COPYPOSTFIELDS, body);
    }
    SET(t, CURLOPT_CUSTOMREQUEST, spec->method);
    return CURLE_OK;
}

static CURLcode set_times(struct transfer *t)
{
    bool is_short = t->timeout_ms > 0 && t->timeout_ms < CONNECT_TIMEOUT_MS;

    SET(t, CURLOPT_TIMEOUT_MS, (long)t->timeout_ms);
    SET(t, CURLOPT_CONNECTTIMEOUT_MS, is_short ? (long)t->timeout_ms : (long)CONNECT_TIMEOUT_MS);
    SET(t, CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_MAX_S);
    SET(t, CURLOPT_DNS_CACHE_TIMEOUT, NAME_MAX_AGE_S);
    return CURLE_OK;
}

static CURLcode set_callbacks(struct transfer *t)
{
    SET(t, CURLOPT_WRITEFUNCTION, on_body);
    SET(t, CURLOPT_WRITEDATA, t);
    SET(t, CURLOPT_HEADERFUNCTION, on_header);
    SET(t, CURLOPT_HEADERDATA, t);
    SET(t, CURLOPT_ERRORBUFFER, t->curl_text);
    return CURLE_OK;
}

static CURLcode set_manners(struct transfer *t)
{
    SET(t, CURLOPT_NOSIGNAL, 1L);
    SET(t, CURLOPT_PROXY, "");
    SET(t, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(t, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(t, CURLOPT_USERAGENT, "quilt-mesh/" QUILT_VERSION);
    SET(t, CURLOPT_HTTPHEADER, t->headers);
    return CURLE_OK;
}

/* The certificate still has to be for the host in the URL. */
static CURLcode set_address(struct transfer *t, const struct http_request_spec *spec)
{
    AUTO_FREE char *line = NULL;

    if (!spec->connect_to)
        return CURLE_OK;
    line = mem_printf("::%s:", spec->connect_to); /* any host, any port: the same port there */
    add_line(&t->connect_to, line);
    SET(t, CURLOPT_CONNECT_TO, t->connect_to);
    return CURLE_OK;
}

static CURLcode set_all(struct transfer *t, const struct http_client_config *config,
                        const struct http_request_spec *spec)
{
    CURLcode code = curl_easy_setopt(t->easy, CURLOPT_URL, spec->url);

    if (code == CURLE_OK)
        code = set_address(t, spec);
    if (code == CURLE_OK)
        code = set_method(t, spec);
    if (code == CURLE_OK)
        code = transfer_set_tls(t, config, spec);
    if (code == CURLE_OK)
        code = set_times(t);
    if (code == CURLE_OK)
        code = set_callbacks(t);
    if (code == CURLE_OK)
        code = set_manners(t);
    return code;
}

/* Nothing that is anybody's business goes to a server that nobody has looked at. */
static int check_publicity(const struct http_request_spec *spec)
{
    if (spec->connection != HTTP_UNVERIFIED ||
        (strcmp(spec->method, "GET") == 0 && !spec->body && !spec->headers))
        return 0;
    return err_fail(EINVAL, "%s %s: only a bare GET goes out without verification", spec->method,
                    spec->url);
}

int transfer_init(struct transfer *t, const struct http_client_config *config,
                  const struct http_request_spec *spec)
{
    CURLcode code;
    int r = check_publicity(spec);

    if (r < 0)
        return r;
    *t = (struct transfer){.easy = curl_easy_init()};
    ring_init(&t->ready);
    if (!t->easy)
        mem_exhausted(0);
    t->what = mem_printf("%s %s%s%s", spec->method, spec->url, spec->connect_to ? " at " : "",
                         spec->connect_to ? spec->connect_to : "");
    t->timeout_ms = spec->timeout_ms > 0 || spec->chunk ? spec->timeout_ms : DEFAULT_TIMEOUT_MS;
    t->body_max = spec->body_max > 0 ? spec->body_max : DEFAULT_BODY_MAX;
    set_headers(t, spec);
    code = set_all(t, config, spec);
    if (code == CURLE_OK)
        return 0;
    err_fail(EINVAL, "%s: %s", t->what, curl_easy_strerror(code));
    transfer_deinit(t);
    return -EINVAL;
}

void transfer_deinit(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->connect_to);
    strbuf_deinit(&t->body);
    free(t->what);
    free(t->ca_file);
    free(t->refusal);
    ring_remove(&t->ready);
}

/* ---- what came of it ------------------------------------------------------------------------- */

unsigned int transfer_status(const struct transfer *t)
{
    long status = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    return (unsigned int)status;
}

bool transfer_was_asked(const struct transfer *t)
{
    long request_bytes = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    return request_bytes > 0;
}

int64_t transfer_retry_after_s(const struct transfer *t)
{
    curl_off_t seconds = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &seconds);
    return seconds < 0 ? 0 : seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : seconds;
}

/* libcurl's word, ours, and where in the exchange it happened. */
static const struct {
    CURLcode code;
    int errnum;
    const char *place;
} failures[] = {
    {CURLE_UNSUPPORTED_PROTOCOL, EINVAL, NULL},
    {CURLE_URL_MALFORMAT, EINVAL, NULL},
    {CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH, NULL},
    {CURLE_COULDNT_CONNECT, ECONNREFUSED, "connect"},
    {CURLE_GOT_NOTHING, ECONNRESET, "the server closed the connection without an answer"},
    {CURLE_PARTIAL_FILE, ECONNRESET, "the server closed the connection amid its answer"},
    {CURLE_SEND_ERROR, ECONNRESET, "the connection broke while the request was sent"},
    {CURLE_RECV_ERROR, ECONNRESET, "the connection broke amid the answer"},
    {CURLE_WEIRD_SERVER_REPLY, EPROTO, NULL},
};

/* The usual port of a URL that names none may not be the one that is meant. Caller frees. */
static char *connect_words(struct transfer *t)
{
    CURLU *parser = curl_url();
    char *url = NULL, *port = NULL, *words = NULL;

    (void)curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
    if (parser && url && curl_url_set(parser, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parser, CURLUPART_PORT, &port, 0) == CURLUE_NO_PORT &&
        curl_url_get(parser, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
        words = mem_printf("connect to port %s, since the URL names none", port);
    curl_free(port);
    curl_url_cleanup(parser);
    return words ? words : mem_strdup("connect");
}

static int timeout_error(struct transfer *t)
{
    AUTO_FREE char *connecting = connect_words(t);
    curl_off_t connect_us = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
    if (connect_us == 0)
        (void)err_sys(ETIMEDOUT, "%s: %s", t->what, connecting);
    else
        (void)err_fail(ETIMEDOUT, "%s: no answer within %lld ms", t->what,
                       (long long)t->timeout_ms);
    return ETIMEDOUT;
}

static int known_error(struct transfer *t, int errnum, const char *place)
{
    AUTO_FREE char *connecting = errnum == ECONNREFUSED ? connect_words(t) : NULL;
    long os_errno = 0;

    if (connecting)
        place = connecting;
    (void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (os_errno > 0)
        errnum = (int)os_errno;
    if (!place)
        (void)err_fail(errnum, "%s: %s", t->what, t->curl_text);
    else if (os_errno > 0)
        (void)err_sys(errnum, "%s: %s", t->what, place);
    else
        (void)err_fail(errnum, "%s: %s", t->what, place);
    return errnum;
}

/* How the kernel refuses to connect where a route or a rule swallows what is sent. */
static bool is_swallowed(struct transfer *t, CURLcode code)
{
    long os_errno = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
    return code == CURLE_COULDNT_CONNECT && (os_errno == EINVAL || os_errno == EACCES);
}

int transfer_error(struct transfer *t, CURLcode code)
{
    int errnum;

    if (code == CURLE_OK)
        return 0;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return timeout_error(t);
    errnum = transfer_tls_error(t, code);
    if (errnum > 0)
        return errnum;
    if (code == CURLE_WRITE_ERROR) {
        (void)err_fail(EFBIG, "%s: the answer is longer than %zu bytes", t->what, t->body_max);
        return EFBIG;
    }
    if (is_swallowed(t, code)) {
        (void)err_fail(ENETUNREACH, "%s: connect: a route or rule of this host lets nothing there",
                       t->what);
        return ENETUNREACH;
    }
    for (size_t i = 0; i < ARRAY_LEN(failures); i++)
        if (failures[i].code == code)
            return known_error(t, failures[i].errnum, failures[i].place);
    (void)err_fail(EIO, "%s: %s", t->what, curl_easy_strerror(code));
    return EIO;
}
