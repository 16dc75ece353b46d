/* Transactions of ours and of others, as the kernel tells of them. */
#include "lib/net/nft_known.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "lib/net/message.h"
#include "tests/unit/cmocka.h"

static const struct nft_known at_10 = {.table = "quilt", .generation = 10, .is_known = true};

static void begin(union nl_request *message, int type)
{
    (void)nl_request_begin(&message->header, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0,
                           sizeof(struct nfgenmsg));
}

static void object(struct nft_known *known, int type, const char *table)
{
    union nl_request message = {0};

    begin(&message, type);
    if (table)
        mnl_attr_put_strz(&message.header, NFTA_TABLE_NAME, table);
    nft_known_take(known, &message.header);
}

static void generation(struct nft_known *known, uint32_t id)
{
    union nl_request message = {0};

    begin(&message, NFT_MSG_NEWGEN);
    mnl_attr_put_u32(&message.header, NFTA_GEN_ID, htonl(id));
    nft_known_take(known, &message.header);
}

static void others_tables_change_nothing_of_ours(void **state)
{
    struct nft_known known = at_10;

    object(&known, NFT_MSG_NEWTABLE, "filter");
    object(&known, NFT_MSG_NEWSETELEM, "quilted");
    generation(&known, 11);
    object(&known, NFT_MSG_DELTABLE, "filter");
    generation(&known, 12);
    assert_true(known.is_known);
    assert_int_equal(known.generation, 12);
}

static void each_kind_of_object_of_ours_is_noticed(void **state)
{
    static const int types[] = {NFT_MSG_NEWTABLE,   NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN,
                                NFT_MSG_DELRULE,    NFT_MSG_NEWSET,   NFT_MSG_NEWSETELEM,
                                NFT_MSG_DELSETELEM, NFT_MSG_NEWOBJ,   NFT_MSG_NEWFLOWTABLE};

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct nft_known known = at_10;

        object(&known, NFT_MSG_NEWTABLE, "filter");
        object(&known, types[i], "quilt");
        object(&known, NFT_MSG_NEWTABLE, "filter");
        generation(&known, 11);
        assert_false(known.is_known);
    }
}

static void ours_of_before_is_no_reason_to_look(void **state)
{
    struct nft_known known = at_10;

    object(&known, NFT_MSG_NEWSETELEM, "quilt");
    generation(&known, 9);
    object(&known, NFT_MSG_NEWSETELEM, "quilt");
    generation(&known, 10);
    assert_true(known.is_known);
    object(&known, NFT_MSG_NEWTABLE, "filter");
    generation(&known, 11);
    assert_true(known.is_known);
    assert_int_equal(known.generation, 11);
}

static void what_was_not_heard_or_not_understood_may_be_of_ours(void **state)
{
    union nl_request short_one = {0}, foreign = {0};
    struct nft_known skipped = at_10, lost = at_10, cut = at_10, odd = at_10, nameless = at_10;

    generation(&skipped, 12);
    assert_false(skipped.is_known);
    nft_known_take(&lost, NULL);
    assert_false(lost.is_known);
    (void)nl_request_begin(&short_one.header, NFNL_SUBSYS_NFTABLES << 8, 0, 0);
    nft_known_take(&cut, &short_one.header);
    assert_false(cut.is_known);
    (void)nl_request_begin(&foreign.header, NFNL_SUBSYS_IPSET << 8, 0, sizeof(struct nfgenmsg));
    nft_known_take(&odd, &foreign.header);
    assert_false(odd.is_known);
    object(&nameless, NFT_MSG_NEWRULE, NULL);
    generation(&nameless, 11);
    assert_false(nameless.is_known);
}

/* A look has come between: all until there is known. */
static void the_rest_of_a_transaction_that_was_lost_may_be_of_ours(void **state)
{
    struct nft_known known = at_10;

    nft_known_take(&known, NULL);
    known.is_known = true;
    object(&known, NFT_MSG_NEWTABLE, "filter");
    generation(&known, 11);
    assert_false(known.is_known);
}

static void numbers_begin_anew_after_the_last(void **state)
{
    struct nft_known known = {.table = "quilt", .generation = UINT32_MAX, .is_known = true};

    generation(&known, 1); /* the kernel has no 0 */
    assert_false(known.is_known);
    known = (struct nft_known){.table = "quilt", .generation = 1, .is_known = true};
    generation(&known, UINT32_MAX);
    assert_true(known.is_known);
    assert_int_equal(known.generation, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_tables_change_nothing_of_ours),
        cmocka_unit_test(each_kind_of_object_of_ours_is_noticed),
        cmocka_unit_test(ours_of_before_is_no_reason_to_look),
        cmocka_unit_test(what_was_not_heard_or_not_understood_may_be_of_ours),
        cmocka_unit_test(the_rest_of_a_transaction_that_was_lost_may_be_of_ours),
        cmocka_unit_test(numbers_begin_anew_after_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
