/* Elements of nftables sets and maps, one by one: libnftables reads the whole set before it changes
 * one. nfnetlink, linux/netfilter/nf_tables.h. */
#pragma once

#include "lib/net/netlink.h"

#define NFT_ELEMENT_KEY_MAX 32

struct nft_element {
    uint8_t family;  /* of the table: NFPROTO_INET, NFPROTO_NETDEV */
    const char *set; /* borrowed; the name of a set or map */
    bool is_removal;
    /* As packets have it: addresses in network order, numbers of the kernel's own in host order;
     * the parts of a concatenation each padded to four bytes. */
    uint8_t key[NFT_ELEMENT_KEY_MAX];
    uint8_t key_bytes;
    bool has_value; /* it is one of a map, and added */
    uint32_t value; /* as above */
};

/* A socket for both functions, bound to the network namespace it is opened in. */
int nft_elements_open(struct nl **ret_nl);

/* Makes these changes to sets of the tables of this name, in their order and in one transaction, or
 * in several when there are thousands; returns in how many. Adding what is there succeeds; removing
 * what is not there fails, and so does a set that is not there. */
int nft_elements_change(struct nl *nl, const char *table, const struct nft_element *elements,
                        size_t count);

/* The number of transactions that this namespace's nftables have seen, whoever made them: as long
 * as it stays, no table, rule or element has changed. (A device that goes takes its chains of
 * family netdev with it, and that is none.) */
int nft_generation(struct nl *nl, uint32_t *ret_generation);
