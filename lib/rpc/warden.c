/* Reads the server's certificate, key and CAs again when they have changed. */
#include "lib/rpc/warden.h"

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

#define LOOK_GAP_MS 1000
#define ROUND_MS 10000

struct warden {
    struct warden_config config;
    struct loop_source *timer;
    struct tls_keyring *keyring;
    uint64_t tried_stamp; /* of the files that were read last, with whatever success */
    int64_t looked_ms;
    bool is_expiry_told;
};

static void say_expiry(struct warden *w)
{
    int64_t end = tls_cert_facts(w->keyring->cert)->not_after;
    bool is_over = clock_unix_s() > end;

    if (is_over && !w->is_expiry_told)
        log_error("the gRPC server's certificate has expired, so its clients refuse it; an agent "
                  "that reaches its control plane renews its node's",
                  LOG_S("file", w->config.files.cert_file), LOG_I("expired_at", end));
    w->is_expiry_told = is_over;
}

static void read_again(struct warden *w, uint64_t stamp)
{
    struct tls_keyring *fresh;

    w->tried_stamp = stamp;
    if (tls_keyring_load(&w->config.files, &fresh) < 0) {
        log_warn("the gRPC server's new certificate, key or CAs cannot be used; the old ones serve "
                 "on",
                 LOG_ERR());
        return;
    }
    tls_keyring_unref(w->keyring);
    w->keyring = fresh;
    log_info("the gRPC server's certificate, key or CAs are new",
             LOG_S("file", w->config.files.cert_file),
             LOG_I("expires_at", tls_cert_facts(fresh->cert)->not_after),
             LOG_U("cas", tls_trust_count(fresh->trust)));
    loop_timer_set_in(w->timer, 0);
}

/* While one of the files is missing, others are about to be written. */
static void look(struct warden *w)
{
    uint64_t stamp = tls_keyring_stamp(&w->config.files);

    w->looked_ms = clock_boot_ms();
    if (stamp != 0 && stamp != w->tried_stamp)
        read_again(w, stamp);
    say_expiry(w);
}

struct tls_keyring *warden_keyring(struct warden *w)
{
    if (clock_boot_ms() - w->looked_ms >= LOOK_GAP_MS)
        look(w);
    return w->keyring;
}

static void on_timer(void *data)
{
    struct warden *w = data;

    look(w);
    loop_timer_set_in(w->timer, ROUND_MS);
    w->config.on_round(w->config.data);
}

int warden_new(const struct warden_config *config, struct warden **ret_warden)
{
    struct warden *w = NEW(struct warden);
    int r;

    w->config = *config;
    r = loop_add_timer(config->loop, on_timer, w, &w->timer);
    if (r == 0)
        r = tls_keyring_load(&config->files, &w->keyring);
    if (r < 0) {
        warden_free(w);
        return r;
    }
    w->tried_stamp = w->keyring->stamp;
    loop_timer_set_in(w->timer, 0);
    *ret_warden = w;
    return 0;
}

void warden_free(struct warden *w)
{
    if (!w)
        return;
    loop_source_free(w->timer);
    tls_keyring_unref(w->keyring);
    free(w);
}
