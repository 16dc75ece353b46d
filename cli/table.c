/* Tables for people. */
#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#define GAP 2

/* Characters, which is what a terminal's columns are for the names that hosts have. */
static size_t width_of(const struct strbuf *cell)
{
    size_t width = 0;

    for (size_t i = 0; i < cell->len; i++)
        width += (cell->data[i] & 0xc0) != 0x80;
    return width;
}

void table_init(struct table *t, const char *const *headers)
{
    *t = (struct table){0};
    while (headers[t->columns])
        t->columns++;
    assert(t->columns > 0 && t->columns <= TABLE_COLUMNS_MAX);
    for (size_t i = 0; i < t->columns; i++)
        table_add(t, headers[i]);
}

void table_deinit(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        strbuf_deinit(&t->cells[i]);
    free(t->cells);
    *t = (struct table){0};
}

void table_add(struct table *t, const char *cell)
{
    if (t->count == t->size) {
        t->size = t->size ? t->size * 2 : 64;
        t->cells = mem_resize(t->cells, t->size, sizeof *t->cells);
    }
    t->cells[t->count] = (struct strbuf){0};
    strbuf_add_printable(&t->cells[t->count], cell && *cell ? cell : "-");
    t->count++;
}

void table_addf(struct table *t, const char *fmt, ...)
{
    AUTO_FREE char *cell = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&cell, fmt, args) < 0)
        mem_exhausted(0);
    va_end(args);
    table_add(t, cell);
}

static void measure(const struct table *t, size_t widths[static TABLE_COLUMNS_MAX])
{
    for (size_t i = 0; i < t->count; i++) {
        size_t width = width_of(&t->cells[i]), column = i % t->columns;

        if (i < t->columns || width > widths[column])
            widths[column] = width;
    }
}

void table_print(const struct table *t, struct strbuf *out)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    assert(t->count % t->columns == 0);
    measure(t, widths);
    for (size_t i = 0; i < t->count; i++) {
        const struct strbuf *cell = &t->cells[i];
        size_t column = i % t->columns;
        bool is_last = column == t->columns - 1;

        strbuf_add(out, cell->data, cell->len);
        if (is_last)
            strbuf_add(out, "\n", 1);
        else
            strbuf_addf(out, "%*s", (int)(widths[column] - width_of(cell) + GAP), "");
    }
}
