/* Error answers as RFC 9457 has them, always valid UTF-8 whatever the detail quotes. Pure. */
#pragma once

#define PROBLEM_TYPE "application/problem+json"

/* {"type":"about:blank","title":…,"status":…,"detail":…,"code":…}; the title is the status's reason
 * phrase. code, a word for programs, may be NULL: none.
 * Bytes of detail that are no UTF-8 become U+FFFD. Caller frees. */
char *problem_to_json(unsigned int status, const char *code, const char *detail);
