/* The runtime as a whole. Members in the order they start; torn down in reverse. */
#pragma once

#include "lib/base/daemon.h"
#include "lib/base/state_file.h"
#include "lib/tls/keyring.h"
#include "runtime/batch.h"
#include "runtime/kernel.h"
#include "runtime/metrics.h"
#include "runtime/reconcile.h"
#include "runtime/state.h"

struct rpc_server;

struct runtime_options {
    const char *grpc_addr;        /* "127.0.0.1:50051" or "unix:PATH" */
    struct tls_keyring_files tls; /* cert_file NULL: no TLS */
    const char *metrics_addr;     /* "127.0.0.1:9181" */
    const char *state_dir;
    const char *run_dir;
    struct firewall_policy policy;
};

struct runtime {
    struct daemon daemon;
    struct state_file file;
    struct state state;
    struct kernel kernel;
    struct reconcile reconcile;
    struct batch batch;
    struct metrics metrics;
    struct rpc_server *rpc;
    bool is_serving;
};

/* Everything but the loop's turning. -EBADMSG: damaged state. */
int runtime_init(struct runtime *rt, const struct runtime_options *options);
void runtime_deinit(struct runtime *rt);
