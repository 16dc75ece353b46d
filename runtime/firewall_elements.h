/* Members of the firewall's sets, as the kernel has them in its packets. Pure. */
#pragma once

#include "lib/net/nft_elements.h"
#include "runtime/members.h"

#define FIREWALL_ELEMENTS_MAX 2

/* Writes its elements, to be added, one for each table that has it; returns how many. */
size_t firewall_elements(const struct member *member,
                         struct nft_element ret[static FIREWALL_ELEMENTS_MAX]);
