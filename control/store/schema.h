/* The forms that the SQLite file has had: step N brings a file of version N to version N + 1. A
 * file says its version in user_version; a new one has version 0. Pure. */
#pragma once

#define SCHEMA_WITH_ROWS 3 /* a change's row follows from its revision */
#define SCHEMA_WITH_WAL 4  /* the file says which log it needs */

/* Of this program. */
int schema_version(void);
/* SQL that is run in one transaction; from is 0 to schema_version() - 1. */
const char *schema_step(int from);
