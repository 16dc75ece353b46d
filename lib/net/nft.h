/* One nftables table of ours, as libnftables JSON (man 5 libnftables-json). The only user of
 * libnftables. No text of the nft language is ever built.
 *
 * A ruleset is a JSON array of {"table"|"chain"|"set"|"rule": {...}} objects, in the form that the
 * kernel lists back ("list table"), without handles. Writing it in that form is what lets want and
 * have be compared exactly: priorities as numbers, networks as prefix objects. Comments of rules
 * are kept; those of tables, chains and sets libnftables 1.0.6 neither writes nor lists. Errors are
 * -EIO with the first line that nftables says, for it gives no numbers.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"
#include "lib/net/change_monitor.h"

struct nft; /* bound to the network namespace it was made in */

int nft_new(struct nft **ret_nft);
void nft_free(struct nft *nft);
DEFINE_CLEANUP(struct nft *, nft_free);
#define AUTO_NFT CLEANUP(cleanup_nft_free)

/* The table as it is, in the ruleset form: no handles, no counter values, unordered lists sorted.
 * -ENOENT when there is none. */
int nft_table_get(struct nft *nft, const char *family, const char *table, json_t **ret_ruleset);

/* Every object of every table, whoever made it, as nftables lists them: an array. */
int nft_list_all(struct nft *nft, json_t **ret_objects);

/* Makes the table exactly this, in one transaction: there is no moment without it or with half of
 * it. ruleset begins with the table object; -EINVAL when anything in it is of another table. */
int nft_table_set(struct nft *nft, const char *family, const char *table, const json_t *ruleset);

/* The same for a table that is `have` now, as nft_table_get() has listed it; NULL: there is none.
 * Where it can be, each chain and set stays what it is and gets its rules and elements anew, so
 * that a packet which passes meanwhile meets the old rules or the new ones. A table that is
 * replaced drops some: for a moment the kernel runs the old one's chains while its sets count as
 * empty already. */
int nft_table_change(struct nft *nft, const char *family, const char *table, const json_t *have,
                     const json_t *want);

/* Whether this kernel takes such a table: it is made and removed in one transaction, so that nobody
 * ever sees it. 0, or negative with what nftables says. */
int nft_table_try(struct nft *nft, const char *family, const char *table, const json_t *ruleset);

/* Makes sets and maps hold exactly these elements, in one transaction (flush and add). sets: their
 * entries, as in a ruleset. */
int nft_sets_fill(struct nft *nft, const char *family, const char *table, const json_t *sets);

/* Makes each of these chains hold exactly these rules, and removes the ones named in gone, in one
 * transaction. chains: entries of chains and of their rules, as in a ruleset. */
int nft_chains_set(struct nft *nft, const char *family, const char *table, const json_t *chains,
                   const json_t *gone);

/* The packets that each of the table's named counters has counted, by name; an object. -ENOENT when
 * there is no such table. */
int nft_counters_get(struct nft *nft, const char *family, const char *table, json_t **ret_packets);

/* Removing what is not there succeeds. */
int nft_table_delete(struct nft *nft, const char *family, const char *table);

/* Whether two rulesets are the same: order matters among the rules of a chain, not elsewhere. */
bool nft_ruleset_equal(const json_t *a, const json_t *b);

/* Calls fn after any process has changed any nftables object (or when notifications were lost). */
int nft_monitor_new(struct loop *loop, loop_fn fn, void *data, struct change_monitor **ret_monitor);
