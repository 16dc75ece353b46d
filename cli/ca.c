/* quiltctl ca: replacing the cluster's CA, and how far that has come. */
#include <string.h>

#include "cli/edge.h"
#include "lib/base/error.h"

static const struct {
    const char *step, *words;
} steps[] = {
    {"settled", "one CA is trusted and signs"},
    {"published", "a new CA is made; every node has to know it before it signs"},
    {"promoted", "the new CA signs; every node has to renew its certificate before the old one is "
                 "dropped"},
};

static const char *words_of(const char *step)
{
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (strcmp(steps[i].step, step) == 0)
            return steps[i].words;
    return step;
}

static void add_waiting(struct strbuf *out, const json_t *body)
{
    const json_t *list, *node;
    int64_t count = 0;
    size_t i;

    if (json_get_array(body, "waiting_for", &list) < 0 || json_array_size(list) == 0)
        return;
    (void)json_get_int(body, "waiting_for_count", 0, INT64_MAX, &count);
    strbuf_addf(out, "waiting for %lld node(s):\n", (long long)count);
    json_array_foreach (list, i, node) {
        const char *hostname = "?", *status = "?";

        (void)json_get_string(node, "hostname", &hostname);
        (void)json_get_string(node, "status", &status);
        strbuf_adds(out, "    ");
        strbuf_add_printable(out, hostname);
        strbuf_adds(out, " (");
        strbuf_add_printable(out, status);
        strbuf_adds(out, ")\n");
    }
    strbuf_adds(out, "a node that will not come back: 'quiltctl node rm', or 'quiltctl ca rotate "
                     "--force' (nodes that are down must then join again)\n");
}

static int print_status(const struct cli *cli, const json_t *body, const char *what)
{
    AUTO_STRBUF struct strbuf out = {0};
    const json_t *pins, *pin;
    const char *step;
    size_t i;

    if (cli->format == OUTPUT_JSON)
        return output_json(body);
    if (json_get_string(body, "step", &step) < 0 || json_get_array(body, "pins", &pins) < 0)
        return err_fail(EREMOTEIO, "%s: the answer makes no sense; is this the right URL?", what);
    strbuf_add_printable(&out, words_of(step));
    strbuf_adds(&out, "\n");
    json_array_foreach (pins, i, pin) {
        strbuf_adds(&out, "trusted: ");
        strbuf_add_printable(&out, json_string_value(pin) ? json_string_value(pin) : "?");
        strbuf_adds(&out, "\n");
    }
    add_waiting(&out, body);
    return output_text(out.data);
}

int cmd_ca_status(struct cli *cli, char **args)
{
    static const char what[] = "ask for the CA's status";
    AUTO_JSON json_t *body = NULL;
    int r = edge_control(cli, "GET", "/api/ca/status", what, &body);

    return r < 0 ? r : print_status(cli, body, what);
}

int cmd_ca_rotate(struct cli *cli, char **args)
{
    static const char what[] = "replace the CA";
    AUTO_JSON json_t *body = NULL;
    int r = edge_control_send(cli, "POST", "/api/ca/rotate",
                              cli->is_forced ? "{\"force\":true}" : "{}", what, &body);

    return r < 0 ? r : print_status(cli, body, what);
}
