/* The table of frames. */
#include "runtime/frames.h"

#include <string.h>

#include "lib/base/mem.h"
#include "runtime/endpoints.h"
#include "runtime/firewall_words.h"

#define FRAMES "frames"
#define PRIORITY (-300)

static const struct words_table netdev = {FRAMES_FAMILY, FRAMES_TABLE};

static json_t *is_frame_of(const char *op, const char *type)
{
    return word_match(op, word_field("ether", "type"), json_string(type));
}

static void add_drop(json_t *ruleset, json_t *condition, enum firewall_reason reason)
{
    words_add_rule(ruleset, &netdev, FRAMES, condition, word_count(firewall_reasons[reason]),
                   word_verdict("drop"), NULL);
}

json_t *frames_ruleset(void)
{
    json_t *ruleset = json_array();
    json_t *tags = word(json_pack("{s:[s, s]}", "set", "8021q", "8021ad"));

    words_add_table(ruleset, &netdev);
    for (size_t i = FIREWALL_FRAMES_FIRST; i < FIREWALL_REASON_COUNT; i++)
        words_add_counter(ruleset, &netdev, firewall_reasons[i]);
    words_add_chain(ruleset, &netdev, FRAMES);
    add_drop(ruleset, is_frame_of("==", "arp"), FIREWALL_ARP);
    add_drop(ruleset, is_frame_of("==", "ip6"), FIREWALL_IP6);
    add_drop(ruleset, word_match("==", word_field("ether", "type"), tags), FIREWALL_VLAN);
    words_add_rule(ruleset, &netdev, FRAMES, word_count(firewall_reasons[FIREWALL_FRAME]),
                   word_verdict("drop"), NULL);
    return ruleset;
}

json_t *frames_door(uint32_t addr)
{
    json_t *door = json_array();
    char name[IFNAMSIZ];

    endpoint_host_ifname(addr, name);
    words_add_base_chain(door, &netdev,
                         &(struct words_hook){.name = name,
                                              .type = "filter",
                                              .hook = "ingress",
                                              .device = name,
                                              .priority = PRIORITY});
    words_add_rule(door, &netdev, name, is_frame_of("!=", "ip"), word_go(FRAMES), NULL);
    return door;
}

/* ---- listings ------------------------------------------------------------------------------ */

/* The name of the chain that an entry is, or is a rule of; NULL for all else. */
static const char *chain_of(const json_t *entry)
{
    const json_t *chain = json_object_get(entry, "chain");
    const json_t *rule = json_object_get(entry, "rule");

    return chain ? json_string_value(json_object_get(chain, "name"))
                 : json_string_value(json_object_get(rule, "chain"));
}

static bool is_of_door(const json_t *entry, uint32_t *ret_addr)
{
    const char *name = chain_of(entry);

    return name && endpoint_host_ifname_parse(name, ret_addr);
}

json_t *frames_without_doors(const json_t *listing)
{
    json_t *rest = json_array(), *entry;
    uint32_t addr;
    size_t i;

    json_array_foreach (listing, i, entry) {
        if (!is_of_door(entry, &addr))
            json_array_append(rest, entry);
    }
    return rest;
}

uint32_t *frames_list_doors(const json_t *listing, size_t *ret_count)
{
    uint32_t *doors = mem_array(json_array_size(listing) + 1, sizeof *doors);
    size_t i, count = 0;
    json_t *entry;

    json_array_foreach (listing, i, entry) {
        if (json_object_get(entry, "chain") && is_of_door(entry, &doors[count]))
            count++;
    }
    *ret_count = count;
    return doors;
}

/* libnftables 1.0.6 does not list a chain's device; it is the one that the chain is named after, or
 * the chain is not ours. */
static bool is_door_chain(const json_t *chain, const char *name)
{
    const char *hook = json_string_value(json_object_get(chain, "hook"));
    const json_t *device = json_object_get(chain, "dev");

    return hook && strcmp(hook, "ingress") == 0 &&
           (!json_is_string(device) || strcmp(json_string_value(device), name) == 0);
}

bool frames_has_door(const json_t *listing, uint32_t addr)
{
    AUTO_JSON json_t *want = frames_door(addr);
    const json_t *want_rule = json_object_get(json_array_get(want, 1), "rule");
    const json_t *entry;
    size_t i, chains = 0, rules = 0, right = 0;
    char name[IFNAMSIZ];
    uint32_t found;

    endpoint_host_ifname(addr, name);
    json_array_foreach (listing, i, entry) {
        const json_t *chain = json_object_get(entry, "chain"),
                     *rule = json_object_get(entry, "rule");

        if (!is_of_door(entry, &found) || found != addr)
            continue;
        chains += chain && is_door_chain(chain, name);
        rules += rule != NULL;
        right +=
            rule && json_equal(json_object_get(rule, "expr"), json_object_get(want_rule, "expr"));
    }
    return chains == 1 && rules == 1 && right == 1;
}
