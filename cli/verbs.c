/* The verbs of quiltctl, found by their words. */
#include "cli/verbs.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/error.h"

void verb_add_name(const struct verb *verb, struct strbuf *out)
{
    if (verb->group)
        strbuf_addf(out, "%s ", verb->group);
    strbuf_adds(out, verb->name);
}

/* Whether the words begin with this verb; if so, how many words it is. */
static size_t match(const struct verb *verb, char **words, size_t count)
{
    if (!verb->group)
        return strcmp(words[0], verb->name) == 0 ? 1 : 0;
    if (count < 2 || strcmp(words[0], verb->group) != 0)
        return 0;
    return strcmp(words[1], verb->name) == 0 ? 2 : 0;
}

static bool is_group(const struct verb *verb, const char *word)
{
    return verb->group && strcmp(verb->group, word) == 0;
}

static int fail_unknown(const struct verb *verbs, size_t count, char **words, size_t word_count)
{
    AUTO_STRBUF struct strbuf right = {0};
    bool has_group = false;

    for (size_t i = 0; i < count; i++)
        has_group = has_group || is_group(&verbs[i], words[0]);
    for (size_t i = 0; i < count; i++) {
        if (has_group && !is_group(&verbs[i], words[0]))
            continue;
        if (right.len > 0)
            strbuf_adds(&right, ", ");
        verb_add_name(&verbs[i], &right);
    }
    if (has_group && word_count > 1)
        return err_fail(EINVAL, "unknown verb '%.64s %.64s'; there are %s", words[0], words[1],
                        right.data);
    if (has_group)
        return err_fail(EINVAL, "'%s' needs a verb: %s", words[0], right.data);
    return err_fail(EINVAL, "unknown verb '%.64s'; there are %s", words[0], right.data);
}

static int check_args(const struct verb *verb, size_t given)
{
    AUTO_STRBUF struct strbuf name = {0};

    if (given >= verb->arg_count && given <= verb->arg_count + verb->optional_count)
        return 0;
    verb_add_name(verb, &name);
    if (verb->arg_count == 0)
        return err_fail(EINVAL, "'%s' takes no arguments", name.data);
    if (verb->optional_count > 0)
        return err_fail(EINVAL, "'%s' takes %zu to %zu arguments: %s", name.data, verb->arg_count,
                        verb->arg_count + verb->optional_count, verb->args_doc);
    return err_fail(EINVAL, "'%s' takes %zu argument%s: %s", name.data, verb->arg_count,
                    verb->arg_count == 1 ? "" : "s", verb->args_doc);
}

int verbs_find(const struct verb *verbs, size_t count, char **words, size_t word_count,
               const struct verb **ret_verb, size_t *ret_first_arg)
{
    if (word_count == 0)
        return err_fail(EINVAL, "a verb is missing, such as 'node ls' or 'status'");
    for (size_t i = 0; i < count; i++) {
        size_t used = match(&verbs[i], words, word_count);
        int r;

        if (used == 0)
            continue;
        r = check_args(&verbs[i], word_count - used);
        if (r < 0)
            return r;
        *ret_verb = &verbs[i];
        *ret_first_arg = used;
        return 0;
    }
    return fail_unknown(verbs, count, words, word_count);
}

char *verbs_help(const struct verb *verbs, size_t count)
{
    AUTO_STRBUF struct strbuf out = {0};

    strbuf_adds(&out, "Verbs:\n");
    for (size_t i = 0; i < count; i++) {
        AUTO_STRBUF struct strbuf usage = {0};

        verb_add_name(&verbs[i], &usage);
        if (verbs[i].arg_count > 0)
            strbuf_addf(&usage, " %s", verbs[i].args_doc);
        strbuf_addf(&out, "  %-28s %s\n", usage.data, verbs[i].help);
    }
    return strbuf_take(&out);
}
