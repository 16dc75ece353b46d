/* What the parts of the traffic program share; see bench/traffic.c. */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

/* Both ends of every TCP connection, whatever the machine's default is. */
#define TRAFFIC_CONGESTION "cubic"
#define TRAFFIC_BYTES 64     /* payload of a datagram that is counted */
#define TRAFFIC_CHUNK 131072 /* what one write of a stream hands over, and one read takes */
#define TRAFFIC_STREAMS_MAX 64
#define TRAFFIC_NS_PER_S 1000000000LL
#define TRAFFIC_WARM_UP_NS 100000000LL /* slow start is over */

/* A datagram of this size asks how many were counted before it; the answer has the same shape. */
struct traffic_count {
    uint64_t count_be;
};

/* What a client is told. */
struct traffic_words {
    struct sockaddr_in target;
    int64_t duration_ns;
    uint64_t streams;
    uint64_t cpus;
};

/* The servers: each takes what comes until it is killed. */
int traffic_serve_stream(const struct sockaddr_in *self);
int traffic_serve_echo(const struct sockaddr_in *self);
int traffic_serve_connect(const struct sockaddr_in *self);
int traffic_serve_datagram(const struct sockaddr_in *self);

/* The clients: each prints one JSON line about what it has counted. */
int traffic_run_stream(const struct traffic_words *words);
int traffic_run_echo(const struct traffic_words *words);
int traffic_run_connect(const struct traffic_words *words);
int traffic_run_datagram(const struct traffic_words *words);
int traffic_run_first(uint32_t addr);

/* Sets the congestion control, and that small writes leave at once. */
int traffic_tune(int fd);
int traffic_connect(const struct sockaddr_in *target, int *ret_fd);
int64_t traffic_now_ns(void);
