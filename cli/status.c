/* quiltctl status: asks the three daemons, prints the report. */
#include <string.h>

#include "cli/edge.h"
#include "cli/report.h"
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

/* Returns what kept it from being done, NULL when nothing did. */
static char *ping_peers(const json_t *agent, struct probe_target *targets, size_t count)
{
    const char *device =
        json_string_value(json_object_get(json_object_get(agent, "device"), "name"));

    if (count == 0 || !device)
        return NULL;
    return probe_run(device, targets, count) < 0 ? mem_strdup(err_text()) : NULL;
}

int cmd_status(struct cli *cli, char **args)
{
    AUTO_FREE char *agent_error = NULL;
    AUTO_FREE char *runtime_error = NULL;
    AUTO_FREE char *control_error = NULL;
    AUTO_FREE char *probe_error = NULL;
    AUTO_FREE struct probe_target *targets = NULL;
    AUTO_JSON json_t *agent = NULL;
    AUTO_JSON json_t *runtime = NULL;
    AUTO_JSON json_t *report = NULL;
    AUTO_STRBUF struct strbuf text = {0};
    size_t target_count;
    int r;

    if (edge_agent(cli, "GET", "/status", NULL, "ask the agent", &agent) < 0)
        agent_error = mem_strdup(err_text());
    if (ask_runtime(cli, &runtime) < 0)
        runtime_error = mem_strdup(err_text());
    if (edge_control(cli, "GET", "/health", "ask the control plane", NULL) < 0)
        control_error = mem_strdup(err_text());
    targets = report_probe_targets(agent, &target_count);
    probe_error = ping_peers(agent, targets, target_count);
    report = report_make(&(struct report_input){.agent = agent,
                                                .agent_error = agent_error,
                                                .runtime = runtime,
                                                .runtime_error = runtime_error,
                                                .control_url = cli->control_planes.items[0],
                                                .control_error = control_error,
                                                .targets = targets,
                                                .target_count = target_count,
                                                .probe_error = probe_error});
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
