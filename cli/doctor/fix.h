/* doctor --fix: what is safely ours to mend. Changes kernel settings of ours and writes
 * configuration files of our own name. */
#pragma once

#include "cli/doctor/finding.h"

/* Does what each finding's remedy is; what was done is appended to *done as texts. What is so
 * already is neither done nor told. What could not be done is added to *failures ("not-mended"),
 * and the other remedies go on. */
void fix_apply(const struct findings *findings, json_t *done, struct findings *failures);
