/* What one node has told of the ways to the others. */
#include "control/services/book.h"

#include "lib/base/mem.h"

#define GROW 8

void book_deinit(struct book *b)
{
    free(b->cells);
    *b = (struct book){0};
}

static struct book_cell *find(const struct book *b, uint32_t about)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->cells[i].about == about)
            return &b->cells[i];
    return NULL;
}

static struct book_cell *oldest(const struct book *b)
{
    struct book_cell *found = &b->cells[0];

    for (size_t i = 1; i < b->count; i++)
        if (b->cells[i].said_ms < found->said_ms)
            found = &b->cells[i];
    return found;
}

static struct book_cell *find_place(struct book *b, uint32_t about)
{
    struct book_cell *cell = find(b, about);

    if (cell)
        return cell;
    if (b->count == BOOK_CELLS_MAX)
        return oldest(b);
    if (b->count == b->size) {
        b->size += GROW;
        b->cells = mem_resize(b->cells, b->size, sizeof *b->cells);
    }
    return &b->cells[b->count++];
}

static struct book_path path_of(const struct api_probe_path *says)
{
    return (struct book_path){(int32_t)says->mean_us, (int32_t)says->min_us,
                              (int8_t)says->loss_percent};
}

void book_note(struct book *b, uint32_t about, const struct api_probe *says, int64_t now_ms)
{
    *find_place(b, about) = (struct book_cell){
        .about = about,
        .state = (uint8_t)says->state,
        .is_watched = says->is_watched,
        .silent_ms = (int32_t)says->silent_ms,
        .overlay_silent_ms = (int32_t)says->overlay_silent_ms,
        .underlay = path_of(&says->underlay),
        .overlay = path_of(&says->overlay),
        .largest_bytes = (int32_t)says->largest_bytes,
        .wanted_bytes = (int32_t)says->wanted_bytes,
        .said_ms = now_ms,
    };
}

void book_forget(struct book *b, uint32_t about)
{
    struct book_cell *cell = find(b, about);

    if (cell)
        *cell = b->cells[--b->count];
}

static struct api_probe_path read_path(const struct book_path *path)
{
    return (struct api_probe_path){path->mean_us, path->min_us, path->loss_percent};
}

struct api_probe book_read(const struct book_cell *cell)
{
    return (struct api_probe){
        .is_watched = cell->is_watched,
        .state = (enum api_probe_state)cell->state,
        .silent_ms = cell->silent_ms,
        .overlay_silent_ms = cell->overlay_silent_ms,
        .underlay = read_path(&cell->underlay),
        .overlay = read_path(&cell->overlay),
        .largest_bytes = cell->largest_bytes,
        .wanted_bytes = cell->wanted_bytes,
    };
}
