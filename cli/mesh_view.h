/* What the nodes have found out about the ways between them, as tables for people. Pure.
 *
 *     FROM   node1   node2   node3
 *     node1  .       0.35ms  lost
 *     node2  0.34ms  .       0.41ms
 *     node3  0.33ms  mtu 1400  .
 */
#pragma once

#include "cli/table.h"
#include "lib/base/json.h"

/* Larger clusters are shown as a list of what is not as it should be. */
#define MESH_MATRIX_MAX (TABLE_COLUMNS_MAX - 1)

struct mesh_view;

/* body: the answer of GET /api/mesh. -EINVAL with a text. */
int mesh_view_new(const json_t *body, struct mesh_view **ret_view);
void mesh_view_free(struct mesh_view *view);
/* Appends the matrix (where it fits) and the list of what is wrong; is_whole: the list of all. */
void mesh_view_print(const struct mesh_view *view, bool is_whole, struct strbuf *out);

DEFINE_CLEANUP(struct mesh_view *, mesh_view_free);
#define AUTO_MESH_VIEW CLEANUP(cleanup_mesh_view_free)
