/* Many connections from one program. */
#pragma once

#include <netinet/in.h>
#include <stddef.h>

/* Lets this program have as many files open as it may at most. -EMFILE with a text when wanted are
 * more than that. */
int dial_allow(size_t wanted);

/* A connected socket with TCP_NODELAY. Each thousand connections come from a loopback address of
 * their own, so that ports do not run out; the target must then be on loopback too. */
int dial(const struct sockaddr_in *target, size_t number, int *ret_fd);

/* Sends all of it; requests are so small that a socket which has no room for one is a failure. */
int dial_send(int fd, const void *bytes, size_t n);
