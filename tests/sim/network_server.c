/* The control plane's end of the network: in the place of lib/http/server.c and reply.c.
 * Paths are matched by the real lib/http/route.c. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/http/problem.h"
#include "tests/sim/network.h"

struct http_server {
    struct process *process;
    struct http_server_config config;
    struct route_table *routes;
};

/* ---- ends ---------------------------------------------------------------------------------- */

void server_leave(struct exchange *x)
{
    if (!x->is_at_server)
        return;
    x->is_at_server = false;
    DL_DELETE(sim.network->at_server, x);
    exchange_unref(x);
}

/* ---- requests ------------------------------------------------------------------------------ */

void server_request_done(struct http_request *request, unsigned int status)
{
    struct http_server *server = sim.network->server;

    if (server && server->config.on_done)
        server->config.on_done(server->config.data, request->route, status);
    request->exchange->request = NULL;
    free(request);
}

/* The connection breaks: the client hears that much, or nothing. */
static void fail(struct exchange *x, int error)
{
    x->error = error;
    client_answer(x);
}

static void fill_params(struct http_request *request, const struct route_match *match)
{
    for (size_t i = 0; i < match->param_count && i < PARAMS_MAX; i++) {
        if (match->params[i].len < PARAM_SIZE)
            (void)route_decode(&match->params[i], request->params[i]);
    }
}

static bool is_list(const struct exchange *x)
{
    return strcmp(x->method, "GET") == 0 && strcmp(x->target, "/api/nodes") == 0;
}

/* Somebody in between answers instead, with a list, even where a stream was asked for. */
static void lie(struct exchange *x)
{
    char *list = nemesis_lie(x->client);

    x->status = 200;
    if (x->accept) {
        exchange_add_piece(x, http_body_take(list, strlen(list)), 0);
        exchange_add_piece(x, NULL, 0);
    } else {
        x->reply = list;
        client_answer(x);
    }
    server_leave(x);
    exchange_unref(x);
}

static void handle(void *data)
{
    struct exchange *x = data;
    struct http_server *server = sim.network->server;
    struct http_request *request;
    struct route_match match;

    if (!x->is_at_server || x->request || x->stream) {
        exchange_unref(x);
        return;
    }
    if (x->client->is_lie_due && is_list(x)) {
        lie(x);
        return;
    }
    request = NEW(struct http_request);
    request->exchange = x;
    request->route = -1;
    x->request = request;
    if (route_match(server->routes, x->target, &match) == ROUTE_FOUND) {
        request->route = route_of_method(match.resource, x->method);
        fill_params(request, &match);
    }
    oracle_handled(x->method, x->target, x->body);
    if (request->route < 0)
        http_reply_empty(request, 404);
    else
        server->config.routes[request->route].fn(request, server->config.data);
    exchange_unref(x);
}

void server_take(struct exchange *x)
{
    if (!sim.network->server) {
        fail(x, ECONNREFUSED);
        exchange_unref(x);
        return;
    }
    x->is_at_server = true;
    DL_APPEND(sim.network->at_server, exchange_ref(x));
    (void)sim_in(0, SIM_MESSAGE, sim.network->server->process, handle, x);
}

void network_server_died(void)
{
    struct exchange *x, *next;

    DL_FOREACH_SAFE(sim.network->at_server, x, next)
    {
        fail(x, ECONNRESET);
        server_leave(x);
    }
}

const char *http_request_param(const struct http_request *request, size_t index)
{
    return request->params[index];
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    const struct exchange *x = request->exchange;

    if (strcasecmp(name, "Accept") == 0)
        return x->accept;
    if (strcasecmp(name, "Last-Event-ID") == 0)
        return x->last_event_id;
    if (strcasecmp(name, "If-None-Match") == 0)
        return x->if_none_match;
    return NULL;
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    return NULL;
}

size_t http_request_route(const struct http_request *request)
{
    return (size_t)request->route;
}

uint32_t http_request_client(const struct http_request *request)
{
    return request->exchange->from_ip;
}

/* The simulated network is plain: nobody shows a certificate. */
size_t http_request_certificates(const struct http_request *request,
                                 struct tls_der ret_chain[static TLS_CHAIN_MAX])
{
    return 0;
}

void http_connection_vouch(struct http_request *request)
{
}

uint64_t http_server_displaced(const struct http_server *server)
{
    return 0;
}

void *http_connection_note(const struct http_request *request)
{
    return NULL;
}

void http_connection_set_note(struct http_request *request, void *note, void (*free_fn)(void *note))
{
    free_fn(note);
}

bool http_request_is_local(const struct http_request *request)
{
    return request->exchange->client == sim_control_host();
}

