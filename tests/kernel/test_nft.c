/* Our table: what was set is what is read, in one step, and other tables stay. */
#include "lib/net/nft.h"
#include "lib/net/nft_elements.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <malloc.h>
#include <string.h>
#include <time.h>

#include "lib/base/loop.h"
#include "lib/net/message.h"
#include "lib/net/socket.h"
#include "tests/kernel/lab.h"
#include "tests/unit/net/quoted_json.h"

static const char *const ruleset_text =
    "[{'table':{'family':'inet','name':'quilt'}},"
    " {'chain':{'family':'inet','table':'quilt','name':'post','type':'nat','hook':'postrouting',"
    "           'prio':100,'policy':'accept'}},"
    " {'chain':{'family':'inet','table':'quilt','name':'raw','type':'filter','hook':'prerouting',"
    "           'prio':-300,'policy':'accept'}},"
    " {'rule':{'family':'inet','table':'quilt','chain':'raw','expr':["
    "   {'match':{'op':'==','left':{'payload':{'protocol':'udp','field':'dport'}},'right':4789}},"
    "   {'match':{'op':'==','left':{'fib':{'result':'type','flags':['daddr']}},'right':'local'}},"
    "   {'match':{'op':'!=','left':{'payload':{'protocol':'ip','field':'saddr'}},"
    "             'right':'@peers'}},{'counter':null},{'drop':null}]}},"
    " {'rule':{'family':'inet','table':'quilt','chain':'raw','expr':["
    "   {'match':{'op':'==','left':{'meta':{'key':'iifname'}},'right':'qv*'}},"
    "   {'match':{'op':'!=','left':{'concat':[{'meta':{'key':'iifname'}},"
    "     {'payload':{'protocol':'ip','field':'saddr'}}]},'right':'@sources'}},{'drop':null}]}},"
    " {'rule':{'family':'inet','table':'quilt','chain':'raw','comment':'known flows','expr':["
    "   {'match':{'op':'in','left':{'ct':{'key':'state'}},'right':['related','established']}},"
    "   {'jump':{'target':'known'}}]}},"
    " {'rule':{'family':'inet','table':'quilt','chain':'post','expr':["
    "   {'match':{'op':'==','left':{'payload':{'protocol':'ip','field':'saddr'}},"
    "             'right':{'prefix':{'addr':'10.42.1.0','len':24}}}},"
    "   {'match':{'op':'!=','left':{'payload':{'protocol':'ip','field':'daddr'}},"
    "             'right':'@inside'}},{'masquerade':null}]}},"
    " {'chain':{'family':'inet','table':'quilt','name':'known'}},"
    " {'rule':{'family':'inet','table':'quilt','chain':'known','expr':["
    "   {'match':{'op':'==','left':{'payload':{'protocol':'udp','field':'dport'}},"
    "             'right':{'set':[8472,4789]}}},{'accept':null}]}},"
    " {'set':{'family':'inet','table':'quilt','name':'peers','type':'ipv4_addr',"
    "         'elem':['192.0.2.7','192.0.2.200','192.0.2.3']}},"
    " {'set':{'family':'inet','table':'quilt','name':'inside','type':'ipv4_addr',"
    "         'flags':['interval'],'elem':[{'prefix':{'addr':'10.42.0.0','len':16}}]}},"
    " {'set':{'family':'inet','table':'quilt','name':'sources','type':['ifname','ipv4_addr'],"
    "         'elem':[{'concat':['qv2','10.42.1.6']},{'concat':['qv1','10.42.1.5']}]}}]";

static struct nft *open_nft(void)
{
    struct nft *nft = NULL;

    assert_ok(nft_new(&nft));
    return nft;
}

