/* What quiltctl prints: tables for people, JSON for programs, ages instead of times. */
#pragma once

#include <stdint.h>

#include "cli/table.h"
#include "lib/base/json.h"

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_WIDE };

/* For -o; out is enum output_format *. */
int option_output(const char *text, void *out);

#define AGE_TEXT_SIZE 32
/* "3h": the whole of it in one unit. */
char *span_format(int64_t span_s, char ret_text[static AGE_TEXT_SIZE]);
/* "12s ago", "now", "never" for 0. */
char *age_format(int64_t then_unix_s, int64_t now_unix_s, char ret_text[static AGE_TEXT_SIZE]);

/* "2026-11-22 12:00:00 UTC"; the number itself when no calendar has it. */
#define TIME_TEXT_SIZE 40
char *time_format(int64_t unix_s, char ret_text[static TIME_TEXT_SIZE]);

/* To stdout. Failing to write is a failure of the command: -errno with a text. */
int output_text(const char *text);
int output_table(const struct table *table);
/* The command line is wrong in what a verb takes: says so, with the latest failure, to standard
 * error. Returns EXIT_USAGE. */
int output_misuse(const char *what);
/* Indented, ASCII only, members in order of insertion. */
int output_json(const json_t *value);
