/* A server in a thread of its own with a loop of its own, so that a test can make blocking calls to
 * it. Everything that touches the server runs in its loop: host_do().
 *
 * quilt.QuiltRuntime there: ConfigureNodeSubnet answers success and error = the subnet; InjectRoute
 * fails with UNAVAILABLE; RemoveRoute is held until host_answer_held(). */
#pragma once

#include <stdbool.h>

#include "lib/rpc/server.h"

struct host;

/* Fails the test when the server cannot start. */
struct host *host_new(const char *listen);
/* On 127.0.0.1:PORT (0: any) over TLS with these files; whom they let in may all. */
struct host *host_new_tls(int port, const struct tls_keyring_files *files);
/* The client's target for it. */
const char *host_target(const struct host *host);
/* Runs fn(host) in the server's loop and waits until it has returned. */
void host_do(struct host *host, void (*fn)(struct host *host));
struct rpc_server *host_server(struct host *host);
/* How many calls have been held so far. */
unsigned int host_held(struct host *host);
/* Waits until it is so many. */
void host_wait_held(struct host *host, unsigned int count);
/* For host_do(): answers the oldest held call. */
void host_answer_held(struct host *host);
/* For host_do(): rpc_server_stop() with 10 s of grace, or with none. */
void host_stop(struct host *host);
void host_stop_at_once(struct host *host);
/* Waits until the stop is done. */
void host_wait_stopped(struct host *host);
/* What on_done has told: finished calls, and how many of them were fine. */
void host_counts(struct host *host, unsigned int *ret_all, unsigned int *ret_ok);
/* Frees the server, wherever it is, and the thread. */
void host_free(struct host *host);
