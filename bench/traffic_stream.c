/* TCP connections that send as much as they can, each in a thread of its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "bench/traffic.h"
#include "lib/base/error.h"

static void sleep_ns(int64_t ns)
{
    const struct timespec ts = {.tv_sec = ns / TRAFFIC_NS_PER_S, .tv_nsec = ns % TRAFFIC_NS_PER_S};

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

struct stream {
    int fd;
    pthread_t thread;
    const atomic_bool *is_over;
};

struct reading {
    int64_t at_ns;
    uint64_t acked_bytes;
};

static void *send_stream(void *data)
{
    static const char chunk[TRAFFIC_CHUNK];
    struct stream *stream = data;

    while (!atomic_load_explicit(stream->is_over, memory_order_relaxed))
        if (send(stream->fd, chunk, sizeof chunk, MSG_NOSIGNAL) < 0)
            break; /* less is acknowledged then, and the check at the end finds it */
    return NULL;
}

/* Stream i belongs to CPU i % cpus, and so does the server at port + i % cpus: a stream pays for
 * its own way and not for the caches between the CPUs. */
static int pin(pthread_t thread, size_t cpu)
{
    cpu_set_t cpus;
    int r;

    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    r = pthread_setaffinity_np(thread, sizeof cpus, &cpus);
    return r > 0 ? err_sys(r, "pin to CPU %zu", cpu) : 0;
}

static int open_stream(const struct traffic_words *words, size_t number, struct stream *stream)
{
    size_t cpu = number % words->cpus;
    struct sockaddr_in target = words->target;
    int r;

    target.sin_port = htons((uint16_t)(ntohs(target.sin_port) + cpu));
    r = traffic_connect(&target, &stream->fd);
    if (r < 0)
        return r;
    r = pthread_create(&stream->thread, NULL, send_stream, stream);
    return r > 0 ? err_sys(r, "thread") : pin(stream->thread, cpu);
}

/* What the other end has acknowledged: nothing in a buffer counts. */
static int read_all(const struct stream *streams, size_t count, struct reading *ret)
{
    *ret = (struct reading){.at_ns = traffic_now_ns()};
    for (size_t i = 0; i < count; i++) {
        struct tcp_info info = {0};
        socklen_t size = sizeof info;

        if (getsockopt(streams[i].fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
            return err_sys(errno, "TCP_INFO");
        if (info.tcpi_state != 1)
            return err_fail(ECONNRESET, "stream %zu has ended", i + 1);
        ret->acked_bytes += info.tcpi_bytes_acked;
    }
    return 0;
}

static void print_streams(const struct reading *from, const struct reading *to)
{
    double seconds = (double)(to->at_ns - from->at_ns) / TRAFFIC_NS_PER_S;
    uint64_t bytes = to->acked_bytes - from->acked_bytes;

    (void)printf("{\"seconds\": %.4f, \"bytes\": %" PRIu64 ", \"bytes_from_start\": %" PRIu64
                 ", \"gbit_per_second\": %.4f}\n",
                 seconds, bytes, to->acked_bytes, (double)bytes * 8 / seconds / 1e9);
}

int traffic_run_stream(const struct traffic_words *words)
{
    static struct stream streams[TRAFFIC_STREAMS_MAX];
    static atomic_bool is_over;
    struct reading from, to;
    int r = 0;

    for (size_t i = 0; i < words->streams && r == 0; i++) {
        streams[i].is_over = &is_over;
        r = open_stream(words, i, &streams[i]);
    }
    if (r < 0)
        return r;
    sleep_ns(TRAFFIC_WARM_UP_NS);
    r = read_all(streams, words->streams, &from);
    if (r < 0)
        return r;
    sleep_ns(words->duration_ns);
    r = read_all(streams, words->streams, &to);
    atomic_store(&is_over, true);
    if (r == 0)
        print_streams(&from, &to);
    return r; /* the process ends, and its connections with it */
}
