/* Texts that must not be left lying in memory, such as private keys. */
#pragma once

#include "lib/base/mem.h"

/* Overwrites the text up to its NUL, and frees it. NULL is fine. */
void secret_free(char *text);

DEFINE_CLEANUP(char *, secret_free);
#define AUTO_SECRET CLEANUP(cleanup_secret_free)
