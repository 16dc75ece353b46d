/* One nftables table of ours. Every command is a JSON value; libnftables would take text that is
 * not JSON for its own language, and so none is ever given to it that was not made by a JSON
 * printer. */
#include "lib/net/nft.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/net/nft_ruleset.h"

struct nft {
    struct nft_ctx *context;
};

int nft_new(struct nft **ret_nft)
{
    struct nft *nft = NEW(struct nft);

    nft->context = nft_ctx_new(NFT_CTX_DEFAULT);
    if (!nft->context || nft_ctx_buffer_output(nft->context) != 0 ||
        nft_ctx_buffer_error(nft->context) != 0) {
        nft_free(nft);
        return err_fail(EIO, "open nftables");
    }
    /* Names of protocols depend on the host's files. */
    nft_ctx_output_set_flags(nft->context, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_PROTO);
    *ret_nft = nft;
    return 0;
}

void nft_free(struct nft *nft)
{
    if (!nft)
        return;
    if (nft->context)
        nft_ctx_free(nft->context);
    free(nft);
}

/* The first line says what is wrong; the lines behind it underline our JSON. */
static int command_failed(struct nft *nft)
{
    const char *text = nft_ctx_get_error_buffer(nft->context);
    int len = text ? (int)strcspn(text, "\n") : 0;

    if (len == 0)
        return err_fail(EIO, "nftables refuses without a word");
    return err_fail(EIO, "nftables: %.*s", len, text);
}

static int run(struct nft *nft, const json_t *commands)
{
    AUTO_FREE char *text = json_to_text(commands);

    if (nft_run_cmd_from_buffer(nft->context, text) != 0)
        return command_failed(nft);
    return 0;
}

/* The listing's entries. */
static int run_list(struct nft *nft, const json_t *commands, json_t **ret_entries)
{
    AUTO_JSON json_t *reply = NULL;
    const json_t *entries;
    const char *text;
    int r = run(nft, commands);

    if (r < 0)
        return r;
    text = nft_ctx_get_output_buffer(nft->context);
    r = json_parse(text, strlen(text), &reply);
    if (r == 0)
        r = json_get_array(reply, "nftables", &entries);
    if (r < 0)
        return err_wrap(r, "read what nftables lists");
    *ret_entries = json_incref((json_t *)entries);
    return 0;
}

static json_t *table_command(const char *verb, const char *family, const char *table)
{
    return json_pack("{s{s{ssss}}}", verb, "table", "family", family, "name", table);
}

/* 1: it is there, 0: it is not. libnftables gives no error numbers, so a refusal to list a table
 * cannot be told from its absence otherwise. */
static int table_exists(struct nft *nft, const char *family, const char *table)
{
    AUTO_JSON json_t *commands =
        json_pack("{s[{s{s{ss}}}]}", "nftables", "list", "tables", "family", family);
    AUTO_JSON json_t *entries = NULL;
    json_t *entry;
    size_t i;
    int r = run_list(nft, commands, &entries);

    if (r < 0)
        return r;
    json_array_foreach (entries, i, entry) {
        const json_t *body = json_object_get(entry, "table");
        const char *name = json_string_value(json_object_get(body, "name"));

        if (name && strcmp(name, table) == 0)
            return 1;
    }
    return 0;
}

static int list_failed(struct nft *nft, const char *family, const char *table, int r)
{
    AUTO_FREE char *reason = mem_strdup(err_text());
    int exists = table_exists(nft, family, table);

    if (exists == 0)
        return err_fail(ENOENT, "there is no nftables table %s %s", family, table);
    return err_fail(-r, "list table %s %s: %s", family, table, reason);
}

int nft_table_get(struct nft *nft, const char *family, const char *table, json_t **ret_ruleset)
{
    AUTO_JSON json_t *commands =
        json_pack("{s[o]}", "nftables", table_command("list", family, table));
    AUTO_JSON json_t *entries = NULL;
    int r = run_list(nft, commands, &entries);

    if (r < 0)
        return list_failed(nft, family, table, r);
    *ret_ruleset = nft_ruleset_canonical(entries);
    return 0;
}

int nft_list_all(struct nft *nft, json_t **ret_objects)
{
    AUTO_JSON json_t *commands = json_pack("{s[{s{sn}}]}", "nftables", "list", "ruleset");
    int r = run_list(nft, commands, ret_objects);

    return r < 0 ? err_wrap(r, "list all nftables tables") : 0;
}

int nft_table_set(struct nft *nft, const char *family, const char *table, const json_t *ruleset)
{
    AUTO_JSON json_t *commands = NULL;
    int r = nft_ruleset_commands(ruleset, family, table, &commands);

    if (r == 0)
        r = run(nft, commands);
    return r < 0 ? err_wrap(r, "set table %s %s", family, table) : 0;
}

