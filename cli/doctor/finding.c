/* A list of findings, and how it is shown. */
#include "cli/doctor/finding.h"

#include <assert.h>

void findings_deinit(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        free(findings->items[i].what);
        free(findings->items[i].shows);
        free(findings->items[i].mend);
    }
    free(findings->items);
    *findings = (struct findings){0};
}

void findings_add(struct findings *findings, struct finding finding)
{
    findings->items = mem_resize(findings->items, findings->count + 1, sizeof *findings->items);
    findings->items[findings->count++] = finding;
}

void findings_append(struct findings *findings, struct findings *more)
{
    for (size_t i = 0; i < more->count; i++)
        findings_add(findings, more->items[i]);
    free(more->items);
    *more = (struct findings){0};
}

static bool have_at_least(const struct findings *findings, enum severity severity)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].severity >= severity)
            return true;
    return false;
}

bool findings_have_error(const struct findings *findings)
{
    return have_at_least(findings, SEVERITY_ERROR);
}

bool findings_are_healthy(const struct findings *findings)
{
    return !have_at_least(findings, SEVERITY_WARNING);
}

const char *severity_name(enum severity severity)
{
    static const char *const names[] = {
        [SEVERITY_NOTE] = "note", [SEVERITY_WARNING] = "warning", [SEVERITY_ERROR] = "error"};

    static_assert(ARRAY_LEN(names) == SEVERITY_ERROR + 1, "each has a name");
    return names[severity];
}

json_t *findings_to_json(const struct findings *findings)
{
    json_t *list = json_array();

    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *f = &findings->items[i];

        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "cause", f->cause,
                                                    "severity", severity_name(f->severity), "what",
                                                    f->what, "shows", f->shows, "mend", f->mend));
    }
    return list;
}

static void add_line(struct strbuf *out, const char *head, const char *text)
{
    strbuf_adds(out, head);
    strbuf_add_printable(out, text);
    strbuf_adds(out, "\n");
}

void findings_print(const struct findings *findings, struct strbuf *out)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *f = &findings->items[i];

        strbuf_addf(out, "%s%s: %s: ", i > 0 ? "\n" : "", severity_name(f->severity), f->cause);
        add_line(out, "", f->what);
        add_line(out, "  shows  ", f->shows);
        add_line(out, "  mend   ", f->mend);
    }
}
