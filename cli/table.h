/* Tables for people: a header row, columns as wide as their widest cell, two blanks between them.
 * Cells may come from other machines: what could harm a terminal is escaped. Pure.
 *
 *     HOSTNAME  STATUS  HOST-IP
 *     node1     up      192.168.1.11
 */
#pragma once

#include <stddef.h>

#include "lib/base/strbuf.h"

#define TABLE_COLUMNS_MAX 12

struct table {
    size_t columns;
    struct strbuf *cells; /* row by row, the header first; owned */
    size_t count;
    size_t size;
};

/* headers ends with NULL. */
void table_init(struct table *table, const char *const *headers);
void table_deinit(struct table *table);
/* The next cell; rows fill from the left. NULL and "" are shown as "-". */
void table_add(struct table *table, const char *cell);
void table_addf(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Every row must be complete. */
void table_print(const struct table *table, struct strbuf *out);
