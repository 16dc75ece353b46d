/* What the judging and the printing of the report share. */
#pragma once

#include "cli/report.h"

#define REPORT_NAMES_MAX 5

/* A member's text, "" when it is none. */
const char *report_text(const json_t *object, const char *key);
void report_count_peers(const json_t *agent, size_t *ret_total, size_t *ret_up, size_t *ret_done);
/* An agent in the mode for development: it touches no kernel state and says so. */
bool report_is_dry(const json_t *agent);
