/* The test bed of the HTTP tests: a server with a small application in a thread of its own, and a
 * client that writes and reads bytes, so that a test reads from top to bottom. The application is
 * driven over HTTP too:
 *
 *     GET  /echo/:word       "word=W query=Q", Q being the argument "q"
 *     POST /echo             the body
 *     GET  /shared           a shared body, with an ETag
 *     GET  /common           a body that answers have in common; ?new=TEXT makes it another one
 *     GET  /large            BED_LARGE_BYTES of zeroes, more than the sockets hold
 *     GET  /bad-detail       a problem whose detail is no UTF-8
 *     GET  /later            answered by POST /answer
 *     GET  /stream           pieces pushed by POST /push; ended by POST /end
 *     POST /stream-late      answers what waits with streams
 *     GET  /flood            pieces without end, of 64 KiB
 *     GET  /state            "waiting=1 streams=2 gone=3 done=4 status=200 last="
 *     POST /drain
 *     GET  /who              "certificates=1 bytes=350 looks=1"
 *     GET  /vouch            the connection is vouched for from now on
 *     POST /renew            another server certificate from now on
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "lib/http/server.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/http/raw.h"

#define BED_LARGE_BYTES (32UL * 1024 * 1024)

struct bed;

/* Set before bed_start(): the server and its raw clients speak TLS. */
extern bool bed_speaks_tls;
/* What the server shows then; NULL: a certificate signed by itself. */
extern const struct http_tls_config *bed_shows;

/* Zeroes take the server's defaults. */
struct bed_limits {
    unsigned int max_connections;
    unsigned int max_per_address;
    unsigned int idle_timeout_s;
};

struct bed *bed_start(const struct bed_limits *limits);
/* Stops the thread and frees the server; *ret_gone (may be NULL) gets how often gone was called. */
void bed_stop(struct bed *bed, unsigned int *ret_gone);
uint16_t bed_port(const struct bed *bed);
