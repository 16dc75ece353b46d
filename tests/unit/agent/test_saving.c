/* What the agent remembers, in a directory of its own: when it is on disk, and when it is not. */
#include "agent/saving.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "lib/base/file.h"
#include "tests/unit/cmocka.h"

#define PEER "11111111-2222-4333-8444-555555555555"

struct bed {
    struct agent agent;
    char dir[32];
};

static int setup(void **state)
{
    struct bed *bed = NEW(struct bed);

    (void)snprintf(bed->dir, sizeof bed->dir, "/tmp/quilt-saving-XXXXXX");
    assert_non_null(mkdtemp(bed->dir));
    assert_int_equal(loop_new(&bed->agent.daemon.loop), 0);
    assert_int_equal(state_file_open(bed->dir, "agent", &bed->agent.file), 0);
    assert_int_equal(saving_init(&bed->agent), 0);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"lock", "agent.json", "agent.json.1"};
    struct bed *bed = *state;

    saving_deinit(&bed->agent);
    peers_deinit(&bed->agent.peers);
    state_file_close(&bed->agent.file);
    loop_free(bed->agent.daemon.loop);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_FREE char *path = mem_printf("%s/%s", bed->dir, names[i]);

        (void)unlink(path);
    }
    assert_int_equal(rmdir(bed->dir), 0);
    free(bed);
    return 0;
}

static bool is_there(const struct bed *bed, const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", bed->dir, name);

    return access(path, F_OK) == 0;
}

static void hear_of_peer(struct agent *a)
{
    struct api_node node = {.host_ip = 0xc0a8010b, .subnet = {.addr = 0x0a2a0200, .len = 24}};

    memcpy(node.node_id, PEER, sizeof PEER);
    assert_true(peers_take_node(&a->peers, &node));
}

static void what_is_to_be_saved_soon_is_on_disk_at_the_end(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *path = mem_printf("%s/agent.json", bed->dir);
    AUTO_FREE char *text = NULL;
    size_t n;

    hear_of_peer(&bed->agent);
    saving_soon(&bed->agent);
    assert_false(is_there(bed, "agent.json"));
    saving_finish(&bed->agent);
    assert_int_equal(file_read(path, 1 << 20, &text, &n), 0);
    assert_non_null(strstr(text, PEER));
}

/* Its prober may find something out in the moment between erasing and ending. */
static void a_node_that_has_left_remembers_nothing_whatever_it_still_hears(void **state)
{
    static const char *const names[] = {"agent.json", "agent.json.1", "agent.journal"};
    struct bed *bed = *state;

    saving_now(&bed->agent);
    assert_int_equal(saving_erase(&bed->agent), 0);
    hear_of_peer(&bed->agent);
    saving_soon(&bed->agent);
    saving_node_soon(&bed->agent, PEER);
    saving_now(&bed->agent);
    saving_finish(&bed->agent);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_false(is_there(bed, names[i]));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_to_be_saved_soon_is_on_disk_at_the_end),
        TEST(a_node_that_has_left_remembers_nothing_whatever_it_still_hears),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
