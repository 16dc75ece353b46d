/* Names, up to a few. */
#include "cli/doctor/group.h"

#include "cli/doctor/checks.h"

#define NAMES_MAX 5

void group_deinit(struct group *group)
{
    strbuf_deinit(&group->names);
}

struct group group_gather(const struct facts *f, path_test test)
{
    struct group group = {0};
    char text[IP4_TEXT_SIZE];

    for (size_t i = 0; i < f->path_count; i++) {
        const struct path *path = &f->paths[i];

        if (!path->is_examined || !test(f, path) || rules_explain(f, path))
            continue;
        if (group.count == 0)
            group.first = path;
        if (group.count < NAMES_MAX)
            strbuf_addf(&group.names, "%s%s (%s)", group.count > 0 ? ", " : "", path->hostname,
                        ip4_format(path->host_ip, text));
        else if (group.count == NAMES_MAX)
            strbuf_adds(&group.names, ", ...");
        group.count++;
    }
    return group;
}
