/* Expressions of nftables as JSON values. */
#include "runtime/firewall_words.h"

#include <stdarg.h>

#include "lib/base/mem.h"

json_t *word(json_t *value)
{
    if (!value)
        mem_exhausted(0);
    return value;
}

json_t *word_match(const char *op, json_t *left, json_t *right)
{
    return word(json_pack("{s:{s:s, s:o, s:o}}", "match", "op", op, "left", left, "right", right));
}

json_t *word_meta(const char *key)
{
    return word(json_pack("{s:{s:s}}", "meta", "key", key));
}

json_t *word_field(const char *protocol, const char *field)
{
    return word(json_pack("{s:{s:s, s:s}}", "payload", "protocol", protocol, "field", field));
}

json_t *word_raw(const char *base, int first_bit, int bits)
{
    return word(json_pack("{s:{s:s, s:i, s:i}}", "payload", "base", base, "offset", first_bit,
                          "len", bits));
}

json_t *word_addr(uint32_t addr)
{
    char text[IP4_TEXT_SIZE];

    return word(json_string(ip4_format(addr, text)));
}

json_t *word_mac(struct mac mac)
{
    char text[MAC_TEXT_SIZE];

    return word(json_string(mac_format(mac, text)));
}

json_t *word_bits(json_t *value, uint32_t mask)
{
    return word(json_pack("{s:[o, o]}", "&", value, word_addr(mask)));
}

json_t *word_masked(const char *field, uint32_t mask)
{
    return word_bits(word_field("ip", field), mask);
}

json_t *word_sender(const char *direction)
{
    return word(json_pack("{s:{s:s, s:s}}", "ct", "key", "ip saddr", "dir", direction));
}

json_t *word_prefix(struct ip4_prefix prefix)
{
    return word(json_pack("{s:{s:o, s:i}}", "prefix", "addr", word_addr(prefix.addr), "len",
                          (int)prefix.len));
}

json_t *word_concat(json_t *first, json_t *second, json_t *third)
{
    json_t *list = json_pack("[o, o]", first, second);

    if (third)
        json_array_append_new(list, third);
    return word(json_pack("{s:o}", "concat", list));
}

/* ---- conditions ---------------------------------------------------------------------------- */

json_t *word_in_from(const char *op, const char *device)
{
    return word_match(op, word_meta("iifname"), json_string(device));
}

json_t *word_out_to(const char *op, const char *device)
{
    return word_match(op, word_meta("oifname"), json_string(device));
}

json_t *word_to(const char *op, struct ip4_prefix prefix)
{
    return word_match(op, word_field("ip", "daddr"), word_prefix(prefix));
}

json_t *word_udp_port(uint16_t port)
{
    return word_match("==", word_field("udp", "dport"), json_integer(port));
}

static json_t *word_fib(const char *result, const char *address, const char *more)
{
    json_t *flags = json_pack("[s]", address);

    if (more)
        json_array_append_new(flags, json_string(more));
    return word(json_pack("{s:{s:s, s:o}}", "fib", "result", result, "flags", flags));
}

json_t *word_is_to_this_host(void)
{
    return word_match("!=", word_fib("type", "daddr", NULL), json_string("unicast"));
}

json_t *word_is_routed_elsewhere(void)
{
    return word_match("==", word_fib("oif", "saddr", "iif"), json_string("0"));
}

json_t *word_is_answer(void)
{
    return word_match("in", word(json_pack("{s:{s:s}}", "ct", "key", "state")),
                      json_pack("[s, s]", "established", "related"));
}

json_t *word_is_of_state(const char *state)
{
    return word_match("in", word(json_pack("{s:{s:s}}", "ct", "key", "state")), json_string(state));
}

json_t *word_is_error(void)
{
    return word_match(
        "==", word_field("icmp", "type"),
        word(json_pack("{s:[s, s, s, s, s]}", "set", "destination-unreachable", "source-quench",
                       "redirect", "time-exceeded", "parameter-problem")));
}

