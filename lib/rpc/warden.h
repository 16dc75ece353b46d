/* Keeps what the door shows over TLS up to date with its files. Internal to lib/rpc.
 *
 * Who has new files for the server (a renewed certificate, another CA) need not tell it: they are
 * looked at when somebody comes, at most once a second, and every 10 s. What cannot be used is told
 * in the log, once, and the old ones serve on; that the certificate has expired likewise.
 */
#pragma once

#include "lib/base/loop.h"
#include "lib/tls/keyring.h"

struct warden;

struct warden_config {
    struct loop *loop;
    struct tls_keyring_files files; /* borrowed while the warden lives */
    loop_fn on_round;               /* every 10 s, and when the files are new */
    void *data;
};

/* As tls_keyring_load(). */
int warden_new(const struct warden_config *config, struct warden **ret_warden);
void warden_free(struct warden *warden);
/* The present one, borrowed until the next call. */
struct tls_keyring *warden_keyring(struct warden *warden);
