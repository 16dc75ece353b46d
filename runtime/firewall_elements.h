/* Members of the firewall's sets, as the kernel has them in its packets. Pure. */
#pragma once

#include "lib/net/nft_elements.h"
#include "runtime/members.h"

struct nft_element firewall_element(const struct member *member, bool is_removal);
