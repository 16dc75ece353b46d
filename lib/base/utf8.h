/* UTF-8 (RFC 3629), and which of its characters must not reach a terminal or a log as they are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the well-formed sequence at the start of these n bytes, 1 to 4; 0 when there is
 * none. */
size_t utf8_length(const char *bytes, size_t n);

/* The code point of a well-formed sequence of this length. */
uint32_t utf8_decode(const char *bytes, size_t length);

/* What ends a line, moves a terminal's cursor, or turns the direction of reading: controls, line
 * separators, bidirectional marks. */
bool utf8_is_hostile(uint32_t code_point);
