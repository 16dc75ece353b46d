/* What the doctor finds: a cause, how it shows, and the command that mends it. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/json.h"
#include "lib/base/strbuf.h"

enum severity {
    SEVERITY_NOTE,    /* works, and could be better: no reason to be woken */
    SEVERITY_WARNING, /* works, and will not for long, or not for all */
    SEVERITY_ERROR    /* packets, or changes, are lost */
};

/* What doctor --fix may do about it; it touches only what is ours. */
enum remedy {
    REMEDY_NONE,
    REMEDY_FORWARDING,
    REMEDY_CHECKSUM,
    REMEDY_NETWORKD,
    REMEDY_NETWORK_MANAGER,
    REMEDY_COUNT
};

struct finding {
    const char *cause; /* a word for programs: "vxlan-dropped-here"; static */
    enum severity severity;
    enum remedy remedy;
    char *what; /* the texts are owned */
    char *shows;
    char *mend;
};

/* In order of finding. A zeroed struct is an empty list. */
struct findings {
    struct finding *items;
    size_t count;
};
void findings_deinit(struct findings *findings);
/* Takes the texts over. */
void findings_add(struct findings *findings, struct finding finding);
/* Takes all of them over; more is empty then. */
void findings_append(struct findings *findings, struct findings *more);
bool findings_have_error(const struct findings *findings);
/* No warning and no error. */
bool findings_are_healthy(const struct findings *findings);

const char *severity_name(enum severity severity);

/* [{"cause":…, "severity":…, "what":…, "shows":…, "mend":…}]; caller owns. */
json_t *findings_to_json(const struct findings *findings);
/* The same for people. */
void findings_print(const struct findings *findings, struct strbuf *out);
