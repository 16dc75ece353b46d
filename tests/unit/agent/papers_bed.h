/* A node's state directory, two CAs, and what is logged: what the tests of papers share. */
#pragma once

#include "agent/papers.h"

#include "lib/tls/ca.h"
#include "tests/unit/cmocka.h"

#define LOG_MAX 4096

struct bed {
    char dir[32];
    struct tls_ca *ca, *other;
    char *ca_pem, *both_pem; /* both: the other's first */
};

/* For cmocka: each test has its own. */
int bed_make(void **state);
int bed_drop(void **state);

/* Of a file in the state directory; the caller frees. */
char *path_of(const struct bed *bed, const char *name);
void write_text(const struct bed *bed, const char *name, const char *text);
bool exists(const struct bed *bed, const char *name);

/* A node's, for the key; the caller's. */
struct tls_cert *issue(const struct tls_ca *ca, const struct tls_public_key *key);

/* What is logged meanwhile. */
struct capture {
    int pipes[2], saved;
};
struct capture capture_begin(void);
/* What did not fit is lost. */
void capture_end(const struct capture *c, char text[static LOG_MAX]);