static void get_after_set_equals_set(void **state)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    AUTO_JSON json_t *have = NULL;
    AUTO_JSON json_t *again = NULL;
    struct nft *nft = open_nft();

    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    assert_ok(nft_table_get(nft, "inet", "quilt", &have));
    assert_true(nft_ruleset_equal(want, have));
    /* And what was read can be set: still the same. */
    assert_ok(nft_table_set(nft, "inet", "quilt", have));
    assert_ok(nft_table_get(nft, "inet", "quilt", &again));
    assert_true(nft_ruleset_equal(have, again));
    nft_free(nft);
}

static void each_change_by_hand_is_seen(void **state)
{
    static const char *const changes[][12] = {
        {"add", "element", "inet", "quilt", "peers", "{ 192.0.2.9 }"},
        {"delete", "element", "inet", "quilt", "peers", "{ 192.0.2.7 }"},
        {"add", "rule", "inet", "quilt", "known", "drop"},
        {"insert", "rule", "inet", "quilt", "raw", "accept"},
        {"flush", "chain", "inet", "quilt", "post"},
        {"add", "chain", "inet", "quilt", "more"},
        {"add", "set", "inet", "quilt", "extra", "{ type ipv4_addr; }"},
        {"add", "chain", "inet", "quilt", "post", "{ policy drop; }"},
    };
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    struct nft *nft = open_nft();

    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        AUTO_JSON json_t *have = NULL;
        const char *const *c = changes[i];

        assert_ok(nft_table_set(nft, "inet", "quilt", want));
        lab_do("nft", c[0], c[1], c[2], c[3], c[4], c[5]);
        assert_ok(nft_table_get(nft, "inet", "quilt", &have));
        if (nft_ruleset_equal(want, have))
            fail_msg("change %zu was not seen", i);
    }
    nft_free(nft);
}

/* The table's handle tells it from another one of its name. */
static void assert_changed(struct nft *nft, const char *by_hand, bool is_replaced)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text), *other = NULL, *have = NULL;
    AUTO_FREE char *before = NULL, *after = NULL;
    size_t line;

    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    lab_do("nft", by_hand);
    before = lab_run("nft", "-a", "list", "table", "inet", "quilt", NULL);
    assert_ok(nft_table_get(nft, "inet", "quilt", &other));
    assert_ok(nft_table_change(nft, "inet", "quilt", other, want));
    after = lab_run("nft", "-a", "list", "table", "inet", "quilt", NULL);
    line = strcspn(before, "\n");
    assert_ok(nft_table_get(nft, "inet", "quilt", &have));
    if (!nft_ruleset_equal(want, have) || (strncmp(before, after, line) != 0) != is_replaced)
        fail_msg("after '%s'", by_hand);
}

static void a_table_that_is_changed_is_the_same_table_with_other_rules_and_elements(void **state)
{
    static const char *const changes[] = {
        "flush table inet quilt",
        "add rule inet quilt known drop; flush chain inet quilt post",
        "flush set inet quilt sources; delete element inet quilt peers { 192.0.2.7 }",
        "add element inet quilt inside { 10.43.0.0/16 }",
        "add chain inet quilt more { type filter hook input priority 0; };"
        "add chain inet quilt less; add rule inet quilt more jump less",
        "add set inet quilt extra { type ipv4_addr; };"
        "add rule inet quilt raw ip saddr @extra drop",
        "add map inet quilt marks { type ipv4_addr : mark; elements = { 192.0.2.1 : 1 }; };"
        "add rule inet quilt raw meta mark set ip saddr map @marks",
        "add counter inet quilt many; add rule inet quilt known counter name many",
        "flush chain inet quilt raw; flush chain inet quilt known; delete chain inet quilt known;"
        "delete set inet quilt peers",
    };
    AUTO_NFT struct nft *nft = open_nft();

    for (size_t i = 0; i < ARRAY_LEN(changes); i++)
        assert_changed(nft, changes[i], false);
}