const char *http_request_body(const struct http_request *request, size_t *ret_n)
{
    *ret_n = strlen(request->exchange->body);
    return request->exchange->body;
}

void http_request_on_gone(struct http_request *request, http_gone_fn fn, void *data)
{
    request->gone = fn;
    request->gone_data = data;
}

/* ---- answers ------------------------------------------------------------------------------- */

void http_reply_header(struct http_request *request, const char *name, const char *value)
{
    if (strcasecmp(name, "ETag") == 0)
        (void)snprintf(request->etag, sizeof request->etag, "%s", value);
    if (strcasecmp(name, "Retry-After") == 0)
        (void)parse_u64(value, UINT32_MAX, &request->retry_after_s);
}

/* The nodes of the first list that was ever sent, under what is said of the present one. */
static char *make_stale(const char *list)
{
    struct network *net = sim.network;
    AUTO_JSON json_t *fresh = NULL, *old = NULL;

    if (!net->old_list)
        net->old_list = mem_strdup(list);
    if (json_parse(list, strlen(list), &fresh) < 0 ||
        json_parse(net->old_list, strlen(net->old_list), &old) < 0)
        return mem_strdup(list);
    (void)json_object_set(fresh, "nodes", json_object_get(old, "nodes"));
    return json_dumps(fresh, JSON_COMPACT);
}

static void spoil(struct exchange *x)
{
    char *stale;

    if (sim.config.mutation != MUTATION_STALE_LIST_AS_NEW || !is_list(x) || x->status != 200)
        return;
    stale = make_stale(x->reply);
    free(x->reply);
    x->reply = stale;
}

static void answer(struct http_request *request, unsigned int status, const char *body)
{
    struct exchange *x = request->exchange;

    sim_trace("answers %u to %s: %s %s", status, x->client->name, x->method, x->target);
    if (!sim.current || !sim.current->is_crashing)
        oracle_answered(x->method, x->target, x->body, status, body);
    x->status = status;
    x->reply = mem_strdup(body);
    memcpy(x->etag, request->etag, sizeof x->etag);
    x->retry_after_s = request->retry_after_s;
    spoil(x);
    if (sim_percent(sim.network->faults.loss)) {
        sim_trace("the answer is lost");
        x->error = ECONNRESET;
    }
    client_answer(x);
    server_request_done(request, status);
    server_leave(x);
}

void http_reply_json(struct http_request *request, unsigned int status, const char *json)
{
    answer(request, status, json);
}

void http_reply_text(struct http_request *request, unsigned int status, const char *content_type,
                     const char *text)
{
    answer(request, status, text);
}

void http_reply_body(struct http_request *request, unsigned int status, const char *content_type,
                     struct http_body *body)
{
    AUTO_FREE char *text = mem_printf("%.*s", (int)http_body_len(body), http_body_bytes(body));

    answer(request, status, text);
}

void http_reply_empty(struct http_request *request, unsigned int status)
{
    answer(request, status, "");
}

void http_reply_problem_coded(struct http_request *request, unsigned int status, const char *code,
                              const char *detail)
{
    AUTO_FREE char *json = problem_to_json(status, code, detail);

    answer(request, status, json);
}

void http_reply_problem_json(struct http_request *request, unsigned int status, const char *json)
{
    answer(request, status, json);
}

void http_reply_problem(struct http_request *request, unsigned int status, const char *fmt, ...)
{
    char detail[ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    http_reply_problem_coded(request, status, NULL, detail);
}

/* ---- the server ---------------------------------------------------------------------------- */

int http_server_new(struct loop *loop, const struct http_server_config *config,
                    struct http_server **ret_server)
{
    struct http_server *server = NEW(struct http_server);
    int r = route_table_new(config->routes, config->route_count, &server->routes);

    if (r < 0) {
        free(server);
        return r;
    }
    server->process = sim.current;
    server->config = *config;
    sim.network->server = server;
    *ret_server = server;
    return 0;
}

/* Whoever still waits hears it from network_server_died(). */
void http_server_free(struct http_server *server)
{
    struct exchange *x, *next;

    if (!server)
        return;
    DL_FOREACH_SAFE(sim.network->at_server, x, next)
    {
        if (x->request && x->request->gone)
            x->request->gone(x->request->gone_data);
        if (x->request)
            server_request_done(x->request, 0);
        if (x->stream) {
            struct exchange *held = exchange_ref(x);

            server_stream_end(x->stream);
            exchange_add_piece(held, NULL, ECONNRESET);
            exchange_unref(held);
        }
    }
    sim.network->server = NULL;
    route_table_free(server->routes);
    free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
    return 8080;
}

int http_server_set_tls(struct http_server *server, const struct http_tls_config *config)
{
    return 0;
}

void http_server_drain(struct http_server *server)
{
}
