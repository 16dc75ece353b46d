/* quiltctl status: asks the three daemons, prints the report. */
#include <string.h>

#include "cli/edge.h"
#include "cli/local.h"
#include "cli/report.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"

static json_t *runtime_to_json(const Quilt__GetStatusReply *reply)
{
    json_t *problems = json_array();

    for (size_t i = 0; i < reply->n_problems; i++)
        (void)json_array_append_new(problems, json_string(reply->problems[i]));
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "version", reply->version, "subnet",
                     reply->subnet, "cluster_cidr", reply->cluster_cidr, "endpoints",
                     (json_int_t)reply->endpoints, "addresses_free",
                     (json_int_t)reply->addresses_free, "routes", (json_int_t)reply->routes,
                     "problems", problems);
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

/* What came of all the questions; the report borrows from it. */
struct checkup {
    json_t *agent;
    json_t *runtime;
    char *agent_error;
    char *runtime_error;
    char *control_error;
    char *control_unasked;
    struct report_cert cert;
    bool has_cert;
    char *cert_error;
    struct probe_target *targets;
    size_t target_count;
    char *probe_error;
};

static void checkup_deinit(struct checkup *c)
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

    if (r == -ENOKEY)
        c->control_unasked = mem_strdup(err_text());
    else if (r < 0)
        c->control_error = mem_strdup(err_text());
}

static void look_at_cert(const struct cli *cli, struct checkup *c)
{
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    int r;

    if (strncmp(cli->control_plane, "https:", strlen("https:")) != 0)
        return;
    r = local_node_cert(cli, &cert);
    c->has_cert = r == 0;
    if (r == 0)
        c->cert = (struct report_cert){.not_before = tls_cert_facts(cert)->not_before,
                                       .not_after = tls_cert_facts(cert)->not_after};
    else if (r != -ENOENT && r != -EACCES)
        c->cert_error = mem_strdup(err_text());
}

static void ping_peers(struct checkup *c)
{
    const char *device =
        json_string_value(json_object_get(json_object_get(c->agent, "device"), "name"));

    c->targets = report_probe_targets(c->agent, &c->target_count);
    if (c->target_count > 0 && device && probe_run(device, c->targets, c->target_count) < 0)
        c->probe_error = mem_strdup(err_text());
}

static void ask_all(struct cli *cli, struct checkup *c)
{
    if (edge_agent(cli, "GET", "/status", NULL, "ask the agent", &c->agent) < 0)
        c->agent_error = mem_strdup(err_text());
    if (ask_runtime(cli, &c->runtime) < 0)
        c->runtime_error = mem_strdup(err_text());
    ask_control_plane(cli, c);
    look_at_cert(cli, c);
    ping_peers(c);
}

static json_t *report_of(const struct cli *cli, const struct checkup *c)
{
    return report_make(&(struct report_input){.agent = c->agent,
                                              .agent_error = c->agent_error,
                                              .runtime = c->runtime,
                                              .runtime_error = c->runtime_error,
                                              .control_url = cli->control_plane,
                                              .control_error = c->control_error,
                                              .control_unasked = c->control_unasked,
                                              .cert = c->has_cert ? &c->cert : NULL,
                                              .cert_error = c->cert_error,
                                              .now_s = clock_unix_s(),
                                              .targets = c->targets,
                                              .target_count = c->target_count,
                                              .probe_error = c->probe_error});
}

int cmd_status(struct cli *cli, char **args)
{
    CLEANUP(checkup_deinit) struct checkup checkup = {0};
    AUTO_JSON json_t *report = NULL;
    AUTO_STRBUF struct strbuf text = {0};
    int r;

    ask_all(cli, &checkup);
    report = report_of(cli, &checkup);
    if (cli->format != OUTPUT_JSON)
        report_print(report, &text);
    r = cli->format == OUTPUT_JSON ? output_json(report) : output_text(text.data);
    if (r < 0)
        return r;
    return report_is_healthy(report) ? 0 : EXIT_FAILURE;
}

int cmd_version(struct cli *cli, char **args)
{
    AUTO_JSON json_t *version = json_pack("{s:s}", "version", QUILT_VERSION);

    if (cli->format == OUTPUT_JSON)
        return output_json(version);
    return output_text("quiltctl " QUILT_VERSION "\n");
}
