/* A disk whose power can be cut at any step, and which then has any part of what was not synced.
 *
 * The calls by which a program changes files are replaced in the program that is linked with this.
 * They do to the one watched directory what they are asked, but sync nothing; and they keep book of
 * what a disk would have for certain and what was written since. What a cut may leave:
 *
 *     a block    as it was at the last sync, or after any of the writes to it since
 *     a size     the same, whatever has become of the blocks; what was never written is zeros
 *     names      as at the last sync of the directory, or after any of the changes since
 *
 * each for itself, whatever the others are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CUT_SECTOR 512
#define CUT_PAGE 4096
#define CUT_FILES_MAX 4

/* The directory after a cut. */
struct cut {
    size_t count;
    struct {
        char name[64];
        char *bytes; /* owned */
        size_t n;
    } files[CUT_FILES_MAX];
};

/* Whether the piece with this number (from 0) has arrived. */
typedef bool (*cut_arrives_fn)(size_t piece, void *data);

/* What is in the directory is on the disk. on_step is called before each step and after it. */
void cut_disk_watch(const char *directory, void (*on_step)(void *data), void *data);
/* Not watched any more; the files stay as they are. */
void cut_disk_leave(void);

/* So many pieces are not certain, in blocks of that size. */
size_t cut_disk_pieces(size_t block);
void cut_disk_cut(size_t block, cut_arrives_fn arrives, void *data, struct cut *ret_cut);

/* After so many more writes there is no room, for none or only for those that make a file longer;
 * -1: there is room. What a write finds there already needs none. */
void cut_disk_fill(int after_writes, bool for_longer_only);

/* Puts the files in the place of all that the directory has. */
void cut_write(const struct cut *cut, const char *directory);
void cut_deinit(struct cut *cut);
