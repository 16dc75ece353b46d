/* A store on a disk whose power is cut, again and again, and what it has to have each time. */
#include "tests/unit/control/crash_world.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/store/sqlite.h"
#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/base/strbuf.h"
#include "tests/unit/cmocka.h"

#define GROUP_MAX 3

/* ---- chance -------------------------------------------------------------------------------- */

uint32_t world_draw(struct world *w, uint32_t below)
{
    w->chance = w->chance * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(w->chance >> 33) % below;
}

static uint64_t read_setting(const char *name)
{
    const char *text = getenv(name);
    uint64_t value = 1;

    if (text && parse_u64(text, UINT32_MAX, &value) != 0)
        fail_msg("%s: %s", name, err_text());
    return value;
}

static uint64_t seed(void)
{
    return read_setting("QUILT_CRASH_SEED");
}

int world_times(void)
{
    return (int)read_setting("QUILT_CRASH_TIMES");
}

struct odds {
    struct world *w;
    uint32_t of_a_hundred;
};

static bool arrives_by_chance(size_t piece, void *data)
{
    const struct odds *odds = data;

    return world_draw(odds->w, 100) < odds->of_a_hundred;
}

static bool arrives_by_bit(size_t piece, void *data)
{
    return *(const uint32_t *)data >> piece & 1;
}

/* ---- the store's story --------------------------------------------------------------------- */

static void tell_node(struct strbuf *text, int number, uint64_t created, uint64_t revision,
                      size_t body)
{
    strbuf_addf(text, "n%d@%" PRIu64 "/%" PRIu64 "=%zu ", number, created, revision, body);
}

/* In the order of making, as the store tells them. */
static char *tell(const struct world *w)
{
    AUTO_STRBUF struct strbuf text = {0};
    uint64_t last = 0;

    strbuf_adds(&text, "");
    for (;;) {
        int next = -1;

        for (int i = 0; i < NODES; i++) {
            if (w->story.nodes[i].created > last &&
                (next < 0 || w->story.nodes[i].created < w->story.nodes[next].created))
                next = i;
        }
        if (next < 0)
            return strbuf_take(&text);
        last = w->story.nodes[next].created;
        tell_node(&text, next, last, w->story.nodes[next].revision, w->story.nodes[next].body);
    }
}

static int note_node(const struct store_record *record, void *data)
{
    struct world *w = data;

    w->story.nodes[record->id[1] - '0'] = (struct node){
        .created = record->created_revision,
        .revision = record->revision,
        .body = strlen(record->body),
    };
    return 0;
}

static void fail_at(struct world *w, const char *what)
{
    w->is_kept = true;
    fail_msg("%s; after %zu cuts, of seed %" PRIu64 ": %s (see %s)", what, w->cuts, seed(),
             err_text(), w->cut);
}

/* What is there has to be of the one revision or of the other. */
void world_check(struct world *w, struct store *store)
{
    AUTO_FREE char *text = NULL;
    uint64_t revision = 0;

    memset(w->story.nodes, 0, sizeof w->story.nodes);
    if (store_load(store, note_node, w, &revision) != 0)
        fail_at(w, "what was opened cannot be loaded");
    text = tell(w);
    if (revision != w->story.acknowledged && revision != w->story.under_way) {
        print_error("revision %" PRIu64 ", and not %" PRIu64 " or %" PRIu64 "\n", revision,
                    w->story.acknowledged, w->story.under_way);
        fail_at(w, "what was acknowledged is lost");
    }
    if (strcmp(text, w->texts[revision]) != 0) {
        print_error("%s\ninstead of\n%s\n", text, w->texts[revision]);
        fail_at(w, "what is there was never true");
    }
    w->story.acknowledged = w->story.under_way = revision;
}

void world_write_text(struct world *w, uint64_t revision)
{
    assert_true(revision < REVISIONS_MAX);
    free(w->texts[revision]);
    w->texts[revision] = tell(w);
}

