/* What the nodes have found out about the ways between them, as tables. */
#include "cli/mesh_view.h"

#include <stdio.h>
#include <string.h>

#include "lib/api/node.h"
#include "lib/api/probe.h"
#include "lib/base/error.h"

#define CELL_TEXT_SIZE 48
#define OVERLAY_SHUT_MS 5000

struct cell {
    size_t from, to;
    struct api_probe probe;
};

struct mesh_view {
    struct api_node *nodes;
    size_t node_count;
    struct cell *cells;
    size_t cell_count;
    int64_t left_out;
};

/* ---- reading ------------------------------------------------------------------------------- */

static bool find_node(const struct mesh_view *v, const char *id, size_t *ret_index)
{
    for (size_t i = 0; i < v->node_count; i++) {
        if (strcmp(v->nodes[i].node_id, id) != 0)
            continue;
        *ret_index = i;
        return true;
    }
    return false;
}

/* One of a node that is gone since is none. */
static int read_cell(struct mesh_view *v, const json_t *item)
{
    struct cell *cell = &v->cells[v->cell_count];
    const char *from;
    int r = json_get_string(item, "from", &from);

    if (r == 0)
        r = api_probe_from_json(json_object_get(item, "probe"), &cell->probe);
    if (r < 0)
        return r;
    v->cell_count +=
        find_node(v, from, &cell->from) && find_node(v, cell->probe.node_id, &cell->to);
    return 0;
}

static int read_cells(struct mesh_view *v, const json_t *body)
{
    const json_t *array, *item;
    size_t i;
    int r = json_get_array(body, "probes", &array);

    if (r < 0)
        return r;
    v->cells = mem_array(json_array_size(array) + 1, sizeof *v->cells);
    json_array_foreach (array, i, item) {
        r = read_cell(v, item);
        if (r < 0)
            return err_wrap(r, "probes[%zu]", i);
    }
    return json_get_int(body, "left_out", 0, INT64_MAX, &v->left_out);
}

int mesh_view_new(const json_t *body, struct mesh_view **ret_view)
{
    AUTO_MESH_VIEW struct mesh_view *v = NEW(struct mesh_view);
    int r = api_node_list_from_json(body, &v->nodes, &v->node_count);

    if (r == 0)
        r = read_cells(v, body);
    if (r < 0)
        return r == -ENOENT ? -EINVAL : r;
    *ret_view = TAKE_PTR(v);
    return 0;
}

void mesh_view_free(struct mesh_view *v)
{
    if (!v)
        return;
    free(v->nodes);
    free(v->cells);
    free(v);
}

/* ---- judging ------------------------------------------------------------------------------- */

static const struct cell *find(const struct mesh_view *v, size_t from, size_t to)
{
    for (size_t i = 0; i < v->cell_count; i++)
        if (v->cells[i].from == from && v->cells[i].to == to)
            return &v->cells[i];
    return NULL;
}

static bool is_reached(const struct cell *cell)
{
    return cell->probe.state == API_PROBE_REACHED || cell->probe.state == API_PROBE_SILENT;
}

static int64_t worse_loss(const struct api_probe *p)
{
    return p->underlay.loss_percent > p->overlay.loss_percent ? p->underlay.loss_percent
                                                              : p->overlay.loss_percent;
}

/* It answers, but for a while has not done so through the overlay. */
static bool is_overlay_shut(const struct api_probe *p)
{
    return p->overlay.loss_percent == 100 || p->overlay.mean_us < 0 ||
           p->overlay_silent_ms - p->silent_ms > OVERLAY_SHUT_MS;
}

/* What was found out about its ways was before. */
static bool has_down_end(const struct mesh_view *v, size_t from, size_t to)
{
    return !v->nodes[from].is_up || !v->nodes[to].is_up;
}

/* In a few words, the worst first. False: all is well. */
static bool name_problem(const struct mesh_view *v, const struct cell *cell,
                         char ret_text[static CELL_TEXT_SIZE])
{
    const struct api_probe *p = &cell->probe;
    const struct cell *back = find(v, cell->to, cell->from);
    const char *words = NULL;

    if (has_down_end(v, cell->from, cell->to))
        words = "down";
    else if (!is_reached(cell))
        words = api_probe_state_word(p->state);
    else if (is_overlay_shut(p))
        words = "no overlay";
    else if (p->underlay.loss_percent == 100 || p->underlay.mean_us < 0)
        words = "no underlay";
    else if (back && !is_reached(back))
        words = "one way";
    if (words)
        (void)snprintf(ret_text, CELL_TEXT_SIZE, "%s", words);
    else if (worse_loss(p) >= API_PROBE_LOSS_PERCENT)
        (void)snprintf(ret_text, CELL_TEXT_SIZE, "loss %lld%%", (long long)worse_loss(p));
    else if (p->largest_bytes >= 0 && p->largest_bytes < p->wanted_bytes)
        (void)snprintf(ret_text, CELL_TEXT_SIZE, "mtu %lld", (long long)p->largest_bytes);
    else
        return false;
    return true;
}

