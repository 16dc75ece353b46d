/* Says in the log what is changed. */
#include "agent/overlay/say.h"

#include <stdio.h>

#include "lib/base/log.h"

#define LINES_MAX 16

void overlay_change_name(const struct overlay_change *change,
                         char ret_name[static OVERLAY_NAME_SIZE])
{
    char text[IP4_PREFIX_TEXT_SIZE], mac[MAC_TEXT_SIZE];
    const struct ip4_prefix prefix = {.addr = change->addr, .len = change->prefix_len};

    if (change->object == OVERLAY_ROUTE)
        (void)snprintf(ret_name, OVERLAY_NAME_SIZE, "route to %s", ip4_prefix_format(prefix, text));
    else if (change->object == OVERLAY_ADDRESS)
        (void)snprintf(ret_name, OVERLAY_NAME_SIZE, "address %s", ip4_prefix_format(prefix, text));
    else if (change->object == OVERLAY_NEIGH)
        (void)snprintf(ret_name, OVERLAY_NAME_SIZE, "neighbour %s", ip4_format(change->addr, text));
    else if (change->object == OVERLAY_FDB)
        (void)snprintf(ret_name, OVERLAY_NAME_SIZE, "FDB entry of %s",
                       mac_format(change->mac, mac));
    else
        (void)snprintf(ret_name, OVERLAY_NAME_SIZE, "%s", overlay_object_name(change->object));
}

static void say_each(const struct overlay_changes *changes, const char *doing, bool with_routes)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct overlay_change *change = &changes->items[i];
        char name[OVERLAY_NAME_SIZE], remote[IP4_TEXT_SIZE] = "";

        if (change->object == OVERLAY_ROUTE && !with_routes)
            continue;
        overlay_change_name(change, name);
        if (change->remote != 0)
            (void)ip4_format(change->remote, remote);
        if (remote[0])
            log_info(doing, LOG_S("verb", overlay_verb_name(change->verb)), LOG_S("object", name),
                     LOG_S("remote", remote));
        else
            log_info(doing, LOG_S("verb", overlay_verb_name(change->verb)), LOG_S("object", name));
    }
}

static void say_numbers(const struct overlay_changes *changes, const char *doing)
{
    size_t counts[OVERLAY_OBJECT_COUNT] = {0};

    for (size_t i = 0; i < changes->count; i++)
        counts[changes->items[i].object]++;
    log_info(doing, LOG_U("changes", changes->count), LOG_U("device", counts[OVERLAY_DEVICE]),
             LOG_U("neigh", counts[OVERLAY_NEIGH]), LOG_U("fdb", counts[OVERLAY_FDB]),
             LOG_U("route", counts[OVERLAY_ROUTE]));
}

static bool is_more_than_routes(const struct overlay_changes *changes, bool with_routes)
{
    for (size_t i = 0; i < changes->count; i++)
        if (with_routes || changes->items[i].object != OVERLAY_ROUTE)
            return true;
    return false;
}

void overlay_say(const struct overlay_changes *changes, const char *doing, bool with_routes)
{
    if (changes->count > LINES_MAX && is_more_than_routes(changes, with_routes))
        say_numbers(changes, doing);
    else
        say_each(changes, doing, with_routes);
}
