/* Replaces the cluster's CA step by step. */
#include "control/ca_rotation.h"

#include "control/certificates.h"
#include "control/control.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

enum rotation_step ca_rotation_step(const struct control *c)
{
    if (c->pki->files->next)
        return ROTATION_PUBLISHED;
    return tls_trust_count(c->pki->files->trust) > 1 ? ROTATION_PROMOTED : ROTATION_SETTLED;
}

struct rotation_view ca_rotation_view(const struct control *c)
{
    return (struct rotation_view){.step = ca_rotation_step(c),
                                  .told_sha256 = c->pki->told_sha256,
                                  .given_sha256 = c->pki->given ? c->pki->given_sha256 : NULL,
                                  .signer_spki = c->pki->signer_spki,
                                  .is_forced = c->rotation.is_forced};
}

int ca_rotation_begin(struct control *c, bool is_forced)
{
    int r = 0;

    c->rotation.is_forced = is_forced;
    if (ca_rotation_step(c) == ROTATION_SETTLED)
        r = pki_publish_next(c->pki);
    if (r == 0)
        log_info("the CA is being replaced", LOG_S("step", rotation_step_word(ca_rotation_step(c))),
                 LOG_B("forced", is_forced));
    return r;
}

static int take_step(struct control *c, enum rotation_step step)
{
    int r = 0;

    switch (step) {
    case ROTATION_PUBLISHED:
        r = pki_promote_next(c->pki);
        return r == 0 ? certificates_show(c) : r;
    case ROTATION_PROMOTED:
        return pki_drop_old(c->pki);
    case ROTATION_SETTLED:
    case ROTATION_COUNT:
        break;
    }
    return r;
}

void ca_rotation_go_on(struct control *c)
{
    struct rotation_view view;
    int r;

    if (!c->pki)
        return;
    view = ca_rotation_view(c);
    if (view.step == ROTATION_SETTLED || rotation_next_laggard(&c->registry, &view, NULL))
        return;
    r = take_step(c, view.step);
    if (r != 0 && !c->rotation.is_failing)
        log_error("the CA cannot be replaced just now; trying on", LOG_ERR());
    else if (r == 0)
        log_info("the CA is being replaced",
                 LOG_S("step", rotation_step_word(ca_rotation_step(c))));
    c->rotation.is_failing = r != 0;
}

bool ca_rotation_may_ask(struct ca_rotation *rotation, int64_t now_s)
{
    if (rotation->asked_s != now_s) {
        rotation->asked_s = now_s;
        rotation->asked_count = 0;
    }
    return rotation->asked_count++ < CA_ROTATION_RENEWALS_PER_S;
}
