/* What a file says of the log that it needs, as the text of its row. It has always as many bytes,
 * so in the file it stays where it is, inside of one sector; and a sum, so what a power cut leaves
 * of its page is never taken for a word of ours. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "salt=2de218aa bytes=00000ace1d00 sum=5f2c11d0" and the NUL. */
#define WAL_NEED_SIZE 46

struct wal_need {
    uint32_t salt;  /* the log's first one */
    uint64_t bytes; /* it is at least so long; 0: none is needed */
};

void wal_need_print(const struct wal_need *need, char ret_text[static WAL_NEED_SIZE]);

/* false: it says nothing. "0", which an operator may put there, says that none is needed. */
bool wal_need_parse(const char *text, struct wal_need *ret_need);