json_t *word_is_too_big(void)
{
    return word_match("==", word_field("icmp", "code"), json_string("frag-needed"));
}

json_t *word_is_redirect(void)
{
    return word_match("==", word_field("icmp", "type"), json_string("redirect"));
}

json_t *word_is_about(const char *op, int protocol)
{
    const int quoted_at = 8 * 8, protocol_at = 9 * 8;

    return word_match(op, word_raw("th", quoted_at + protocol_at, 8), json_integer(protocol));
}

json_t *word_is_refusal(void)
{
    return word_match("==", word_field("icmp", "code"), json_string("port-unreachable"));
}

json_t *word_is_echo_request(void)
{
    return word_match("==", word_field("icmp", "type"), json_string("echo-request"));
}

/* ---- what happens -------------------------------------------------------------------------- */

json_t *word_count(const char *counter)
{
    return word(json_pack("{s:s}", "counter", counter));
}

json_t *word_verdict(const char *verdict)
{
    return word(json_pack("{s:n}", verdict));
}

json_t *word_go(const char *chain)
{
    return word(json_pack("{s:{s:s}}", "goto", "target", chain));
}

json_t *word_look_up(const char *field, const char *map)
{
    return word(json_pack("{s:{s:o, s:{s:{s:o, s:s}}}}", "mangle", "key", word_meta("priority"),
                          "value", "map", "key", word_field("ip", field), "data", map));
}

/* ---- what they are put into ---------------------------------------------------------------- */

void words_add_entry(json_t *ruleset, const char *type, json_t *body)
{
    json_array_append_new(ruleset, word(json_pack("{s:o}", type, body)));
}

void words_add_table(json_t *ruleset, const struct words_table *table)
{
    words_add_entry(ruleset, "table",
                    json_pack("{s:s, s:s}", "family", table->family, "name", table->name));
}

static void add_named(json_t *ruleset, const char *type, const struct words_table *table,
                      const char *name)
{
    words_add_entry(
        ruleset, type,
        json_pack("{s:s, s:s, s:s}", "family", table->family, "name", name, "table", table->name));
}

void words_add_counter(json_t *ruleset, const struct words_table *table, const char *name)
{
    add_named(ruleset, "counter", table, name);
}

void words_add_set(json_t *ruleset, const struct words_table *table, const char *name, json_t *type,
                   uint32_t size, json_t *members)
{
    words_add_entry(ruleset, "set",
                    json_pack("{s:s, s:s, s:s, s:o, s:I, s:o}", "family", table->family, "name",
                              name, "table", table->name, "type", type, "size", (json_int_t)size,
                              "elem", members));
}

void words_add_map(json_t *ruleset, const struct words_table *table, const char *name,
                   const char *value_type, uint32_t size, json_t *members)
{
    words_add_entry(ruleset, "map",
                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o}", "family", table->family,
                              "name", name, "table", table->name, "type", "ipv4_addr", "map",
                              value_type, "size", (json_int_t)size, "elem", members));
}

void words_add_chain(json_t *ruleset, const struct words_table *table, const char *name)
{
    add_named(ruleset, "chain", table, name);
}

void words_add_base_chain(json_t *ruleset, const struct words_table *table,
                          const struct words_hook *hook)
{
    json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s}", "family", table->family,
                             "table", table->name, "name", hook->name, "type", hook->type, "hook",
                             hook->hook, "prio", hook->priority, "policy", "accept");

    if (hook->device)
        json_object_set_new(body, "dev", json_string(hook->device));
    words_add_entry(ruleset, "chain", body);
}

void words_add_rule(json_t *ruleset, const struct words_table *table, const char *chain, ...)
{
    json_t *expr = json_array(), *next;
    va_list words;

    va_start(words, chain);
    while ((next = va_arg(words, json_t *)) != NULL)
        json_array_append_new(expr, next);
    va_end(words);
    words_add_entry(ruleset, "rule",
                    json_pack("{s:s, s:s, s:s, s:o}", "family", table->family, "table", table->name,
                              "chain", chain, "expr", expr));
}
