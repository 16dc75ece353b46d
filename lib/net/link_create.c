/* Making a device that carries our mark from its first moment. */
#include "lib/net/link_create.h"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/base/random.h"
#include "lib/net/link.h"

/* Six digits: readable in listings, and the kernel counts from 1. */
#define FIRST_INDEX 100000
#define INDEX_COUNT 900000

struct link_create {
    int ifindex;
    char alias[LINK_ALIAS_MAX];
    struct nl_batch *batch;
    struct nlmsghdr *request; /* the creation request, while nothing is behind it */
};

/* A number that no device of this namespace has. */
static int choose_index(struct nl *nl, int *ret_ifindex)
{
    for (;;) {
        int ifindex = FIRST_INDEX + (int)(random_u64() % INDEX_COUNT);
        struct link_info info;
        int r = link_get_by_index(nl, ifindex, &info);

        if (r < 0 && r != -ENODEV)
            return r;
        if (r == 0)
            continue;
        *ret_ifindex = ifindex;
        return 0;
    }
}

static int check_texts(const char *name, const char *alias)
{
    if (strlen(alias) >= LINK_ALIAS_MAX)
        return err_fail(EINVAL, "the alias for device %s is longer than %d bytes", name,
                        LINK_ALIAS_MAX - 1);
    return parse_ifname(name);
}

static struct link_create *begin(int ifindex, const char *name, const char *alias)
{
    struct link_create *c = NEW(struct link_create);
    struct ifinfomsg *header;

    c->ifindex = ifindex;
    memcpy(c->alias, alias, strlen(alias));
    c->batch = nl_batch_new();
    c->request = nl_batch_next(c->batch, NULL);
    header = nl_request_begin(c->request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *header);
    header->ifi_index = ifindex;
    mnl_attr_put_strz(c->request, IFLA_IFNAME, name);
    return c;
}

int link_create_new(struct nl *nl, const char *name, const char *alias,
                    struct link_create **ret_create)
{
    int ifindex;
    int r = check_texts(name, alias);

    if (r == 0)
        r = choose_index(nl, &ifindex);
    if (r < 0)
        return r;
    *ret_create = begin(ifindex, name, alias);
    return 0;
}

void link_create_free(struct link_create *c)
{
    if (!c)
        return;
    nl_batch_free(c->batch);
    free(c);
}

struct nlmsghdr *link_create_request(struct link_create *c)
{
    return c->request;
}

static void add_alias(struct link_create *c)
{
    struct nlmsghdr *request = nl_batch_next(c->batch, NULL);
    struct ifinfomsg *header = nl_request_begin(request, RTM_SETLINK, 0, sizeof *header);

    header->ifi_index = c->ifindex;
    mnl_attr_put_str(request, IFLA_IFALIAS, c->alias);
}

int link_create_send(struct nl *nl, struct link_create *c)
{
    const struct nl_change *created;
    const struct nl_change *marked;
    int r;

    add_alias(c);
    r = nl_batch_send(nl, c->batch);
    if (r < 0)
        return r;
    created = nl_batch_result(c->batch, 0);
    marked = nl_batch_result(c->batch, 1);
    if (created->result < 0)
        return err_fail(-created->result, "%s", created->text);
    if (marked->result == 0)
        return 0;
    r = link_delete(nl, c->ifindex);
    return r < 0 ? r : err_fail(-marked->result, "set its alias: %s", marked->text);
}
