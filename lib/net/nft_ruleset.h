/* Rulesets as JSON values: one canonical form for what we want and what the kernel lists, and the
 * commands that make it so. No kernel here. For nft.c and its tests.
 */
#pragma once

#include "lib/base/json.h"

/* The canonical form of a listing or of a ruleset written by hand: no handles, no counter values,
 * no remaining times, unordered lists (set elements, flags, lists of values to match) sorted, hosts
 * without "/32". Comments of tables, chains and sets are dropped: libnftables 1.0.6 neither writes
 * nor lists them; rules keep theirs. A new reference. */
json_t *nft_ruleset_canonical(const json_t *ruleset);

/* The commands of one transaction that replaces the table: {"nftables": [...]}. Tables come first,
 * then chains, then sets and maps (which may name chains), then rules, each in its own order.
 * -EINVAL: something in ruleset is not of this family and table. */
int nft_ruleset_commands(const json_t *ruleset, const char *family, const char *table,
                         json_t **ret_commands);
/* The same for a table that is `have` now, as listed: what is in both stays, and only its rules and
 * elements are other ones then. Where a thing of the same name is another one, the table is
 * replaced after all. */
int nft_ruleset_change_commands(const json_t *have, const json_t *want, const char *family,
                                const char *table, json_t **ret_commands);
