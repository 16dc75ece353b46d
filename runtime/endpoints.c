/* Endpoints: the table, and the names that follow from an endpoint. */
#include "runtime/endpoints.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/parse.h"

static void copy_endpoint(struct endpoint *endpoint, const struct endpoint *from)
{
    *endpoint = *from;
    endpoint->id = mem_strdup(from->id);
    endpoint->netns_path = mem_strdup(from->netns_path);
}

static void deinit_endpoint(struct endpoint *endpoint)
{
    free(endpoint->id);
    free(endpoint->netns_path);
    *endpoint = (struct endpoint){0};
}

void endpoint_table_deinit(struct endpoint_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        deinit_endpoint(&table->items[i]);
    free(table->items);
    *table = (struct endpoint_table){0};
}

void endpoint_table_copy(struct endpoint_table *table, const struct endpoint_table *from)
{
    *table = (struct endpoint_table){.count = from->count, .size = from->count};
    if (from->count == 0)
        return;
    table->items = mem_array(from->count, sizeof *table->items);
    for (size_t i = 0; i < from->count; i++)
        copy_endpoint(&table->items[i], &from->items[i]);
}

static bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->addr == b->addr && strcmp(a->id, b->id) == 0 && strcmp(a->ifname, b->ifname) == 0 &&
           strcmp(a->netns_path, b->netns_path) == 0 &&
           endpoint_netns_equal(&a->netns, &b->netns) && a->created_at_s == b->created_at_s;
}

bool endpoint_table_equal(const struct endpoint_table *a, const struct endpoint_table *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!endpoint_equal(&a->items[i], &b->items[i]))
            return false;
    return true;
}

struct endpoint *endpoint_table_find(const struct endpoint_table *table, const char *id,
                                     const char *ifname)
{
    for (size_t i = 0; i < table->count; i++) {
        struct endpoint *e = &table->items[i];

        if (strcmp(e->id, id) == 0 && strcmp(e->ifname, ifname) == 0)
            return e;
    }
    return NULL;
}

struct endpoint *endpoint_table_find_addr(const struct endpoint_table *table, uint32_t addr)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->items[i].addr == addr)
            return &table->items[i];
    }
    return NULL;
}

struct endpoint *endpoint_table_add(struct endpoint_table *table, const struct endpoint *endpoint)
{
    if (table->count == table->size) {
        table->size = table->size ? table->size * 2 : 16;
        table->items = mem_resize(table->items, table->size, sizeof *table->items);
    }
    copy_endpoint(&table->items[table->count], endpoint);
    return &table->items[table->count++];
}

void endpoint_table_remove(struct endpoint_table *table, const char *id, const char *ifname)
{
    struct endpoint *e = endpoint_table_find(table, id, ifname);
    size_t place;

    if (!e)
        return;
    place = (size_t)(e - table->items);
    deinit_endpoint(e);
    table->count--;
    memmove(e, e + 1, (table->count - place) * sizeof *e);
}

bool endpoint_netns_equal(const struct endpoint_netns *a, const struct endpoint_netns *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->cookie == b->cookie;
}

void endpoint_host_ifname(uint32_t addr, char ret_name[static IFNAMSIZ])
{
    (void)snprintf(ret_name, IFNAMSIZ, MESH_ENDPOINT_PREFIX "%08x", addr);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool endpoint_host_ifname_parse(const char *name, uint32_t *ret_addr)
{
    size_t prefix_len = sizeof MESH_ENDPOINT_PREFIX - 1;
    uint32_t addr = 0;

    if (strncmp(name, MESH_ENDPOINT_PREFIX, prefix_len) != 0 || strlen(name) != prefix_len + 8)
        return false;
    for (const char *p = name + prefix_len; *p; p++) {
        int digit = hex_digit(*p);

        if (digit < 0)
            return false;
        addr = addr << 4 | (uint32_t)digit;
    }
    *ret_addr = addr;
    return true;
}

void endpoint_alias(const char *id, const char *ifname, char ret_alias[static ENDPOINT_ALIAS_SIZE])
{
    /* IFALIASZ counts the NUL. What does not fit is cut in the id and marked, so that nobody takes
     * the rest for the whole. */
    size_t room = ENDPOINT_ALIAS_SIZE - sizeof ENDPOINT_ALIAS_PREFIX - 1 - strlen(ifname);

    bool is_cut = strlen(id) > room;

    (void)snprintf(ret_alias, ENDPOINT_ALIAS_SIZE, ENDPOINT_ALIAS_PREFIX "%.*s%s/%s",
                   (int)(is_cut ? room - 1 : room), id, is_cut ? "~" : "", ifname);
}

bool endpoint_alias_parse(const char *alias, char **ret_id, char ret_ifname[static IFNAMSIZ])
{
    size_t prefix_len = sizeof ENDPOINT_ALIAS_PREFIX - 1;
    AUTO_FREE char *id = NULL;
    char *slash;

    if (strncmp(alias, ENDPOINT_ALIAS_PREFIX, prefix_len) != 0)
        return false;
    id = mem_strdup(alias + prefix_len);
    slash = strchr(id, '/');
    if (!slash)
        return false;
    *slash = '\0';
    if (parse_id(id) < 0 || parse_ifname(slash + 1) < 0)
        return false;
    memcpy(ret_ifname, slash + 1, strlen(slash + 1) + 1);
    *ret_id = TAKE_PTR(id);
    return true;
}
