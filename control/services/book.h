/* What one node has told of the ways to the others: the latest of each, kept small, since there may
 * be as many as nodes times nodes. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/api/probe.h"

struct book_path {
    int32_t mean_us, min_us; /* -1: not known, as in lib/api/probe.h */
    int8_t loss_percent;
};

struct book_cell {
    uint32_t about; /* the other's subnet, by its index */
    uint8_t state;
    bool is_watched;
    int32_t silent_ms, overlay_silent_ms;
    struct book_path underlay, overlay;
    int32_t largest_bytes, wanted_bytes;
    int64_t said_ms;
};

/* Zeroed: empty. */
struct book {
    struct book_cell *cells; /* owned */
    size_t count, size;
};

/* Of one node so many are kept; of more, the oldest goes. */
#define BOOK_CELLS_MAX 320

void book_deinit(struct book *book);
void book_note(struct book *book, uint32_t about, const struct api_probe *says, int64_t now_ms);
void book_forget(struct book *book, uint32_t about);
/* As it was told, but for the node's id. */
struct api_probe book_read(const struct book_cell *cell);