/* ---- showing ------------------------------------------------------------------------------- */

static void add_time(struct table *table, int64_t us)
{
    if (us < 0)
        table_add(table, NULL);
    else
        table_addf(table, "%lld.%02lldms", (long long)(us / 1000), (long long)(us % 1000 / 10));
}

static void add_cell(struct table *table, const struct mesh_view *v, size_t from, size_t to)
{
    const struct cell *cell = from == to ? NULL : find(v, from, to);
    char text[CELL_TEXT_SIZE];

    if (from == to)
        table_add(table, ".");
    else if (has_down_end(v, from, to))
        table_add(table, "down");
    else if (!cell)
        table_add(table, NULL);
    else if (name_problem(v, cell, text))
        table_add(table, text);
    else
        add_time(table, cell->probe.overlay.mean_us);
}

static void print_matrix(const struct mesh_view *v, struct strbuf *out)
{
    const char *headers[MESH_MATRIX_MAX + 2] = {"FROM"};
    CLEANUP(table_deinit) struct table table;

    for (size_t i = 0; i < v->node_count; i++)
        headers[i + 1] = v->nodes[i].hostname;
    table_init(&table, headers);
    for (size_t from = 0; from < v->node_count; from++) {
        table_add(&table, v->nodes[from].hostname);
        for (size_t to = 0; to < v->node_count; to++)
            add_cell(&table, v, from, to);
    }
    table_print(&table, out);
}

static void add_percent(struct table *table, int64_t percent)
{
    if (percent < 0)
        table_add(table, NULL);
    else
        table_addf(table, "%lld%%", (long long)percent);
}

static void add_row(struct table *table, const struct mesh_view *v, const struct cell *cell,
                    const char *problem)
{
    const struct api_probe *p = &cell->probe;

    table_add(table, v->nodes[cell->from].hostname);
    table_add(table, v->nodes[cell->to].hostname);
    table_add(table, api_probe_state_word(p->state));
    add_time(table, p->underlay.mean_us);
    add_percent(table, p->underlay.loss_percent);
    add_time(table, p->overlay.mean_us);
    add_percent(table, p->overlay.loss_percent);
    if (p->largest_bytes < 0)
        table_add(table, NULL);
    else
        table_addf(table, "%lld/%lld", (long long)p->largest_bytes, (long long)p->wanted_bytes);
    table_add(table, problem);
}

static void print_list(const struct mesh_view *v, bool is_whole, struct strbuf *out)
{
    static const char *const headers[] = {"FROM",    "TO",   "STATE", "UNDERLAY", "LOSS",
                                          "OVERLAY", "LOSS", "BYTES", "PROBLEM",  NULL};
    CLEANUP(table_deinit) struct table table;
    size_t shown = 0, judged = 0;

    table_init(&table, headers);
    for (size_t i = 0; i < v->cell_count; i++) {
        char text[CELL_TEXT_SIZE];
        bool is_wrong = name_problem(v, &v->cells[i], text);
        bool is_judged = !has_down_end(v, v->cells[i].from, v->cells[i].to);

        judged += is_judged;
        if (!is_whole && !(is_wrong && is_judged))
            continue;
        add_row(&table, v, &v->cells[i], is_wrong ? text : NULL);
        shown++;
    }
    if (shown > 0)
        table_print(&table, out);
    else
        strbuf_adds(out, judged > 0          ? "Every way that was probed is as it should be.\n"
                         : v->cell_count > 0 ? "No way between nodes that are up is known.\n"
                                             : "No node has told of its probes yet.\n");
}

static void print_down(const struct mesh_view *v, struct strbuf *out)
{
    bool is_first = true;

    for (size_t i = 0; i < v->node_count; i++) {
        if (v->nodes[i].is_up)
            continue;
        strbuf_addf(out, "%s%s", is_first ? "Down: " : ", ", v->nodes[i].hostname);
        is_first = false;
    }
    if (!is_first)
        strbuf_adds(out, ".\n");
}

void mesh_view_print(const struct mesh_view *v, bool is_whole, struct strbuf *out)
{
    if (!is_whole && v->node_count > 0 && v->node_count <= MESH_MATRIX_MAX) {
        print_matrix(v, out);
        strbuf_adds(out, "\n");
    }
    print_list(v, is_whole, out);
    print_down(v, out);
    if (v->left_out > 0)
        strbuf_addf(out, "%lld more, which are as they should be, are not shown.\n",
                    (long long)v->left_out);
}
