/* The test bed of the HTTP tests: a server with a small application in a thread of its own, and a
 * client that writes and reads bytes, so that a test reads from top to bottom. The application is
 * driven over HTTP too:
 *
 *     GET  /echo/:word       "word=W query=Q", Q being the argument "q"
 *     POST /echo             the body
 *     GET  /shared           a shared body, with an ETag
 *     GET  /bad-detail       a problem whose detail is no UTF-8
 *     GET  /later            answered by POST /answer
 *     GET  /stream           pieces pushed by POST /push; ended by POST /end
 *     POST /stream-late      answers what waits with streams
 *     GET  /flood            pieces without end, of 64 KiB
 *     GET  /state            "waiting=1 streams=2 gone=3 done=4 status=200 last="
 *     POST /drain
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "lib/base/strbuf.h"
#include "lib/http/server.h"

struct bed;

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

/* ---- a client of bytes ----------------------------------------------------------------------- */

int raw_open(const struct bed *bed);
void raw_send(int fd, const char *text);
/* As much as is taken; for servers that close. */
void raw_send_what_fits(int fd, const char *bytes, size_t n);
/* Reads to the end, or until it has seen text. Fails when nothing comes for 10 seconds. */
char *raw_read_to_end(int fd);
char *raw_read_until(int fd, const char *text);
/* One request on a connection of its own; the whole answer. Caller frees. */
char *raw_ask(const struct bed *bed, const char *request);
/* POST without a body. */
void raw_post(const struct bed *bed, const char *path, const char *body);
/* Asks GET /state until it contains text. */
void raw_wait_state(const struct bed *bed, const char *text);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
#define assert_contains(text, part)                          \
    do {                                                     \
        if (!strstr((text), (part)))                         \
            fail_msg("'%s' is not in:\n%s", (part), (text)); \
    } while (0)
#define assert_starts(text, part)                                 \
    do {                                                          \
        if (strncmp((text), (part), strlen(part)) != 0)           \
            fail_msg("'%s' does not begin:\n%s", (part), (text)); \
    } while (0)