static void a_table_is_replaced_where_a_thing_of_it_is_another_one(void **state)
{
    static const char *const changes[] = {
        "add chain inet quilt post { policy drop; }",
        ("flush chain inet quilt raw; delete set inet quilt peers;"
         "add set inet quilt peers { type ipv4_addr; size 7; }"),
        "add quota inet quilt some { over 10 mbytes }",
    };
    AUTO_NFT struct nft *nft = open_nft();

    for (size_t i = 0; i < ARRAY_LEN(changes); i++)
        assert_changed(nft, changes[i], true);
}

static void other_tables_stay_as_they_are(void **state)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    AUTO_FREE char *before = NULL;
    AUTO_FREE char *after = NULL;
    struct nft *nft = open_nft();

    lab_do("nft", "add table inet foreign; add set inet foreign peers { type ipv4_addr; };"
                  "add chain inet foreign c { type filter hook input priority 0; };"
                  "add rule inet foreign c ip saddr @peers counter drop;"
                  "add table ip quilt; add chain ip quilt c");
    before = lab_run("nft", "-a", "list", "ruleset", NULL);
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    assert_ok(nft_table_delete(nft, "inet", "quilt"));
    after = lab_run("nft", "-a", "list", "ruleset", NULL);
    assert_string_equal(after, before);
    nft_free(nft);
}

static void a_ruleset_that_the_kernel_refuses_changes_nothing(void **state)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    AUTO_JSON json_t *bad = quoted_json(ruleset_text);
    AUTO_JSON json_t *have = NULL;
    struct nft *nft = open_nft();

    json_array_append_new(bad,
                          quoted_json("{'rule':{'family':'inet','table':'quilt','chain':'nowhere',"
                                      "'expr':[{'drop':null}]}}"));
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    assert_error(nft_table_set(nft, "inet", "quilt", bad), EIO);
    assert_non_null(strstr(err_text(), "set table inet quilt: nftables: "));
    assert_ok(nft_table_get(nft, "inet", "quilt", &have));
    assert_true(nft_ruleset_equal(want, have));
    nft_free(nft);
}

static void a_table_that_is_tried_is_there_for_nobody(void **state)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    AUTO_JSON json_t *bad = quoted_json(
        "[{'table':{'family':'inet','name':'quilt'}},"
        " {'rule':{'family':'inet','table':'quilt','chain':'nowhere','expr':[{'drop':null}]}}]");
    AUTO_JSON json_t *have = NULL;
    AUTO_NL struct nl *nl = NULL;
    struct nft *nft = open_nft();
    uint32_t before, after;

    assert_ok(nft_elements_open(&nl));
    assert_ok(nft_generation(nl, &before));
    assert_ok(nft_table_try(nft, "inet", "quilt", want));
    assert_ok(nft_generation(nl, &after));
    assert_int_equal(after, before + 1);
    assert_error(nft_table_get(nft, "inet", "quilt", &have), ENOENT);
    assert_error(nft_table_try(nft, "inet", "quilt", bad), EIO);
    assert_error(nft_table_get(nft, "inet", "quilt", &have), ENOENT);
    nft_free(nft);
}

static void an_entry_of_another_table_is_refused(void **state)
{
    AUTO_JSON json_t *bad = quoted_json(ruleset_text);
    AUTO_JSON json_t *have = NULL;
    struct nft *nft = open_nft();

    json_array_append_new(bad,
                          quoted_json("{'chain':{'family':'inet','table':'foreign','name':'c'}}"));
    assert_error(nft_table_set(nft, "inet", "quilt", bad), EINVAL);
    assert_error(nft_table_get(nft, "inet", "quilt", &have), ENOENT);
    nft_free(nft);
}

static void a_missing_table_is_enoent_and_deleting_it_succeeds(void **state)
{
    AUTO_JSON json_t *have = NULL;
    struct nft *nft = open_nft();

    lab_do("nft", "add", "table", "ip", "quilt");
    assert_error(nft_table_get(nft, "inet", "quilt", &have), ENOENT);
    assert_ok(nft_table_delete(nft, "inet", "quilt"));
    nft_free(nft);
}

