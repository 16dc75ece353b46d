/* What the control plane's HTTP library can do at best on this machine, now: a libmicrohttpd server
 * set up like ours (one thread, epoll, TCP_NODELAY) that reads a POST and answers with a fixed
 * text. The benchmark prints our figures as ratios to this one.
 *
 *     baseline PORT           on 127.0.0.1
 *     baseline PORT BYTES     with an answer of so many bytes (0: the short one)
 *     baseline PORT BYTES CERT KEY
 *                             over TLS (PEM files), with the library's own settings
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define REPLY_MAX (1024 * 1024)
#define PEM_MAX 65536

static const char fixed_reply[] = "{\"status\":\"ok\"}";
static const int reading_marker = 1;

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    struct MHD_Response *response = data;

    if (!*request) {
        *request = (void *)(uintptr_t)&reading_marker;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

/* NULL: plain. */
struct pems {
    char *cert, *key;
};

static struct MHD_Daemon *start(uint16_t port, struct MHD_Response *response,
                                const struct pems *pems)
{
    const struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, pems->cert},
                                         {MHD_OPTION_HTTPS_MEM_KEY, 0, pems->key},
                                         {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    const struct sockaddr_in self = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TCP_FASTOPEN | (pems->cert ? MHD_USE_TLS : 0), port,
        NULL, NULL, on_request, response, MHD_OPTION_SOCK_ADDR, &self, MHD_OPTION_CONNECTION_LIMIT,
        2000U, MHD_OPTION_ARRAY, pems->cert ? tls : plain, MHD_OPTION_END);
}

/* A response that is made once; libmicrohttpd frees the bytes with it. */
static struct MHD_Response *make_response(uint64_t bytes)
{
    char *text;

    if (bytes == 0)
        return MHD_create_response_from_buffer(strlen(fixed_reply), (void *)(uintptr_t)fixed_reply,
                                               MHD_RESPMEM_PERSISTENT);
    text = mem_alloc(bytes);
    memset(text, ' ', bytes);
    return MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);
}

static int read_pems(char **argv, struct pems *ret_pems)
{
    size_t n;
    int r = file_read(argv[3], PEM_MAX, &ret_pems->cert, &n);

    return r < 0 ? r : file_read(argv[4], PEM_MAX, &ret_pems->key, &n);
}

int main(int argc, char **argv)
{
    struct pems pems = {0};
    struct MHD_Response *response;
    struct MHD_Daemon *daemon;
    sigset_t set;
    uint64_t port, bytes = 0;
    int signo;

    if (argc < 2 || argc > 5 || argc == 4 || parse_u64(argv[1], UINT16_MAX, &port) < 0 ||
        (argc >= 3 && parse_u64(argv[2], REPLY_MAX, &bytes) < 0) ||
        (argc == 5 && read_pems(argv, &pems) < 0)) {
        (void)fprintf(stderr, "usage: baseline PORT [BYTES [CERT KEY]]\n");
        return 2;
    }
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    response = make_response(bytes);
    daemon = start((uint16_t)port, response, &pems);
    if (!daemon) {
        (void)fprintf(stderr, "baseline: cannot listen on port %s\n", argv[1]);
        return 1;
    }
    (void)fprintf(stderr, "msg=\"ready\"\n");
    (void)sigwait(&set, &signo);
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    free(pems.cert);
    free(pems.key);
    return 0;
}
