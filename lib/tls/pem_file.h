/* Keys, certificates and bundles, each in a file of its own (mode 0600). Touches the disk.
 *
 * Reading fails with -ENOENT when there is no such file, -EINVAL when it is not what it should be
 * (or no regular file), and otherwise as the disk does; the text begins with the path. A private
 * key of our own that others could read is closed to them, and the log says so; a given one is left
 * as it is. Writing leaves the old file or the new one.
 */
#pragma once

#include "lib/tls/chain.h"

int pem_file_read_key(const char *path, struct tls_key **ret_key);
int pem_file_read_given_key(const char *path, struct tls_key **ret_key);
/* For once: warns when everybody can read this given key, with the command that closes it. Its
 * group may: that is how a daemon that is not root reads a key of root's. */
void pem_file_tell_open_key(const char *path);
int pem_file_read_cert(const char *path, struct tls_cert **ret_cert);
int pem_file_read_chain(const char *path, struct tls_chain **ret_chain);
int pem_file_read_trust(const char *path, struct tls_trust **ret_trust);

int pem_file_write_key(const char *path, const struct tls_key *key);
int pem_file_write_cert(const char *path, const struct tls_cert *cert);
int pem_file_write_trust(const char *path, const struct tls_trust *trust);