static void assert_elements(struct nft *nft, const char *set, const char *elements)
{
    AUTO_JSON json_t *want = quoted_json(elements);
    AUTO_JSON json_t *have = NULL;
    json_t *entry;
    size_t i;

    assert_ok(nft_table_get(nft, "inet", "quilt", &have));
    json_array_foreach (have, i, entry) {
        json_t *body = json_object_get(entry, "set");
        const char *name = json_string_value(json_object_get(body, "name"));

        if (!name || strcmp(name, set) != 0)
            continue;
        if (json_array_size(want) == 0)
            assert_null(json_object_get(body, "elem"));
        else
            assert_true(json_equal(json_object_get(body, "elem"), want));
        return;
    }
    fail_msg("there is no set %s", set);
}

static void fill(struct nft *nft, const char *set, const char *elements)
{
    AUTO_JSON json_t *sets =
        json_pack("[{s:{s:s, s:o}}]", "set", "name", set, "elem", quoted_json(elements));

    assert_ok(nft_sets_fill(nft, "inet", "quilt", sets));
}

static void filling_a_set_replaces_its_elements(void **state)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    struct nft *nft = open_nft();

    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    fill(nft, "peers", "['192.0.2.3','192.0.2.4']");
    assert_elements(nft, "peers", "['192.0.2.3','192.0.2.4']");
    fill(nft, "peers", "[]");
    assert_elements(nft, "peers", "[]");
    /* Intervals that overlap the ones they replace. */
    fill(nft, "inside",
         "[{'prefix':{'addr':'10.42.1.0','len':24}},"
         "{'prefix':{'addr':'10.42.128.0','len':17}}]");
    fill(nft, "inside", "[{'prefix':{'addr':'10.42.0.0','len':16}}]");
    assert_elements(nft, "inside", "[{'prefix':{'addr':'10.42.0.0','len':16}}]");
    nft_free(nft);
}

static void sets_and_maps_are_filled_in_one_step(void **state)
{
    AUTO_JSON json_t *want = quoted_json(
        "[{'table':{'family':'inet','name':'quilt'}},"
        " {'map':{'family':'inet','table':'quilt','name':'marks','type':'ipv4_addr',"
        "         'map':'classid','elem':[['192.0.2.1','c000:201']]}},"
        " {'set':{'family':'inet','table':'quilt','name':'peers','type':'ipv4_addr'}}]");
    AUTO_JSON json_t *wrong = quoted_json("[{'map':{'name':'marks'}},{'set':{'name':'nosuch'}}]");
    AUTO_JSON json_t *right =
        quoted_json("[{'map':{'name':'marks','elem':[['192.0.2.9','c000:209']]}},"
                    " {'set':{'name':'peers','elem':['192.0.2.9']}}]");
    AUTO_JSON json_t *have = NULL;
    struct nft *nft = open_nft();

    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    assert_error(nft_sets_fill(nft, "inet", "quilt", wrong), EIO);
    assert_ok(nft_table_get(nft, "inet", "quilt", &have));
    assert_true(nft_ruleset_equal(want, have));
    assert_ok(nft_sets_fill(nft, "inet", "quilt", right));
    assert_elements(nft, "peers", "['192.0.2.9']");
    nft_free(nft);
}

static void counters_are_read_by_name(void **state)
{
    AUTO_JSON json_t *want = quoted_json(
        "[{'table':{'family':'inet','name':'quilt'}},"
        " {'counter':{'family':'inet','table':'quilt','name':'seen'}},"
        " {'counter':{'family':'inet','table':'quilt','name':'unseen'}},"
        " {'chain':{'family':'inet','table':'quilt','name':'out','type':'filter','hook':'output',"
        "           'prio':0,'policy':'accept'}},"
        " {'rule':{'family':'inet','table':'quilt','chain':'out','expr':[{'counter':'seen'},"
        "          {'accept':null}]}}]");
    AUTO_JSON json_t *packets = NULL, *other = NULL;
    struct nft *nft = open_nft();

    assert_error(nft_counters_get(nft, "inet", "quilt", &other), ENOENT);
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    lab_do("ip", "link", "set", "lo", "up");
    lab_do("ping", "-q", "-c", "3", "-i", "0.01", "127.0.0.1");
    assert_ok(nft_counters_get(nft, "inet", "quilt", &packets));
    /* Three requests and their answers. */
    assert_int_equal(json_integer_value(json_object_get(packets, "seen")), 6);
    assert_int_equal(json_integer_value(json_object_get(packets, "unseen")), 0);
    assert_int_equal(json_object_size(packets), 2);
    nft_free(nft);
}

