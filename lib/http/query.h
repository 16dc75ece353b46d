/* The query of a request's target, "kind=node&at=a%20b" (application/x-www-form-urlencoded: URL
 * Standard section 5.1). Pure.
 */
#pragma once

#include <stddef.h>

/* What is behind the first '?' of the target; NULL: there is no '?'. Points into target. */
const char *query_of(const char *target);
/* The bytes that query_decode() needs. */
size_t query_size(const char *query);
/* Writes each argument's name and value, NULs behind them, and a NUL behind the last; an argument
 * without '=' has an empty value. What is no valid %-encoding, or encodes a NUL, stays as it is. */
void query_decode(const char *query, char *out);
/* The value of the first argument of this name in what was decoded, or NULL. */
const char *query_find(const char *decoded, const char *name);
