/* quiltctl backup: the control plane's whole state as a file. */
#include <string.h>

#include "cli/edge.h"
#include "lib/base/error.h"
#include "lib/base/file.h"

static const char sqlite_magic[] = "SQLite format 3"; /* with its NUL: the first bytes of a file */

static int say_done(const struct cli *cli, const char *path, size_t n)
{
    AUTO_STRBUF struct strbuf text = {0};
    AUTO_JSON json_t *said = NULL;

    if (cli->format == OUTPUT_JSON) {
        said = json_pack("{s:s, s:I}", "file", path, "bytes", (json_int_t)n);
        return said ? output_json(said) : err_fail(EILSEQ, "the file's name is no UTF-8");
    }
    strbuf_adds(&text, "the control plane's state is in ");
    strbuf_add_printable(&text, path);
    strbuf_addf(&text, " (%zu bytes)\n", n);
    return output_text(text.data);
}

int cmd_backup(struct cli *cli, char **args)
{
    AUTO_FREE char *bytes = NULL;
    size_t n = 0;
    int r = edge_control_bytes(cli, "/api/backup", "back up", &bytes, &n);

    if (r < 0)
        return r;
    if (n < sizeof sqlite_magic || memcmp(bytes, sqlite_magic, sizeof sqlite_magic) != 0)
        return err_fail(EREMOTEIO, "back up: the answer is no backup; is this the right URL?");
    r = file_write_atomic(args[0], bytes, n, 0600);
    if (r == -EISDIR)
        return err_fail(EISDIR, "back up: %s is a directory; name a file in it", args[0]);
    return r < 0 ? err_wrap(r, "back up") : say_done(cli, args[0], n);
}