/* Mostly small; some of several pages. */
size_t world_draw_size(struct world *w)
{
    return world_draw(w, 4) == 0 ? 2 + world_draw(w, 9000) : 2 + world_draw(w, 300);
}

char *world_make_body(size_t n)
{
    char *body = mem_alloc(n + 1);

    memset(body, ' ', n);
    memcpy(body, "{}", 2);
    body[n] = '\0';
    return body;
}

static void add_any(struct world *w, struct store_change *change, uint64_t revision)
{
    uint32_t number = world_draw(w, NODES);
    struct node *node = &w->story.nodes[number];
    char id[] = {'n', (char)('0' + number), '\0'};
    size_t body = world_draw_size(w);

    if (!node->created) {
        store_add_create(change, "node", id, NULL, world_make_body(body));
        *node = (struct node){revision, revision, body};
    } else if (world_draw(w, 4) == 0) {
        store_add_delete(change, "node", id, node->revision);
        *node = (struct node){0};
    } else {
        store_add_update(change, "node", id, node->revision, NULL, world_make_body(body));
        node->revision = revision;
        node->body = body;
    }
}

/* false: the store must not be used any more. */
bool world_commit(struct world *w, struct store *store)
{
    struct store_change changes[GROUP_MAX] = {0};
    uint32_t count = 1 + world_draw(w, GROUP_MAX);
    struct node before[NODES];
    int r;

    memcpy(before, w->story.nodes, sizeof before);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            changes[i - 1].item.next = &changes[i].item;
        if (count == 1 && world_draw(w, 8) == 0)
            break; /* a probe */
        add_any(w, &changes[i], ++w->story.under_way);
        world_write_text(w, w->story.under_way);
    }
    r = store_commit(store, changes);
    if (r == 0 && changes[0].outcome == STORE_DONE) {
        w->story.acknowledged = w->story.under_way;
    } else {
        assert_true(r < 0 || changes[0].outcome == STORE_FULL);
        memcpy(w->story.nodes, before, sizeof before);
        if (r == 0)
            w->story.under_way = w->story.acknowledged;
    }
    for (uint32_t i = 0; i < count; i++)
        store_change_deinit(&changes[i]);
    return r == 0;
}

/* ---- cuts ---------------------------------------------------------------------------------- */

static void check_cut(struct world *w, const struct cut *cut)
{
    const struct story story = w->story;
    struct store *store = NULL;
    int openings = 1 + (world_draw(w, 4) == 0);

    cut_write(cut, w->cut);
    for (int i = 0; i < openings; i++) {
        if (store_sqlite_open(w->cut_path, NULL, &store) != 0)
            fail_at(w, i == 0 ? "what a cut has left is refused"
                              : "what was opened after a cut is refused after its closing");
        world_check(w, store);
        store_free(TAKE_PTR(store));
    }
    w->story = story;
    w->cuts++;
}

/* Any of the cuts of a life may be what the next one begins with. */
static void use_cut(struct world *w, struct cut *cut)
{
    check_cut(w, cut);
    if (world_draw(w, 12) == 0) {
        cut_deinit(&w->next);
        w->next = *cut;
        w->next_story = w->story;
    } else {
        cut_deinit(cut);
    }
}

static void cut_by_chance(struct world *w)
{
    static const uint32_t all_odds[] = {0, 10, 50, 50, 90, 100};
    struct odds odds = {w, all_odds[world_draw(w, ARRAY_LEN(all_odds))]};
    struct cut cut;

    cut_disk_cut(world_draw(w, 3) == 0 ? CUT_PAGE : CUT_SECTOR, arrives_by_chance, &odds, &cut);
    use_cut(w, &cut);
}

