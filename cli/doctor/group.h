/* The peers of which something is so, by name. Pure. */
#pragma once

#include "cli/doctor/facts.h"
#include "lib/base/strbuf.h"

typedef bool (*path_test)(const struct facts *facts, const struct path *path);

struct group {
    struct strbuf names; /* "node2 (192.168.1.11), node3 (192.168.1.12)" */
    size_t count;
    const struct path *first; /* NULL: none */
};
void group_deinit(struct group *group);
#define AUTO_GROUP CLEANUP(group_deinit)

/* Of the peers that were examined, and that no routing rule explains, those that pass the test. */
struct group group_gather(const struct facts *facts, path_test test);
