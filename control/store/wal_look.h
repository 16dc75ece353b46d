/* What is in a write-ahead log, as its bytes say (https://sqlite.org/fileformat2.html, section 4):
 *
 *     | header: 32 bytes                 | frame              | frame              | ...
 *       magic, page size, salt 1 and 2,    page, commit mark,
 *       checksum                           salt 1 and 2, checksum, the page's bytes
 *
 * The salts are those of one life of the log: after each checkpoint it is overwritten from its
 * beginning, with a first salt that is one more, so frames of before are told from those that
 * count. A commit mark closes a transaction. A checksum covers all frames up to its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct wal_facts {
    uint64_t bytes;     /* of the file; 0: there is none, or nothing is in it */
    bool has_header;    /* a whole one; the others are 0 without */
    uint32_t salt;      /* the first one */
    uint32_t frames;    /* up to the last commit that a recovery comes to */
    uint32_t only_page; /* that all these frames are of; 0: they are of several, or there is none */
    bool is_broken;     /* behind what a recovery comes to lie more commits than a crash leaves */
};

/* A commit is begun when the one before is on the disk. So after a crash at most one lies behind
 * what can be read, torn; and where nothing can be read, which SQLite then writes over with the
 * same salts, one that another crash has left. Where there are more, something that was committed
 * cannot be read any more. 0, or -errno with a text. */
int wal_look(const char *wal_path, struct wal_facts *ret_facts);

/* That of its header. -EIO: it has none that is whole. */
int wal_read_salt(const char *wal_path, uint32_t *ret_salt);
