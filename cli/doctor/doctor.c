/* quiltctl doctor: gathers facts, judges them, mends what may be mended, prints. */
#include <poll.h>
#include <string.h>

#include "cli/doctor/checks.h"
#include "cli/doctor/fix.h"
#include "cli/doctor/gather.h"

/* A daemon on this host that needs longer is as good as away; and the whole is to take less than
 * ten seconds. */
#define PATIENCE_MS 2000

/* What a daemon tells while it starts is over soon. */
#define START_MS 1000

static void examine_once(struct cli *cli, struct findings *ret_findings)
{
    CLEANUP(checkup_deinit) struct checkup checkup = {0};
    CLEANUP(facts_deinit) struct facts facts;

    checkup_ask(cli, &checkup);
    gather_facts(cli, &checkup, &facts);
    diagnose(&facts, ret_findings);
}

static bool is_maybe_starting(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (strcmp(findings->items[i].cause, "told") == 0 ||
            strcmp(findings->items[i].cause, "control-plane-error") == 0)
            return true;
    return false;
}

static void examine(struct cli *cli, struct findings *ret_findings)
{
    examine_once(cli, ret_findings);
    if (!is_maybe_starting(ret_findings))
        return;
    (void)poll(NULL, 0, START_MS);
    findings_deinit(ret_findings);
    examine_once(cli, ret_findings);
}

/* What was mended is looked at again. */
static void fix(struct cli *cli, struct findings *findings, json_t *done)
{
    struct findings failures = {0};

    fix_apply(findings, done, &failures);
    if (json_array_size(done) > 0) {
        findings_deinit(findings);
        examine(cli, findings);
    }
    findings_append(findings, &failures);
}

static int print(const struct cli *cli, const struct findings *findings, const json_t *done)
{
    AUTO_STRBUF struct strbuf text = {0};
    const json_t *line;
    size_t i;

    json_array_foreach (done, i, line)
        strbuf_addf(&text, "Mended: %s.\n", json_string_value(line));
    findings_print(findings, &text);
    if (findings->count == 0)
        strbuf_adds(&text, "Nothing is wrong with this node, as far as can be seen from here.\n");
    return output_text(text.data);
}

int cmd_doctor(struct cli *cli, char **args)
{
    CLEANUP(findings_deinit) struct findings findings = {0};
    AUTO_JSON json_t *done = json_array(), *report = NULL;
    int r;

    cli->patience_ms = PATIENCE_MS;
    examine(cli, &findings);
    if (cli->is_fixing)
        fix(cli, &findings, done);
    if (cli->format == OUTPUT_JSON) {
        report = json_pack("{s:b, s:o, s:O}", "healthy", findings_are_healthy(&findings),
                           "findings", findings_to_json(&findings), "mended", done);
        r = output_json(report);
    } else {
        r = print(cli, &findings, done);
    }
    if (r < 0)
        return r;
    return findings_are_healthy(&findings) ? 0 : EXIT_FAILURE;
}
