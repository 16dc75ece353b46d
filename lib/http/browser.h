/* Whether a request is one that a web page has made somebody's browser send. Pure.
 *
 * A page may send requests to any address that its reader reaches, this host's loopback among them,
 * and a name of its own may be made to mean 127.0.0.1 (DNS rebinding), so that it reads the answers
 * as well. Programs that are no browsers send no Origin, and ask by a name that we have.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* origin and host: the headers, or NULL. An Origin that is not that of the host asked is another
 * page's. */
bool browser_is_from_other_page(const char *origin, const char *host);

/* Whether the host asked for is none of ours: no address, not localhost, not one of the names (NULL
 * among them are skipped). The port does not count. NULL is fine: HTTP/1.0 needs none. */
bool browser_asks_for_stranger(const char *host, const char *const *names, size_t count);
