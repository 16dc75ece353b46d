/* /api/ca. */
#include "control/api/ca.h"

#include "control/api/answer.h"
#include "control/control.h"
#include "lib/base/base32.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

/* Of those that a step waits for, so many are named. */
#define LAGGARDS_SHOWN 100

void ca_show(struct http_request *request, void *data)
{
    const struct control *c = data;

    if (c->pki)
        http_reply_text(request, 200, "application/x-pem-file", c->pki->told_pem);
    else
        http_reply_problem(request, 404, "this control plane speaks plain HTTP and has no CA");
}

static bool has_pki(const struct control *c, struct http_request *request)
{
    if (c->pki)
        return true;
    http_reply_problem(request, 409, "this control plane speaks plain HTTP and has no CA");
    return false;
}

/* ---- replacing it ---------------------------------------------------------------------------- */

static void add_laggard(struct strbuf *out, const struct node *node, const char *comma)
{
    strbuf_addf(out, "%s{\"node_id\":\"%s\",\"hostname\":", comma, node->facts.api.node_id);
    strbuf_add_json(out, node->facts.api.hostname);
    strbuf_addf(out, ",\"status\":\"%s\"}", node->facts.api.is_up ? "up" : "down");
}

static void add_laggards(struct strbuf *out, const struct control *c)
{
    const struct rotation_view view = ca_rotation_view(c);
    const struct node *node = rotation_next_laggard(&c->registry, &view, NULL);
    size_t count = 0;

    strbuf_adds(out, ",\"waiting_for\":[");
    for (; node; node = rotation_next_laggard(&c->registry, &view, node))
        if (count++ < LAGGARDS_SHOWN)
            add_laggard(out, node, count > 1 ? "," : "");
    strbuf_addf(out, "],\"waiting_for_count\":%zu", count);
}

static void add_pins(struct strbuf *out, const struct tls_trust *trust)
{
    strbuf_adds(out, ",\"pins\":[");
    for (size_t i = 0; i < tls_trust_count(trust); i++) {
        const struct sha256 spki = tls_cert_facts(tls_trust_ca(trust, i))->spki;
        char pin[BASE32_LEN(SHA256_SIZE) + 1];

        base32_encode(spki.bytes, sizeof spki.bytes, pin);
        strbuf_addf(out, "%s\"%s\"", i > 0 ? "," : "", pin);
    }
    strbuf_adds(out, "]");
}

static void reply_status(struct http_request *request, const struct control *c)
{
    AUTO_STRBUF struct strbuf out = {0};

    strbuf_addf(&out, "{\"step\":\"%s\"", rotation_step_word(ca_rotation_step(c)));
    add_pins(&out, c->pki->files->trust);
    add_laggards(&out, c);
    strbuf_adds(&out, "}");
    http_reply_json(request, 200, out.data);
}

void ca_status(struct http_request *request, void *data)
{
    const struct control *c = data;

    if (has_pki(c, request))
        reply_status(request, c);
}

void ca_rotate(struct http_request *request, void *data)
{
    struct control *c = data;
    AUTO_JSON json_t *body = NULL;
    bool is_forced = false;
    int r;

    if (!has_pki(c, request))
        return;
    body = answer_json_body(request);
    if (!body)
        return;
    r = json_get_bool(body, "force", &is_forced);
    if (r < 0 && r != -ENOENT) {
        http_reply_problem(request, 422, "%s", err_text());
        return;
    }
    r = ca_rotation_begin(c, is_forced);
    if (r == 0) {
        reply_status(request, c);
        return;
    }
    log_error("the CA cannot be replaced", LOG_ERR());
    http_reply_problem(request, r == -ENOSPC ? 507 : 500, "%s", err_text());
}
