/* Whose a TCP socket of this host is (SOCK_DIAG: man 7 sock_diag, linux/inet_diag.h). */
#pragma once

#include <stdint.h>

/* A connected socket, by its own end and the other one; host order. */
struct owner_question {
    uint32_t local_addr, remote_addr;
    uint16_t local_port, remote_port;
};

/* The uid that made the socket, as this process's user namespace counts. -ENOENT: there is no such
 * socket, or it is being closed, or its owner has closed it; another negative one when the kernel
 * does not tell; with a text. */
int owner_find(const struct owner_question *question, uint32_t *ret_uid);
