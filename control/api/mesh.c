/* GET /api/mesh. */
#include "control/api/mesh.h"

#include "control/control.h"
#include "control/services/registry_probes.h"

void mesh_show(struct http_request *request, void *data)
{
    const struct control *c = data;
    AUTO_STRBUF struct strbuf out = {0};

    registry_mesh_to_json(&c->registry, control_now(), &out);
    http_reply_json(request, 200, out.data);
}
