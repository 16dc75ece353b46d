/* Asks the three daemons how they are, and the peers whether they hear. */
#include "cli/checkup.h"

#include <string.h>

#include "cli/edge.h"
#include "cli/local.h"
#include "lib/base/error.h"
#include "lib/http/client.h"

/* Runtimes of earlier versions say nothing of it. */
static void add_short_cut(json_t *status, const Quilt__GetStatusReply *reply)
{
    bool is_told = reply->short_cut || reply->short_cut_reason[0];

    (void)json_object_set_new(status, "short_cut",
                              is_told ? json_boolean(reply->short_cut) : json_null());
    (void)json_object_set_new(status, "short_cut_reason", json_string(reply->short_cut_reason));
}

static json_t *runtime_to_json(const Quilt__GetStatusReply *reply)
{
    json_t *problems = json_array(), *dropped = json_object(), *status;

    for (size_t i = 0; i < reply->n_problems; i++)
        (void)json_array_append_new(problems, json_string(reply->problems[i]));
    for (size_t i = 0; i < reply->n_dropped; i++)
        (void)json_object_set_new(dropped, reply->dropped[i]->reason,
                                  json_integer((json_int_t)reply->dropped[i]->packets));
    status =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o}", "version", reply->version, "subnet",
                  reply->subnet, "cluster_cidr", reply->cluster_cidr, "endpoints",
                  (json_int_t)reply->endpoints, "addresses_free", (json_int_t)reply->addresses_free,
                  "routes", (json_int_t)reply->routes, "dropped", dropped, "problems", problems);
    add_short_cut(status, reply);
    return status;
}

static int ask_runtime(const struct cli *cli, json_t **ret_status)
{
    Quilt__GetStatusRequest request = QUILT__GET_STATUS_REQUEST__INIT;
    AUTO_REPLY ProtobufCMessage *answer = NULL;
    int r = edge_runtime(cli, "GetStatus", &request.base, &quilt__get_status_reply__descriptor,
                         "ask the runtime", &answer);

    if (r == 0)
        *ret_status = runtime_to_json((const Quilt__GetStatusReply *)(const void *)answer);
    return r;
}

void checkup_deinit(struct checkup *c)
{
    json_decref(c->agent);
    json_decref(c->runtime);
    free(c->agent_error);
    free(c->runtime_error);
    free(c->control_error);
    free(c->control_unasked);
    free(c->cert_error);
    free(c->targets);
    free(c->probe_error);
}

/* Without root, nobody is believed to be the control plane: that is no problem of the node's. */
static void ask_control_plane(struct cli *cli, struct checkup *c)
{
    int r = edge_control(cli, "GET", "/health", "ask the control plane", NULL);

    c->is_control_unknown = cli->is_control_guessed && r < 0 && r != -EREMOTEIO;
    if (c->is_control_unknown)
        return;
    c->is_unasked_for_fault = r == -EBADMSG;
    if (r == -ENOKEY || r == -EBADMSG)
        c->control_unasked = mem_strdup(err_text());
    else if (r < 0)
        c->control_error = mem_strdup(err_text());
    c->is_control_ill = r == -EREMOTEIO;
    c->is_control_untrusted = r == -EKEYREJECTED || r == -EKEYEXPIRED ||
                              (r == -EPROTO && http_url_is_tls(cli->control_plane));
    c->is_control_away = edge_is_away(r);
    c->is_control_refusing = r == -ECONNREFUSED;
}

static void look_at_cert(const struct cli *cli, struct checkup *c)
{
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    int r;

    if (!http_url_is_tls(cli->control_plane))
        return;
    r = local_node_cert(cli, &cert);
    c->has_cert = r == 0;
    if (r == 0)
        c->cert = (struct report_cert){.not_before = tls_cert_facts(cert)->not_before,
                                       .not_after = tls_cert_facts(cert)->not_after};
    else if (r != -ENOENT && r != -EACCES)
        c->cert_error = mem_strdup(err_text());
}

void checkup_ask(struct cli *cli, struct checkup *c)
{
    int r;

    if (edge_agent(cli, "GET", "/status", NULL, "ask the agent", &c->agent) < 0)
        c->agent_error = mem_strdup(err_text());
    r = ask_runtime(cli, &c->runtime);
    if (r < 0)
        c->runtime_error = mem_strdup(err_text());
    c->is_runtime_unasked = r == -EACCES || r == -ENOKEY;
    ask_control_plane(cli, c);
    look_at_cert(cli, c);
}

void checkup_ping(struct checkup *c)
{
    const char *device =
        json_string_value(json_object_get(json_object_get(c->agent, "device"), "name"));

    c->targets = report_ping_targets(c->agent, &c->target_count);
    if (c->target_count > 0 && device && ping_run(device, c->targets, c->target_count) < 0)
        c->probe_error = mem_strdup(err_text());
}
