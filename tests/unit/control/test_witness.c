/* What other nodes say of one that is silent. */
#include "control/services/witness.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

/* Letters, one a witness:
 *
 *     L  has lost the node, is well          R  reaches it, through the overlay, too
 *     l  has lost it, and reaches few        r  reaches its host only
 *     d  has lost it, is silent itself       s  has just missed an answer
 *     o  has lost it, told long ago          n  has lost it, told just now
 *     a  has lost it, before the node was heard again
 *     e  has lost it, told a while ago
 */
struct scene {
    const char *letters;
    int64_t awake_ms;
    enum witness_verdict verdict;
};

#define NOW_MS 100000
#define LAST_BEAT_MS 95000

static bool standing(void *data, const char *node_id, struct witness_standing *ret)
{
    const char *letters = data;
    char letter = letters[node_id[0] - '0'];

    *ret = (struct witness_standing){.is_heard = letter != 'd', .watched = 5, .reached = 4};
    if (letter == 'l')
        ret->reached = 2;
    return true;
}

static bool is_lost(char letter)
{
    return strchr("Lldonae", letter) != NULL;
}

static void say(struct witnesses *w, size_t index, char letter)
{
    int64_t ago_ms = letter == 'o' ? 20000 : letter == 'e' ? 6000 : letter == 'n' ? 100 : 1000;
    int64_t said_ms = NOW_MS - ago_ms;
    const char id[] = {(char)('0' + index), '\0'};
    struct api_probe says = {.is_watched = true,
                             .state = is_lost(letter) ? API_PROBE_LOST : API_PROBE_REACHED,
                             .silent_ms = is_lost(letter) ? 2500 : 10,
                             .overlay_silent_ms = letter == 'R' ? 10 : -1};

    if (letter == 's')
        says.state = API_PROBE_SILENT;
    if (letter == 'a')
        says.silent_ms = said_ms - LAST_BEAT_MS + 1600;
    witnesses_note(w, id, &says, 0, said_ms);
}

static enum witness_verdict judge(const struct scene *scene)
{
    struct witnesses w = {0};
    char *letters = mem_strdup(scene->letters);
    const struct witness_case facts = {.last_beat_ms = LAST_BEAT_MS,
                                       .fresh_ms = NOW_MS - 15000,
                                       .awake_ms = scene->awake_ms,
                                       .now_ms = NOW_MS,
                                       .standing = standing,
                                       .data = letters};
    enum witness_verdict verdict;

    for (size_t i = 0; letters[i]; i++)
        say(&w, i, letters[i]);
    verdict = witnesses_judge(&w, &facts);
    witnesses_deinit(&w);
    free(letters);
    return verdict;
}

static void scenes(void **state)
{
    static const struct scene table[] = {
        {"", 0, WITNESS_NOTHING},
        {"L", 0, WITNESS_NOTHING}, /* one alone, a liar perhaps, is not believed */
        {"LL", 0, WITNESS_LOST},
        {"LLL", 0, WITNESS_LOST},
        {"LLLdd", 0, WITNESS_LOST}, /* other witnesses have died, too */
        {"LLR", 0, WITNESS_LOST},   /* two of three */
        {"LR", 0, WITNESS_NOTHING},
        {"LLRR", 0, WITNESS_NOTHING},
        {"LRRRR", 0, WITNESS_REACHED}, /* a liar among honest ones */
        {"RLLLL", 0, WITNESS_LOST},
        {"ll", 0, WITNESS_NOTHING}, /* it is they who are cut off */
        {"Lllll", 0, WITNESS_NOTHING},
        {"oo", 0, WITNESS_NOTHING},
        {"Le", 0, WITNESS_NOTHING}, /* the node may be back since, and the witness be cut off */
        {"LLe", 0, WITNESS_LOST},
        {"nn", 0, WITNESS_NOTHING},            /* the node has a moment to speak up */
        {"aaaaa", 0, WITNESS_NOTHING},         /* and has done so */
        {"LL", NOW_MS - 500, WITNESS_NOTHING}, /* we were away ourselves */
        {"ssss", 0, WITNESS_NOTHING},
        {"R", 0, WITNESS_REACHED},
        {"RRR", 0, WITNESS_REACHED},
        {"RRLL", 0, WITNESS_NOTHING},
        {"rrr", 0, WITNESS_NOTHING}, /* somebody else may have its address */
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (judge(&table[i]) != table[i].verdict)
            print_message("scene %s\n", table[i].letters);
        assert_int_equal(judge(&table[i]), table[i].verdict);
    }
}

static void a_loss_is_of_when_it_was_told_first(void **state)
{
    struct witnesses w = {0};
    struct api_probe says = {.state = API_PROBE_LOST, .silent_ms = 2000};

    witnesses_note(&w, "1", &says, 0, 5000);
    says.silent_ms = 12000;
    witnesses_note(&w, "1", &says, 0, 15000);
    assert_int_equal(w.list[0].lost_ms, 5000);
    assert_int_equal(w.list[0].heard_ms, 3000);
    says.state = API_PROBE_REACHED;
    witnesses_note(&w, "1", &says, 0, 16000);
    assert_int_equal(w.list[0].lost_ms, 0);
    assert_int_equal(w.count, 1);
    witnesses_deinit(&w);
}

/* Words that were long on their way seem to be of a moment ago. */
static void who_was_heard_a_moment_ago_is_not_lost(void **state)
{
    struct witnesses w = {0};
    char letters[] = "LL";
    const struct api_probe says = {.is_watched = true, .state = API_PROBE_LOST, .silent_ms = 1};
    struct witness_case facts = {.last_beat_ms = LAST_BEAT_MS,
                                 .now_ms = LAST_BEAT_MS + 1900,
                                 .standing = standing,
                                 .data = letters};

    witnesses_note(&w, "0", &says, 0, LAST_BEAT_MS);
    witnesses_note(&w, "1", &says, 0, LAST_BEAT_MS);
    assert_int_equal(witnesses_judge(&w, &facts), WITNESS_NOTHING);
    facts.now_ms += 200;
    assert_int_equal(witnesses_judge(&w, &facts), WITNESS_LOST);
    witnesses_deinit(&w);
}

static void of_too_many_the_one_that_was_silent_longest_makes_room(void **state)
{
    struct witnesses w = {0};
    const struct api_probe says = {.state = API_PROBE_REACHED};

    for (int i = 0; i < WITNESSES_MAX + 1; i++) {
        char id[UUID_TEXT_SIZE];

        (void)snprintf(id, sizeof id, "%d", i);
        witnesses_note(&w, id, &says, 0, 1000 + i);
    }
    assert_int_equal(w.count, WITNESSES_MAX);
    assert_string_equal(w.list[0].node_id, "16");
    witnesses_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scenes),
        cmocka_unit_test(a_loss_is_of_when_it_was_told_first),
        cmocka_unit_test(who_was_heard_a_moment_ago_is_not_lost),
        cmocka_unit_test(of_too_many_the_one_that_was_silent_longest_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
