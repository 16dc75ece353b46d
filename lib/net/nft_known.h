/* Until which generation nftables are known to be as we left them, as far as our tables go. Pure.
 *
 * The kernel tells of each transaction: first of each object, which names its table, and last of
 * the generation that it made. One in which nobody named ours is known without a look.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>

/* Zeroed but for the table: nothing is known. The owner sets generation and is_known after a look,
 * and counts its own transactions. */
struct nft_known {
    const char *table; /* ours have this name, in whatever family; borrowed */
    uint32_t generation;
    bool is_known;
    bool is_named; /* by the transaction that is being told of */
};

/* A notification of NFNLGRP_NFTABLES; NULL: some were lost. */
void nft_known_take(struct nft_known *known, const struct nlmsghdr *message);
