/* The state file: what comes back, and what does not. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/state.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "tests/unit/cmocka.h"

static char dir[] = "/tmp/quilt-test-state-XXXXXX";

static struct agent_state make_state(unsigned int peers)
{
    struct agent_state state = {
        .identity = {.node_id = "11111111-2222-4333-8444-555555555555",
                     .subnet = {.addr = 0x0a2a0100, .len = 24},
                     .node_token = "aa55",
                     .cluster = api_cluster_default(),
                     .revision = 7},
        .host_ip = 0xc0a8010b,
        .peers = mem_zalloc((peers + 1) * sizeof *state.peers),
        .peer_count = peers,
    };

    for (unsigned int i = 0; i < peers; i++) {
        struct api_node *node = &state.peers[i];

        *node = (struct api_node){.host_ip = 0xc0a80114 + i,
                                  .subnet = {.addr = 0x0a2a0200 + i * 256, .len = 24},
                                  .cpu_cores = -1,
                                  .ram_mb = 2048,
                                  .is_up = i % 2 == 0,
                                  .registered_at = 1700000000,
                                  .last_heartbeat = 1700000001};
        (void)snprintf(node->node_id, sizeof node->node_id, "00000000-0000-4000-8000-%012u", i);
        (void)snprintf(node->hostname, sizeof node->hostname, "host%u", i);
    }
    return state;
}

static void assert_same(const struct agent_state *a, const struct agent_state *b)
{
    assert_string_equal(a->identity.node_id, b->identity.node_id);
    assert_string_equal(a->identity.node_token, b->identity.node_token);
    assert_true(ip4_prefix_equal(a->identity.subnet, b->identity.subnet));
    assert_int_equal(a->identity.cluster.vni, b->identity.cluster.vni);
    assert_int_equal(a->identity.cluster.peer_sync_ms, b->identity.cluster.peer_sync_ms);
    assert_int_equal(a->identity.revision, b->identity.revision);
    assert_int_equal(a->host_ip, b->host_ip);
    assert_int_equal(a->peer_count, b->peer_count);
    for (size_t i = 0; i < a->peer_count; i++) {
        assert_string_equal(a->peers[i].node_id, b->peers[i].node_id);
        assert_string_equal(a->peers[i].hostname, b->peers[i].hostname);
        assert_int_equal(a->peers[i].host_ip, b->peers[i].host_ip);
        assert_true(ip4_prefix_equal(a->peers[i].subnet, b->peers[i].subnet));
        assert_int_equal(a->peers[i].is_up, b->peers[i].is_up);
        assert_int_equal(a->peers[i].ram_mb, b->peers[i].ram_mb);
    }
}

static void what_was_written_is_read(void **state)
{
    const unsigned int counts[] = {0, 1, 2, 300};

    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct agent_state before = make_state(counts[i]), after;
        AUTO_FREE char *text = agent_state_to_text(&before);

        assert_int_equal(agent_state_from_text(text, strlen(text), &after), 0);
        assert_same(&before, &after);
        agent_state_deinit(&before);
        agent_state_deinit(&after);
    }
}

static void no_changed_byte_goes_unseen(void **state)
{
    struct agent_state before = make_state(2), after;
    AUTO_FREE char *text = agent_state_to_text(&before);
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        text[i] ^= 1;
        assert_int_equal(agent_state_from_text(text, n, &after), -EINVAL);
        text[i] ^= 1;
    }
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(agent_state_from_text(text, cut, &after), -EINVAL);
    agent_state_deinit(&before);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void spoil(const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", dir, name);
    AUTO_CLOSE int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "zap", 3, 40), 3);
}

static void drop(const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", dir, name);

    assert_int_equal(unlink(path), 0);
}

static void save(unsigned int peers)
{
    struct agent_state state = make_state(peers);

    assert_int_equal(agent_state_save(dir, &state), 0);
    agent_state_deinit(&state);
}

static void load(int outcome, size_t peers)
{
    struct agent_state state = {0};

    assert_int_equal(agent_state_load(dir, &state), outcome);
    assert_int_equal(state.peer_count, peers);
    agent_state_deinit(&state);
}

static int make_dir(void **state)
{
    (void)snprintf(dir, sizeof dir, "/tmp/quilt-test-state-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    return agent_state_remove(dir) == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void a_new_node_has_none(void **state)
{
    load(AGENT_STATE_NONE, 0);
}

static void the_latest_is_taken_and_only_the_owner_may_read_it(void **state)
{
    AUTO_FREE char *path = mem_printf("%s/agent.json", dir);
    struct stat info;

    save(1);
    save(2);
    save(3);
    load(0, 3);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

static void a_damaged_one_gives_way_to_the_one_before(void **state)
{
    save(1);
    save(2);
    spoil("agent.json");
    load(AGENT_STATE_PREVIOUS, 1);
}

static void a_lost_one_gives_way_to_the_one_before(void **state)
{
    save(1);
    save(2);
    drop("agent.json");
    load(AGENT_STATE_PREVIOUS, 1);
}

static void two_damaged_ones_are_said_to_be_damaged(void **state)
{
    save(1);
    save(2);
    spoil("agent.json");
    spoil("agent.json.1");
    load(AGENT_STATE_DAMAGED, 0);
    assert_non_null(strstr(err_text(), "agent.json"));
    assert_non_null(strstr(err_text(), "checksum"));
}

static void one_damaged_without_another_is_damaged_too(void **state)
{
    save(1);
    spoil("agent.json");
    load(AGENT_STATE_DAMAGED, 0);
}

static void after_a_removal_there_is_none(void **state)
{
    save(1);
    save(2);
    assert_int_equal(agent_state_remove(dir), 0);
    load(AGENT_STATE_NONE, 0);
    assert_int_equal(agent_state_remove(dir), 0);
}

static void a_directory_that_is_gone_is_an_error_with_its_name(void **state)
{
    struct agent_state one = make_state(1);

    assert_int_equal(agent_state_save("/nonexistent/quilt", &one), -ENOENT);
    assert_non_null(strstr(err_text(), "/nonexistent/quilt"));
    agent_state_deinit(&one);
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(no_changed_byte_goes_unseen),
        FILE_TEST(a_new_node_has_none),
        FILE_TEST(the_latest_is_taken_and_only_the_owner_may_read_it),
        FILE_TEST(a_damaged_one_gives_way_to_the_one_before),
        FILE_TEST(a_lost_one_gives_way_to_the_one_before),
        FILE_TEST(two_damaged_ones_are_said_to_be_damaged),
        FILE_TEST(one_damaged_without_another_is_damaged_too),
        FILE_TEST(after_a_removal_there_is_none),
        cmocka_unit_test(a_directory_that_is_gone_is_an_error_with_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
