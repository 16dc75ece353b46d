/* quiltctl status: asks the three daemons, prints the report. */
#include <stdlib.h>

#include "cli/checkup.h"
#include "cli/report.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"

static json_t *report_of(const struct cli *cli, const struct checkup *c)
{
    return report_make(
        &(struct report_input){.agent = c->agent,
                               .agent_error = c->agent_error,
                               .runtime = c->runtime,
                               .runtime_error = c->runtime_error,
                               .is_runtime_unasked = c->is_runtime_unasked,
                               .control_url = c->is_control_unknown ? NULL : cli->control_plane,
                               .control_error = c->control_error,
                               .is_control_ill = c->is_control_ill,
                               .control_unasked = c->control_unasked,
                               .is_unasked_for_fault = c->is_unasked_for_fault,
                               .cert = c->has_cert ? &c->cert : NULL,
                               .cert_error = c->cert_error,
                               .now_s = clock_unix_s(),
                               .targets = c->targets,
                               .target_count = c->target_count,
                               .probe_error = c->probe_error});
}

/* A daemon on this host that needs longer is as good as away. */
#define PATIENCE_MS 2000

int cmd_status(struct cli *cli, char **args)
{
    CLEANUP(checkup_deinit) struct checkup checkup = {0};
    AUTO_JSON json_t *report = NULL;
    AUTO_STRBUF struct strbuf text = {0};
    int r;

    cli->patience_ms = PATIENCE_MS;
    checkup_ask(cli, &checkup);
    checkup_ping(&checkup);
    report = report_of(cli, &checkup);
    if (cli->format != OUTPUT_JSON)
        report_print(report, &text);
    r = cli->format == OUTPUT_JSON ? output_json(report) : output_text(text.data);
    if (r < 0)
        return r;
    return report_is_healthy(report) ? 0 : EXIT_FAILURE;
}
