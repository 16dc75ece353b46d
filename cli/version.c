/* quiltctl version. */
#include "cli/cli.h"

int cmd_version(struct cli *cli, char **args)
{
    AUTO_JSON json_t *version = json_pack("{s:s}", "version", QUILT_VERSION);

    if (cli->format == OUTPUT_JSON)
        return output_json(version);
    return output_text("quiltctl " QUILT_VERSION "\n");
}