static void ten_thousand_elements_fit(void **state)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    AUTO_JSON json_t *elements = json_array(), *sets = NULL;
    AUTO_JSON json_t *have = NULL;
    struct nft *nft = open_nft();

    for (uint32_t n = 0; n < 10000; n++) {
        char text[IP4_TEXT_SIZE];

        json_array_append_new(elements, json_string(ip4_format(0xc6120000 + n, text)));
    }
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    sets = json_pack("[{s:{s:s, s:O}}]", "set", "name", "peers", "elem", elements);
    assert_ok(nft_sets_fill(nft, "inet", "quilt", sets));
    assert_ok(nft_table_get(nft, "inet", "quilt", &have));
    assert_ok(nft_table_set(nft, "inet", "quilt", have));
    nft_free(nft);
}

/* Of the set of peers; host order. */
static struct nft_element element(uint32_t addr, bool is_removal)
{
    struct nft_element element = {
        .family = NFPROTO_INET, .set = "peers", .is_removal = is_removal, .key_bytes = 4};
    uint32_t addr_be = htonl(addr);

    memcpy(element.key, &addr_be, sizeof addr_be);
    return element;
}

static void elements_come_and_go_one_by_one_and_each_is_a_generation(void **state)
{
    const struct nft_element first[] = {element(0xc0000203, false), element(0xc0000204, false)};
    const struct nft_element second[] = {element(0xc0000203, true), element(0xc0000205, false)};
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    AUTO_NL struct nl *nl = NULL;
    struct nft *nft = open_nft();
    uint32_t before, after;

    assert_ok(nft_elements_open(&nl));
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    fill(nft, "peers", "[]");
    assert_ok(nft_generation(nl, &before));
    assert_int_equal(nft_elements_change(nl, "quilt", first, 2), 1);
    assert_elements(nft, "peers", "['192.0.2.3','192.0.2.4']");
    assert_int_equal(nft_elements_change(nl, "quilt", second, 2), 1);
    assert_elements(nft, "peers", "['192.0.2.4','192.0.2.5']");
    assert_int_equal(nft_elements_change(nl, "quilt", &second[1], 1), 1); /* it is there */
    assert_ok(nft_generation(nl, &after));
    assert_int_equal(after, before + 2); /* what changes nothing is no transaction */
    nft_free(nft);
}

static void maps_and_sets_change_in_one_transaction_or_not_at_all(void **state)
{
    AUTO_JSON json_t *want = quoted_json(
        "[{'table':{'family':'inet','name':'quilt'}},"
        " {'map':{'family':'inet','table':'quilt','name':'marks','type':'ipv4_addr',"
        "         'map':'classid','elem':[['192.0.2.1','c000:201']]}},"
        " {'set':{'family':'inet','table':'quilt','name':'peers','type':'ipv4_addr'}}]");
    AUTO_JSON json_t *changed =
        quoted_json("[{'table':{'family':'inet','name':'quilt'}},"
                    " {'map':{'family':'inet','table':'quilt','name':'marks','type':'ipv4_addr',"
                    "         'map':'classid','elem':[['192.0.2.9','c000:209']]}},"
                    " {'set':{'family':'inet','table':'quilt','name':'peers','type':'ipv4_addr',"
                    "         'elem':['192.0.2.9']}}]");
    struct nft_element changes[] = {element(0xc0000201, true), element(0xc0000209, false),
                                    element(0xc0000209, false), element(0xc0000208, true)};
    AUTO_JSON json_t *kept = NULL, *have = NULL;
    AUTO_NL struct nl *nl = NULL;
    struct nft *nft = open_nft();

    changes[0].set = changes[1].set = "marks";
    changes[1].has_value = true;
    changes[1].value = 0xc0000209;
    assert_ok(nft_elements_open(&nl));
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    assert_int_equal(nft_elements_change(nl, "quilt", changes, 4), -ENOENT);
    assert_ok(nft_table_get(nft, "inet", "quilt", &kept));
    assert_true(nft_ruleset_equal(want, kept));
    assert_int_equal(nft_elements_change(nl, "quilt", changes, 3), 1); /* the socket is usable */
    assert_ok(nft_table_get(nft, "inet", "quilt", &have));
    assert_true(nft_ruleset_equal(changed, have));
    nft_free(nft);
}

