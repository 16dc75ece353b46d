/* The words that the firewall's rules are made of: expressions of libnftables' JSON (man 5
 * libnftables-json), in the form that the kernel lists them back. Pure; each returns a new
 * reference.
 */
#pragma once

#include "lib/base/ip4.h"
#include "lib/base/json.h"

/* value, or the end of the process when there is no memory. */
json_t *word(json_t *value);

json_t *word_match(const char *op, json_t *left, json_t *right);
json_t *word_meta(const char *key);
json_t *word_field(const char *protocol, const char *field);
/* Bits of the packet behind the beginning of a header: "nh" of IP, "th" of what IP carries. */
json_t *word_raw(const char *base, int first_bit, int bits);
/* An address of the packet, "saddr" or "daddr", but for the bits that mask lacks. */
json_t *word_masked(const char *field, uint32_t mask);
json_t *word_addr(uint32_t addr);
json_t *word_mac(struct mac mac);
json_t *word_prefix(struct ip4_prefix prefix);
/* Of the packet's connection, or of the one that an ICMP error tells of: who sends in a direction,
 * "original" or "reply". Without a connection the condition does not hold, whatever it asks. */
json_t *word_sender(const char *direction);
json_t *word_bits(json_t *value, uint32_t mask);
json_t *word_concat(json_t *first, json_t *second, json_t *third /* or NULL */);

/* Whole conditions. */
json_t *word_in_from(const char *op, const char *device);
json_t *word_out_to(const char *op, const char *device);
json_t *word_to(const char *op, struct ip4_prefix prefix);
json_t *word_udp_port(uint16_t port);
/* Not on its way to another host: to an address of this one, or to all. */
json_t *word_is_to_this_host(void);
/* The route back to the source leads to another device than the packet came by, or nowhere. */
json_t *word_is_routed_elsewhere(void);
json_t *word_is_answer(void);
json_t *word_is_of_state(const char *state);
/* ICMP that tells of another packet, which it quotes (RFC 792). */
json_t *word_is_error(void);
/* Of these those that change the way to whom they quote. */
json_t *word_is_too_big(void);
json_t *word_is_redirect(void);
/* It quotes a packet of this protocol. */
json_t *word_is_about(const char *op, int protocol);
/* Of the rest the one that tells of a closed port. */
json_t *word_is_refusal(void);
json_t *word_is_echo_request(void);

/* What happens. */
json_t *word_count(const char *counter);
json_t *word_verdict(const char *verdict); /* "accept", "drop", "notrack" */
json_t *word_go(const char *chain);        /* and does not come back */
/* The packet's priority becomes what the map says of its source or destination ("saddr", "daddr");
 * when it says nothing, the rule ends there. map: "@" and its name. */
json_t *word_look_up(const char *field, const char *map);

/* ---- what they are put into ---------------------------------------------------------------- */

struct words_table {
    const char *family, *name;
};

struct words_hook {
    const char *name; /* of the chain */
    const char *type, *hook;
    const char *device; /* NULL: all of them */
    int priority;
};

void words_add_entry(json_t *ruleset, const char *type, json_t *body);
void words_add_table(json_t *ruleset, const struct words_table *table);
void words_add_counter(json_t *ruleset, const struct words_table *table, const char *name);
/* type: of its keys. A map's keys are IPv4 addresses. size: the most members that it may have.
 * members are taken over. */
void words_add_set(json_t *ruleset, const struct words_table *table, const char *name, json_t *type,
                   uint32_t size, json_t *members);
void words_add_map(json_t *ruleset, const struct words_table *table, const char *name,
                   const char *value_type, uint32_t size, json_t *members);
void words_add_chain(json_t *ruleset, const struct words_table *table, const char *name);
void words_add_base_chain(json_t *ruleset, const struct words_table *table,
                          const struct words_hook *hook);
/* Words, json_t *, up to NULL. */
void words_add_rule(json_t *ruleset, const struct words_table *table, const char *chain, ...);
