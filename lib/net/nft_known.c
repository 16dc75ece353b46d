/* What is told of transactions. */
#include "lib/net/nft_known.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "lib/net/message.h"

/* All objects have it in one place (include/uapi/linux/netfilter/nf_tables.h). */
#define OBJECT_TABLE 1
static_assert(NFTA_TABLE_NAME == OBJECT_TABLE && NFTA_CHAIN_TABLE == OBJECT_TABLE &&
                  NFTA_RULE_TABLE == OBJECT_TABLE && NFTA_SET_TABLE == OBJECT_TABLE &&
                  NFTA_SET_ELEM_LIST_TABLE == OBJECT_TABLE && NFTA_OBJ_TABLE == OBJECT_TABLE &&
                  NFTA_FLOWTABLE_TABLE == OBJECT_TABLE,
              "an object's table");

/* Our own are counted before they are heard of. */
static void take_generation(struct nft_known *known, uint32_t generation)
{
    int32_t ahead = (int32_t)(generation - known->generation);

    if (ahead > 0 && (ahead > 1 || known->is_named))
        known->is_known = false;
    else if (ahead == 1)
        known->generation = generation;
    known->is_named = false;
}

static void take_object(struct nft_known *known, const struct nl_attrs *attrs)
{
    char table[NFT_TABLE_MAXNAMELEN];

    nl_attr_text(attrs, OBJECT_TABLE, table, sizeof table);
    if (table[0] == '\0' || strcmp(table, known->table) == 0)
        known->is_named = true;
}

void nft_known_take(struct nft_known *known, const struct nlmsghdr *message)
{
    struct nl_attrs attrs;

    if (!message || !nl_message_header(message, sizeof(struct nfgenmsg)) ||
        NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_NFTABLES) {
        known->is_known = false;
        known->is_named = true;
        return;
    }
    nl_attrs_parse(message, sizeof(struct nfgenmsg), &attrs);
    if (NFNL_MSG_TYPE(message->nlmsg_type) == NFT_MSG_NEWGEN)
        take_generation(known, ntohl(nl_attr_u32(&attrs, NFTA_GEN_ID, 0)));
    else
        take_object(known, &attrs);
}
