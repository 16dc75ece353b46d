/* quiltctl mesh: how the nodes reach each other. */
#include "cli/edge.h"
#include "cli/mesh_view.h"
#include "lib/base/error.h"

int cmd_mesh(struct cli *cli, char **args)
{
    static const char what[] = "show the mesh";
    AUTO_JSON json_t *body = NULL;
    AUTO_MESH_VIEW struct mesh_view *view = NULL;
    AUTO_STRBUF struct strbuf text = {0};
    int r = edge_control(cli, "GET", "/api/mesh", what, &body);

    if (r < 0)
        return r;
    if (cli->format == OUTPUT_JSON)
        return output_json(body);
    r = mesh_view_new(body, &view);
    if (r < 0)
        return err_wrap(r, "%s: the answer makes no sense", what);
    mesh_view_print(view, cli->format == OUTPUT_WIDE, &text);
    return output_text(text.data);
}
