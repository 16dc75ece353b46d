/* The table of frames. */
#include "runtime/frames.h"

#include <string.h>

#include "lib/api/mesh.h"
#include "lib/base/mem.h"
#include "runtime/endpoints.h"
#include "runtime/firewall_words.h"
#include "runtime/short_cut.h"

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

json_t *frames_ruleset(const struct firewall_spec *spec)
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
    if (spec->has_short_cut)
        short_cut_add(ruleset, &netdev, spec);
    return ruleset;
}

bool frames_has_short_cut(const json_t *listing)
{
    const json_t *entry;
    size_t i;

    json_array_foreach (listing, i, entry) {
        const char *name =
            json_string_value(json_object_get(json_object_get(entry, "map"), "name"));

        if (name && strcmp(name, SHORT_CUT_DEVICES) == 0)
            return true;
    }
    return false;
}

json_t *frames_probe(const char *table)
{
    return short_cut_probe(&(struct words_table){FRAMES_FAMILY, table});
}

/* ---- doors --------------------------------------------------------------------------------- */

/* Named after the device. */
static json_t *make_door(const char *device)
{
    json_t *door = json_array();

    words_add_base_chain(door, &netdev,
                         &(struct words_hook){.name = device,
                                              .type = "filter",
                                              .hook = "ingress",
                                              .device = device,
                                              .priority = PRIORITY});
    return door;
}

json_t *frames_door(const struct firewall_spec *spec, uint32_t addr)
{
    char name[IFNAMSIZ];
    json_t *door;

    endpoint_host_ifname(addr, name);
    door = make_door(name);
    /* First: Linux 6.2 to 6.6 show a tag that they have put aside only to who asks for the type. */
    words_add_rule(door, &netdev, name, is_frame_of("!=", "ip"), word_go(FRAMES), NULL);
    if (spec->has_short_cut)
        short_cut_add_entry(door, &netdev, name, addr);
    return door;
}

json_t *frames_overlay_door(const struct firewall_spec *spec)
{
    json_t *door = make_door(MESH_DEVICE_NAME);

    short_cut_add_exit(door, &netdev, MESH_DEVICE_NAME, spec);
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

static bool is_of_door(const json_t *entry)
{
    const char *name = chain_of(entry);
    uint32_t addr;

    return name && (endpoint_host_ifname_parse(name, &addr) || strcmp(name, MESH_DEVICE_NAME) == 0);
}

json_t *frames_without_doors(const json_t *listing)
{
    json_t *rest = json_array(), *entry;
    size_t i;

    json_array_foreach (listing, i, entry) {
        if (!is_of_door(entry))
            json_array_append(rest, entry);
    }
    return rest;
}

json_t *frames_list_doors(const json_t *listing)
{
    json_t *names = json_array(), *entry;
    size_t i;

    json_array_foreach (listing, i, entry) {
        if (json_object_get(entry, "chain") && is_of_door(entry))
            json_array_append_new(names, json_string(chain_of(entry)));
    }
    return names;
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

bool frames_has_door(const json_t *listing, const json_t *door)
{
    const char *name = chain_of(json_array_get(door, 0));
    size_t i, chains = 0, rules = 1; /* in the door the chain is the first entry */
    const json_t *entry;

    json_array_foreach (listing, i, entry) {
        const json_t *chain = json_object_get(entry, "chain"), *want;
        const char *of = chain_of(entry);

        if (!of || strcmp(of, name) != 0)
            continue;
        if (chain) {
            chains += is_door_chain(chain, name);
            continue;
        }
        want = json_object_get(json_array_get(door, rules++), "rule");
        if (!json_equal(json_object_get(json_object_get(entry, "rule"), "expr"),
                        json_object_get(want, "expr")))
            return false;
    }
    return chains == 1 && rules == json_array_size(door);
}
