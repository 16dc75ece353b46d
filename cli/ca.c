/* quiltctl ca: replacing the cluster's CA, and how far that has come. */
#include "cli/edge.h"
#include "cli/view.h"
#include "lib/base/error.h"

static int print_status(const struct cli *cli, const json_t *status, const char *what)
{
    AUTO_STRBUF struct strbuf out = {0};
    int r;

    if (cli->format == OUTPUT_JSON)
        return output_json(status);
    r = view_ca(status, cli->format == OUTPUT_WIDE, &out);
    if (r < 0)
        return err_wrap(r, "%s: the answer makes no sense", what);
    return output_text(out.data);
}

int cmd_ca_status(struct cli *cli, char **args)
{
    static const char what[] = "ask how the CA is";
    AUTO_JSON json_t *status = NULL;
    int r = edge_control(cli, "GET", "/api/ca/status", what, &status);

    return r < 0 ? r : print_status(cli, status, what);
}

int cmd_ca_rotate(struct cli *cli, char **args)
{
    static const char what[] = "replace the CA";
    const char *wish = cli->is_forced ? "{\"force\":true}" : "{\"force\":false}";
    AUTO_JSON json_t *status = NULL;
    int r = edge_control_send(cli, "POST", "/api/ca/rotate", wish, what, &status);

    return r < 0 ? r : print_status(cli, status, what);
}