int nft_table_change(struct nft *nft, const char *family, const char *table, const json_t *have,
                     const json_t *want)
{
    AUTO_JSON json_t *commands = NULL;
    int r;

    if (!have)
        return nft_table_set(nft, family, table, want);
    r = nft_ruleset_change_commands(have, want, family, table, &commands);
    if (r == 0)
        r = run(nft, commands);
    return r < 0 ? err_wrap(r, "change table %s %s", family, table) : 0;
}

int nft_table_try(struct nft *nft, const char *family, const char *table, const json_t *ruleset)
{
    AUTO_JSON json_t *commands = NULL;
    int r = nft_ruleset_commands(ruleset, family, table, &commands);

    if (r == 0) {
        json_array_append_new(json_object_get(commands, "nftables"),
                              table_command("delete", family, table));
        r = run(nft, commands);
    }
    return r < 0 ? err_wrap(r, "try table %s %s", family, table) : 0;
}

/* Flushes the set or map of this entry and adds its elements. */
static void add_fill(json_t *commands, const char *family, const char *table, json_t *entry)
{
    const char *type = json_object_get(entry, "map") ? "map" : "set";
    const json_t *body = json_object_get(entry, type);
    json_t *name = json_object_get(body, "name"), *elements = json_object_get(body, "elem");

    json_array_append_new(commands, json_pack("{s{s{sssssO}}}", "flush", type, "family", family,
                                              "table", table, "name", name));
    if (json_array_size(elements) > 0)
        json_array_append_new(commands,
                              json_pack("{s{s{sssssOsO}}}", "add", "element", "family", family,
                                        "table", table, "name", name, "elem", elements));
}

int nft_sets_fill(struct nft *nft, const char *family, const char *table, const json_t *sets)
{
    AUTO_JSON json_t *list = json_array(), *commands = NULL;
    json_t *entry;
    size_t i;
    int r;

    json_array_foreach (sets, i, entry)
        add_fill(list, family, table, entry);
    commands = json_pack("{sO}", "nftables", list);
    r = run(nft, commands);
    return r < 0 ? err_wrap(r, "fill sets of table %s %s", family, table) : 0;
}

static json_t *chain_command(const char *verb, const char *family, const char *table, json_t *name)
{
    return json_pack("{s{s{sssssO}}}", verb, "chain", "family", family, "table", table, "name",
                     name);
}

int nft_chains_set(struct nft *nft, const char *family, const char *table, const json_t *chains,
                   const json_t *gone)
{
    AUTO_JSON json_t *list = json_array(), *commands = NULL;
    json_t *entry;
    size_t i;
    int r;

    json_array_foreach (gone, i, entry) {
        json_array_append_new(list, chain_command("flush", family, table, entry));
        json_array_append_new(list, chain_command("delete", family, table, entry));
    }
    json_array_foreach (chains, i, entry) {
        json_t *name = json_object_get(json_object_get(entry, "chain"), "name");

        json_array_append_new(list, json_pack("{sO}", "add", entry));
        if (name)
            json_array_append_new(list, chain_command("flush", family, table, name));
    }
    commands = json_pack("{sO}", "nftables", list);
    r = run(nft, commands);
    return r < 0 ? err_wrap(r, "set chains of table %s %s", family, table) : 0;
}

int nft_counters_get(struct nft *nft, const char *family, const char *table, json_t **ret_packets)
{
    AUTO_JSON json_t *commands = json_pack("{s[{s{s{ssss}}}]}", "nftables", "list", "counters",
                                           "family", family, "table", table);
    AUTO_JSON json_t *entries = NULL, *packets = json_object();
    json_t *entry;
    size_t i;
    int r = run_list(nft, commands, &entries);

    if (r < 0)
        return list_failed(nft, family, table, r);
    json_array_foreach (entries, i, entry) {
        const json_t *counter = json_object_get(entry, "counter");
        const char *name = json_string_value(json_object_get(counter, "name"));

        if (name)
            json_object_set(packets, name, json_object_get(counter, "packets"));
    }
    *ret_packets = TAKE_PTR(packets);
    return 0;
}

int nft_table_delete(struct nft *nft, const char *family, const char *table)
{
    AUTO_JSON json_t *commands = NULL;
    int r = table_exists(nft, family, table);

    if (r == 1) {
        /* Somebody may be quicker: adding first makes deleting safe. */
        commands = json_pack("{s[oo]}", "nftables", table_command("add", family, table),
                             table_command("delete", family, table));
        r = run(nft, commands);
    }
    return r < 0 ? err_wrap(r, "delete table %s %s", family, table) : 0;
}

int nft_monitor_new(struct loop *loop, loop_fn fn, void *data, struct change_monitor **ret_monitor)
{
    int r = change_monitor_new(loop, NETLINK_NETFILTER, NFNLGRP_NFTABLES, fn, data, ret_monitor);

    return r < 0 ? err_wrap(r, "listen to nftables") : 0;
}