static void cut_in_all_ways(struct world *w)
{
    size_t pieces = cut_disk_pieces(CUT_PAGE);

    for (uint32_t bits = 0; pieces <= w->all_of && bits < 1U << pieces; bits++) {
        struct cut cut;

        cut_disk_cut(CUT_PAGE, arrives_by_bit, &bits, &cut);
        use_cut(w, &cut);
    }
}

void world_step(void *data)
{
    struct world *w = data;

    cut_in_all_ways(w);
    if (world_draw(w, 1000) < w->odds)
        cut_by_chance(w);
}

/* ---- lives --------------------------------------------------------------------------------- */

static void fill_by_chance(struct world *w)
{
    if (world_draw(w, 10) == 0)
        cut_disk_fill((int)world_draw(w, 12), world_draw(w, 3) == 0);
    else if (world_draw(w, 2) == 0)
        cut_disk_fill(-1, false);
}

/* A first start, and a step of the schema, want room. */
bool world_open(struct world *w, struct store **ret_store)
{
    bool is_full = world_draw(w, 10) == 0;
    int r;

    if (is_full)
        cut_disk_fill((int)world_draw(w, 8), world_draw(w, 3) == 0);
    cut_disk_watch(w->live, world_step, w);
    r = store_sqlite_open(w->path, NULL, ret_store);
    if (r != 0 && !(is_full && r == -ENOSPC))
        fail_at(w, "a file that was opened before is not opened again");
    return r == 0;
}

void world_close(struct world *w, struct store *store)
{
    store_free(store);
    cut_disk_fill(-1, false);
    world_step(w);
    cut_disk_leave();
}

static void live_once(struct world *w)
{
    struct store *store = NULL;
    uint32_t commits = world_draw(w, 14);
    bool may_be_full = world_draw(w, 3) == 0;

    if (world_open(w, &store)) {
        world_check(w, store);
        for (uint32_t i = 0; i < commits; i++) {
            if (may_be_full)
                fill_by_chance(w);
            if (!world_commit(w, store))
                break;
        }
    }
    world_close(w, store);
}

/* Else none of the cuts happened. */
void world_begin_after_a_cut(struct world *w)
{
    if (w->next.count > 0) {
        cut_write(&w->next, w->live);
        w->story = w->next_story;
    }
    cut_deinit(&w->next);
}

void world_live(struct world *w, int lives)
{
    for (int i = 0; i < lives; i++) {
        live_once(w);
        world_begin_after_a_cut(w);
    }
}

void world_empty(const struct world *w)
{
    const struct cut nothing = {0};

    cut_write(&nothing, w->live);
}

void world_begin_anew(struct world *w)
{
    world_empty(w);
    w->story = (struct story){0};
    world_write_text(w, 0);
}

/* ---- life ---------------------------------------------------------------------------------- */

int world_set_up(void **state)
{
    struct world *w = NEW(struct world);

    cut_disk_fill(-1, false);
    w->live = mem_strdup("/tmp/quilt-crash-XXXXXX");
    w->cut = mem_strdup("/tmp/quilt-crash-XXXXXX");
    assert_non_null(mkdtemp(w->live));
    assert_non_null(mkdtemp(w->cut));
    w->path = mem_printf("%s/mesh.db", w->live);
    w->cut_path = mem_printf("%s/mesh.db", w->cut);
    w->chance = seed();
    (void)sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)seed(), NULL);
    *state = w;
    return 0;
}

int world_tear_down(void **state)
{
    struct world *w = *state;
    struct cut nothing = {0};

    cut_disk_leave();
    cut_deinit(&w->next);
    cut_write(&nothing, w->live);
    assert_int_equal(rmdir(w->live), 0);
    if (!w->is_kept) {
        cut_write(&nothing, w->cut);
        assert_int_equal(rmdir(w->cut), 0);
    }
    for (size_t i = 0; i < REVISIONS_MAX; i++)
        free(w->texts[i]);
    free(w->live);
    free(w->cut);
    free(w->path);
    free(w->cut_path);
    free(w);
    return 0;
}
