/* A client of bytes, plain or over TLS as the bed is, and makeshift certificates. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bed;

/* A self-signed certificate and its key, in files of their own. */
struct bed_identity {
    char cert_file[64];
    char key_file[64];
};
void bed_identity_init(struct bed_identity *identity, const char *common_name);
void bed_identity_deinit(struct bed_identity *identity);

int raw_open(const struct bed *bed);
/* As somebody; NULL: without a certificate. Plain beds ignore it. */
int raw_open_as(const struct bed *bed, const struct bed_identity *identity);
/* From another address of this host's own, such as 127.0.0.2 (host order). */
int raw_open_from(const struct bed *bed, uint32_t addr);
/* With small segments and small buffers at both ends: who reads little of it is sent little. */
int raw_open_narrow(const struct bed *bed);
/* Speaks no TLS, whatever the bed does. */
int raw_open_plain(const struct bed *bed);
void raw_close(int fd);
/* The common name that the server showed. Caller frees. */
char *raw_server_name(int fd);
void raw_send(int fd, const char *text);
/* As recv: -1 and errno, 0 at the end. */
ssize_t raw_receive(int fd, void *bytes, size_t n);
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
