/* What the control plane's HTTP library can do at best on this machine, now: a libmicrohttpd server
 * set up like ours (one thread, epoll, TCP_NODELAY) that reads a POST and answers with a fixed
 * text. The benchmark prints our figures as ratios to this one.
 *
 *     baseline PORT           on 127.0.0.1
 *     baseline PORT BYTES     with an answer of so many bytes (0: the short one)
 *     baseline PORT BYTES CERT KEY
 *                             over TLS (PEM files), with the library's own settings
 *     baseline PORT flush FILE
 *                             that writes two pages to FILE and waits for the disk before each
 *                             answer to a POST: what a durable change costs at least
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define REPLY_MAX (4 * 1024 * 1024)
#define PEM_MAX 65536
#define FLUSH_BYTES 8192
/* FILE is overwritten from its start to its end again and again, as a write-ahead log is, so that
 * a flush stores bytes and no new length. */
#define FLUSH_FILE_BYTES (10 * 1024 * 1024)

static const char fixed_reply[] = "{\"status\":\"ok\"}";
static const int reading_marker = 1;

struct server {
    struct MHD_Response *response;
    int flush_fd; /* -1: nothing is written */
    off_t flush_at;
};

static int flush_pages(struct server *server)
{
    static const char pages[FLUSH_BYTES];

    if (pwrite(server->flush_fd, pages, FLUSH_BYTES, server->flush_at) != FLUSH_BYTES ||
        fdatasync(server->flush_fd) < 0)
        return -errno;
    server->flush_at = (server->flush_at + FLUSH_BYTES) % FLUSH_FILE_BYTES;
    return 0;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    struct server *server = data;

    if (!*request) {
        *request = (void *)(uintptr_t)&reading_marker;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (server->flush_fd >= 0 && strcmp(method, MHD_HTTP_METHOD_POST) == 0 &&
        flush_pages(server) < 0)
        return MHD_NO;
    return MHD_queue_response(connection, MHD_HTTP_OK, server->response);
}

/* NULL: plain. */
struct pems {
    char *cert, *key;
};

static struct MHD_Daemon *start(uint16_t port, struct server *server, const struct pems *pems)
{
    const struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, pems->cert},
                                         {MHD_OPTION_HTTPS_MEM_KEY, 0, pems->key},
                                         {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    const struct sockaddr_in self = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TCP_FASTOPEN | (pems->cert ? MHD_USE_TLS : 0), port,
        NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR, &self, MHD_OPTION_CONNECTION_LIMIT,
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

static int open_flush_file(const char *path, struct server *server)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_sys(errno, "create %s", path);
    server->flush_fd = TAKE_FD(fd);
    for (int i = 0; i < FLUSH_FILE_BYTES / FLUSH_BYTES; i++)
        if (flush_pages(server) < 0)
            return err_sys(errno, "write %s", path);
    return 0;
}

static int read_pems(char **argv, struct pems *ret_pems)
{
    size_t n;
    int r = file_read(argv[3], PEM_MAX, &ret_pems->cert, &n);

    return r < 0 ? r : file_read(argv[4], PEM_MAX, &ret_pems->key, &n);
}

static int parse_words(int argc, char **argv, uint64_t *ret_port, struct server *server,
                       struct pems *pems)
{
    uint64_t bytes = 0;
    int r;

    if (argc < 2 || argc > 5)
        return err_fail(EINVAL, "usage: baseline PORT [BYTES [CERT KEY] | flush FILE]");
    r = parse_u64(argv[1], UINT16_MAX, ret_port);
    if (r == 0 && argc == 4)
        r = strcmp(argv[2], "flush") == 0 ? open_flush_file(argv[3], server)
                                          : err_fail(EINVAL, "what is '%s'?", argv[2]);
    else if (r == 0 && argc >= 3)
        r = parse_u64(argv[2], REPLY_MAX, &bytes);
    if (r == 0 && argc == 5)
        r = read_pems(argv, pems);
    if (r == 0)
        server->response = make_response(bytes);
    return r;
}

int main(int argc, char **argv)
{
    struct server server = {.flush_fd = -1};
    struct pems pems = {0};
    struct MHD_Daemon *daemon;
    sigset_t set;
    uint64_t port;
    int signo;

    if (parse_words(argc, argv, &port, &server, &pems) < 0) {
        (void)fprintf(stderr, "baseline: %s\n", err_text());
        return 2;
    }
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    daemon = start((uint16_t)port, &server, &pems);
    if (!daemon) {
        (void)fprintf(stderr, "baseline: cannot listen on port %s\n", argv[1]);
        return 1;
    }
    (void)fprintf(stderr, "msg=\"ready\"\n");
    (void)sigwait(&set, &signo);
    MHD_stop_daemon(daemon);
    MHD_destroy_response(server.response);
    free(pems.cert);
    free(pems.key);
    return 0;
}
