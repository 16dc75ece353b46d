/* What every fuzz target provides. libFuzzer calls it with bytes it made up, replay.c with those of
 * the corpus. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