static void elements_of_a_table_or_set_that_is_not_there_are_refused(void **state)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    struct nft_element one = element(0xc0000203, false);
    AUTO_NL struct nl *nl = NULL;
    struct nft *nft = open_nft();

    assert_ok(nft_elements_open(&nl));
    assert_int_equal(nft_elements_change(nl, "quilt", &one, 1), -ENOENT);
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    one.set = "nosuch";
    assert_int_equal(nft_elements_change(nl, "quilt", &one, 1), -ENOENT);
    nft_free(nft);
}

/* Its answer, an error, stays unread; nl numbers as it likes. */
static void ask_for_a_table_that_is_not_there(struct nl *nl)
{
    union nl_request request = {0};
    struct nfgenmsg *header =
        nl_request_begin(&request.header, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
                         NLM_F_REQUEST, sizeof *header);

    header->nfgen_family = NFPROTO_INET;
    mnl_attr_put_strz(&request.header, NFTA_TABLE_NAME, "nosuch");
    request.header.nlmsg_seq = ++nl->sequence;
    request.header.nlmsg_pid = nl->port_id;
    assert_ok(nl_socket_send(nl, &request, request.header.nlmsg_len));
}

static void an_unread_failure_is_not_blamed_on_the_next_transaction(void **state)
{
    const struct nft_element one = element(0xc0000209, false);
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    AUTO_NL struct nl *nl = NULL;
    struct nft *nft = open_nft();

    assert_ok(nft_elements_open(&nl));
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    fill(nft, "peers", "[]");
    ask_for_a_table_that_is_not_there(nl);
    assert_int_equal(nft_elements_change(nl, "quilt", &one, 1), 1);
    assert_elements(nft, "peers", "['192.0.2.9']");
    nft_free(nft);
}

static void after_a_lost_answer_none_is_left_unread(void **state)
{
    struct nft_element wrong[] = {element(0xc0000203, false), element(0xc0000204, false)};
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    AUTO_NL struct nl *nl = NULL;
    struct nft *nft = open_nft();
    size_t n;

    wrong[0].set = "nosuch";
    wrong[1].set = "neither";
    assert_ok(nft_elements_open(&nl));
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    nl->data_size = sizeof(struct nlmsghdr); /* no answer fits */
    assert_int_equal(nft_elements_change(nl, "quilt", wrong, 2), -EMSGSIZE);
    assert_non_null(strstr(err_text(), "the kernel's answer got lost"));
    assert_int_equal(nl_socket_receive(nl, NL_NO_WAIT, &n), -EAGAIN);
    nft_free(nft);
}

