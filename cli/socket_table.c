/* Tables of sockets. */
#include "cli/socket_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define LOCAL_FIELD 1
#define STATE_FIELD 3
#define UID_FIELD 7
#define LISTENS "0A"
#define ADDR_PORT_SIZE 48

const char *socket_table_field(const char *line, int n, size_t *ret_n)
{
    line += strspn(line, " ");
    for (int i = 0; i < n; i++) {
        line += strcspn(line, " \n");
        line += strspn(line, " ");
    }
    *ret_n = strcspn(line, " \n");
    return line;
}

static bool has_word(const char *line, int n, const char *word)
{
    size_t length;
    const char *found = socket_table_field(line, n, &length);

    return length == strlen(word) && memcmp(found, word, length) == 0;
}

/* The line of who listens at this local end; NULL when there is none. */
static const char *find(const char *table, const char *local)
{
    const char *line = strchr(table, '\n');

    while (line && *++line) {
        if (has_word(line, LOCAL_FIELD, local) && has_word(line, STATE_FIELD, LISTENS))
            return line;
        line = strchr(line, '\n');
    }
    return NULL;
}

static int read_uid(const char *line, uint32_t *ret_uid)
{
    size_t n;
    const char *word = socket_table_field(line, UID_FIELD, &n);
    AUTO_FREE char *text = mem_printf("%.*s", (int)n, word);
    uint64_t uid;
    int r = parse_u64(text, UINT32_MAX, &uid);

    if (r == 0)
        *ret_uid = (uint32_t)uid;
    return r;
}

/* The kernel takes the listener at the very address before one at all of them. An address stands
 * there as its bytes make a number on this machine. */
int socket_table_listener(const char *tcp, const char *tcp6, uint32_t addr, uint16_t port,
                          uint32_t *ret_uid)
{
    const uint32_t addr_be = htonl(addr), mapped_be = htonl(0xffff);
    char own[ADDR_PORT_SIZE], own6[ADDR_PORT_SIZE], any[ADDR_PORT_SIZE], any6[ADDR_PORT_SIZE];
    const struct {
        const char *table, *local;
    } places[] = {{tcp, own}, {tcp6, own6}, {tcp, any}, {tcp6, any6}};

    (void)snprintf(own, sizeof own, "%08X:%04X", addr_be, port);
    (void)snprintf(own6, sizeof own6, "%016X%08X%08X:%04X", 0, mapped_be, addr_be, port);
    (void)snprintf(any, sizeof any, "%08X:%04X", 0, port);
    (void)snprintf(any6, sizeof any6, "%032X:%04X", 0, port);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        const char *line = find(places[i].table, places[i].local);

        if (line)
            return read_uid(line, ret_uid);
    }
    return -ENOENT;
}
