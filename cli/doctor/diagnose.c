/* All checks, one after the other. */
#include "cli/doctor/checks.h"

#include <string.h>

/* What a daemon told, which no cause explains: better than silence. */
static void add_told(const json_t *answer, const char *who, struct findings *findings)
{
    const json_t *told = json_object_get(answer, "problems"), *p;
    size_t i;

    json_array_foreach (told, i, p)
        findings_add(findings, (struct finding){
                                   .cause = "told",
                                   .severity = SEVERITY_ERROR,
                                   .what = mem_printf("the %s has trouble", who),
                                   .shows = mem_strdup(json_string_value(p) ? json_string_value(p)
                                                                            : "(no text)"),
                                   .mend = mem_printf("what it says there, if it does; "
                                                      "else look at the %s's log",
                                                      who)});
}

/* Silence about what was not looked at is no health. */
static void add_not_tried(const struct facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->blind_count; i++)
        findings_add(findings,
                     (struct finding){.cause = "not-tried",
                                      .severity = SEVERITY_WARNING,
                                      .what = mem_strdup(facts->blind_spots[i].what),
                                      .shows = mem_strdup(facts->blind_spots[i].reason),
                                      .mend = mem_strdup("run it as root; if it was, see to what "
                                                         "it shows")});
}

void diagnose(const struct facts *facts, struct findings *ret_findings)
{
    static void (*const checks[])(const struct facts *, struct findings *) = {
        check_underlay, check_daemons,  check_devices, check_rules,
        check_settings, check_firewall, check_paths,   check_loss,
    };

    *ret_findings = (struct findings){0};
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        checks[i](facts, ret_findings);
    if (!findings_have_error(ret_findings)) {
        add_told(facts->agent, "agent", ret_findings);
        add_told(facts->runtime, "runtime", ret_findings);
    }
    add_not_tried(facts, ret_findings);
}
