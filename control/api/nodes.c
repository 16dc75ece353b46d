/* The handlers of /api/nodes: checking what was sent, and reading. What changes something goes to
 * operations. */
#include "control/api/nodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/api/answer.h"
#include "control/control.h"
#include "control/operations.h"
#include "lib/base/error.h"

#define ETAG_TEXT_SIZE (UUID_TEXT_SIZE + 24)

/* ---- reading ------------------------------------------------------------------------------- */

static void etag_write(const struct control *c, char ret_text[static ETAG_TEXT_SIZE])
{
    (void)snprintf(ret_text, ETAG_TEXT_SIZE, "\"%s-%" PRIu64 "\"", c->cluster.cluster_id,
                   c->registry.revision);
}

/* If-None-Match is a list of quoted tags (RFC 9110 section 13.1.2); ours holds its quotes, so
 * finding it as a text is finding it as a tag. */
static bool is_known(const struct http_request *request, const char *etag)
{
    const char *tags = http_request_header(request, "If-None-Match");

    return tags && (strcmp(tags, "*") == 0 || strstr(tags, etag));
}

#define EVENT_STREAM "text/event-stream"

/* A weight of nothing: q=0, q=0.0 ... (RFC 9110 section 12.4.2). */
static bool is_unwanted(const char *parameters, size_t n)
{
    const char *end = parameters + n, *p;

    for (p = memchr(parameters, ';', n); p; p = memchr(p, ';', (size_t)(end - p))) {
        p += 1 + strspn(p + 1, " \t");
        if (end - p < 3 || strncasecmp(p, "q=0", 3) != 0)
            continue;
        p += 3;
        p += strspn(p, ".0");
        return p >= end || strchr(" \t;", *p);
    }
    return false;
}

static bool is_event_stream(const char *range, size_t n)
{
    size_t len = strlen(EVENT_STREAM);

    return n >= len && strncasecmp(range, EVENT_STREAM, len) == 0 &&
           (n == len || strchr("; \t", range[len])) && !is_unwanted(range + len, n - len);
}

/* Only who names it gets the stream: a reader of everything (any type) expects an end. */
static bool wants_events(const struct http_request *request)
{
    const char *range = http_request_header(request, "Accept");

    while (range && *range) {
        size_t n;

        range += strspn(range, ", \t");
        n = strcspn(range, ",");
        if (is_event_stream(range, n))
            return true;
        range += n;
    }
    return false;
}

static struct http_body *make_list(const struct registry *registry)
{
    struct strbuf text = {0};
    size_t n;

    registry_list_to_json(registry, &text);
    n = text.len;
    return http_body_take(strbuf_take(&text), n);
}

/* Whoever asks before anything has changed gets the same bytes: many poll at once. */
static void reply_list(struct http_request *request, struct control *c)
{
    if (!c->list || c->list_edition != c->registry.edition) {
        http_body_unref(c->list);
        c->list = make_list(&c->registry);
        c->list_edition = c->registry.edition;
    }
    http_reply_body(request, 200, "application/json", c->list);
}

/* A client that takes us for another cluster would go on behind one of that one's revisions. */
static bool is_for_other_cluster(const struct control *c, struct http_request *request)
{
    const char *cluster_id = http_request_header(request, API_CLUSTER_HEADER);

    if (!cluster_id || strcasecmp(cluster_id, c->cluster.cluster_id) == 0)
        return false;
    (void)err_fail(ESTALE, "the control plane is of cluster %s, not of the %s asked for",
                   c->cluster.cluster_id, API_CLUSTER_HEADER);
    answer_failure(request, REGISTRY_FOREIGN);
    return true;
}

void nodes_list(struct http_request *request, void *data)
{
    struct control *c = data;
    char etag[ETAG_TEXT_SIZE];

    if (is_for_other_cluster(c, request))
        return;
    etag_write(c, etag);
    http_reply_header(request, "ETag", etag);
    if (wants_events(request))
        watchers_add(&c->watchers, request);
    else if (is_known(request, etag))
        http_reply_empty(request, 304);
    else
        reply_list(request, c);
}

void nodes_show(struct http_request *request, void *data)
{
    answer_node(request, data, http_request_param(request, 0));
}

/* ---- changing ------------------------------------------------------------------------------ */

static int check_wish(const struct control *c, const json_t *body,
                      struct api_register_request *ret_wish)
{
    char cidr[IP4_PREFIX_TEXT_SIZE];
    int r = api_register_request_from_json(body, ret_wish);

    if (r < 0)
        return r;
    if (ip4_prefix_contains(c->cluster.cidr, ret_wish->host_ip))
        return err_fail(EINVAL, "host_ip: is inside the cluster's own network %s",
                        ip4_prefix_format(c->cluster.cidr, cidr));
    return 0;
}

static int read_registering(const struct control *c, struct registering *reg)
{
    int r = check_wish(c, reg->body, &reg->wish);

    if (r == 0 && reg->wish.csr && c->pki)
        r = tls_csr_from_pem(reg->wish.csr, strlen(reg->wish.csr), &reg->key);
    return r;
}

void nodes_register(struct http_request *request, void *data)
{
    struct control *c = data;
    struct registering reg = {.body = answer_json_body(request)};

    if (!reg.body)
        return;
    if (read_registering(c, &reg) < 0)
        http_reply_problem(request, 422, "%s", err_text());
    else
        operations_register(c, request, &reg);
    tls_public_key_free(reg.key);
    json_decref(reg.body);
}

void nodes_revoke(struct http_request *request, void *data)
{
    const struct control *c = data;

    if (!c->pki) {
        http_reply_problem(request, 409,
                           "this control plane speaks plain HTTP, where nobody has to prove who he "
                           "is and nothing can be revoked: the node would be back at once; stop "
                           "its agent, then take it out with 'quiltctl node rm', or start the "
                           "control plane with --tls auto");
        return;
    }
    operations_revoke(data, request, http_request_param(request, 0));
}

/* A heartbeat needs no body. False: what is there is wrong, and was answered so. */
static bool read_report(struct http_request *request, struct heard_beat *ret_beat)
{
    AUTO_JSON json_t *body = NULL;
    size_t n;

    *ret_beat = (struct heard_beat){.report = api_heartbeat_empty()};
    (void)http_request_body(request, &n);
    if (n == 0)
        return true;
    body = answer_json_body(request);
    if (!body)
        return false;
    ret_beat->probes = mem_array(API_PROBES_MAX, sizeof *ret_beat->probes);
    if (api_heartbeat_from_json(body, &ret_beat->report) == 0 &&
        api_probes_from_json(body, ret_beat->probes, &ret_beat->probe_count) == 0)
        return true;
    http_reply_problem(request, 422, "%s", err_text());
    return false;
}

void nodes_heartbeat(struct http_request *request, void *data)
{
    struct heard_beat beat;

    if (read_report(request, &beat))
        operations_heartbeat(data, request, http_request_param(request, 0), &beat);
    free(beat.probes);
}

void nodes_deregister(struct http_request *request, void *data)
{
    operations_deregister(data, request, http_request_param(request, 0));
}

void nodes_delete(struct http_request *request, void *data)
{
    operations_delete(data, request, http_request_param(request, 0));
}
