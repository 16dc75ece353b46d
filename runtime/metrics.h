/* Figures for Prometheus, and the two probes, on --metrics-addr. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/service.h"

#define METRICS_BUCKET_COUNT 8

struct http_server;
struct runtime;

struct metrics {
    struct http_server *http;
    uint64_t calls[SERVICE_METHOD_COUNT][2]; /* by method; failed, worked */
    uint64_t attach_buckets[METRICS_BUCKET_COUNT + 1];
    uint64_t attach_sum_ms;
};

/* addr_port: "127.0.0.1:9181". */
int metrics_start(struct runtime *rt, const char *addr_port);
void metrics_stop(struct metrics *metrics);
void metrics_count_call(struct metrics *metrics, size_t method, bool is_ok, int64_t took_ms);