static void twenty_thousand_elements_come_and_go(void **state)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    AUTO_FREE struct nft_element *elements = mem_array(20000, sizeof *elements);
    AUTO_NL struct nl *nl = NULL;
    struct nft *nft = open_nft();
    uint32_t before, after;
    int transactions;

    assert_ok(nft_elements_open(&nl));
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    fill(nft, "peers", "[]");
    for (uint32_t n = 0; n < 20000; n++)
        elements[n] = element(0xc6120000 + n, false);
    assert_ok(nft_generation(nl, &before));
    transactions = nft_elements_change(nl, "quilt", elements, 20000);
    assert_true(transactions > 1);
    assert_ok(nft_generation(nl, &after));
    assert_int_equal(after, before + (uint32_t)transactions);
    for (uint32_t n = 0; n < 20000; n++)
        elements[n].is_removal = true;
    assert_true(nft_elements_change(nl, "quilt", elements + 1, 19999) > 1);
    assert_elements(nft, "peers", "['198.18.0.0']");
    nft_free(nft);
}

static int64_t now_us(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A long-lived context must not grow with each command. */
static void a_thousand_commands_do_not_grow_the_process(void **state)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    struct nft *nft = open_nft();
    size_t before = 0;
    size_t after;
    int64_t start_us = now_us();

    for (int i = 0; i < 1000; i++) {
        AUTO_JSON json_t *have = NULL;

        if (i % 10 == 0)
            assert_ok(nft_table_set(nft, "inet", "quilt", want));
        assert_ok(nft_table_get(nft, "inet", "quilt", &have));
        if (i == 100)
            before = mallinfo2().uordblks;
    }
    after = mallinfo2().uordblks;
    print_message("1000 gets and 100 sets in %lld us, %zd bytes more in use\n",
                  (long long)(now_us() - start_us), (ssize_t)(after - before));
    assert_true(after < before + 65536);
    nft_free(nft);
}

struct story {
    struct loop *loop;
    int calls;
};

static void on_change(void *data)
{
    struct story *s = data;

    s->calls++;
    loop_exit(s->loop, 0);
}

static void a_change_by_anybody_is_heard_once_a_round(void **state)
{
    AUTO_JSON json_t *want = quoted_json(ruleset_text);
    struct change_monitor *monitor = NULL;
    struct nft *nft = open_nft();
    struct story s = {0};

    assert_ok(loop_new(&s.loop));
    assert_ok(nft_monitor_new(s.loop, on_change, &s, &monitor));
    assert_ok(nft_table_set(nft, "inet", "quilt", want));
    assert_int_equal(loop_run(s.loop), 0);
    assert_int_equal(s.calls, 1);
    change_monitor_free(monitor);
    loop_free(s.loop);
    nft_free(nft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB_TEST(get_after_set_equals_set),
        LAB_TEST(each_change_by_hand_is_seen),
        LAB_TEST(a_table_that_is_changed_is_the_same_table_with_other_rules_and_elements),
        LAB_TEST(a_table_is_replaced_where_a_thing_of_it_is_another_one),
        LAB_TEST(other_tables_stay_as_they_are),
        LAB_TEST(a_ruleset_that_the_kernel_refuses_changes_nothing),
        LAB_TEST(a_table_that_is_tried_is_there_for_nobody),
        LAB_TEST(an_entry_of_another_table_is_refused),
        LAB_TEST(a_missing_table_is_enoent_and_deleting_it_succeeds),
        LAB_TEST(filling_a_set_replaces_its_elements),
        LAB_TEST(sets_and_maps_are_filled_in_one_step),
        LAB_TEST(counters_are_read_by_name),
        LAB_TEST(ten_thousand_elements_fit),
        LAB_TEST(elements_come_and_go_one_by_one_and_each_is_a_generation),
        LAB_TEST(maps_and_sets_change_in_one_transaction_or_not_at_all),
        LAB_TEST(elements_of_a_table_or_set_that_is_not_there_are_refused),
        LAB_TEST(an_unread_failure_is_not_blamed_on_the_next_transaction),
        LAB_TEST(after_a_lost_answer_none_is_left_unread),
        LAB_TEST(twenty_thousand_elements_come_and_go),
        LAB_TEST(a_thousand_commands_do_not_grow_the_process),
        LAB_TEST(a_change_by_anybody_is_heard_once_a_round),
    };

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
