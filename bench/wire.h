/* A load generator's connection, plain or over TLS. */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <sys/types.h>

struct wire {
    int fd;
    void *session; /* NULL: plain */
};

struct wire_identity; /* a certificate to show, and its key */

/* From PEM files. */
int wire_identity_load(const char *cert_file, const char *key_file,
                       struct wire_identity **ret_identity);
void wire_identity_free(struct wire_identity *identity);

/* Connects as dial() does; with an identity, over TLS, whoever the server is. */
int wire_open(const struct sockaddr_in *target, size_t number, const struct wire_identity *identity,
              struct wire *ret_wire);
/* As dial_send(). */
int wire_send(const struct wire *wire, const void *bytes, size_t n);
/* As recv() without waiting. */
ssize_t wire_receive(const struct wire *wire, void *bytes, size_t n);
