/* Loads, pins and opens the fast path's programs and maps. */
#include "lib/bpf/set.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "bpf/fastpath.h"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* bpftool's, not ours */
#include "bpf/fastpath.skel.h"
#pragma GCC diagnostic pop
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/bpf/bpffs.h"
#include "lib/bpf/map.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define SET_DIR BPFFS_DIR "/" TEXT(FASTPATH_LAYOUT)
#define PATH_SIZE 128

const char *const set_dirs[] = {BPFFS_ROOT, BPFFS_DIR, SET_DIR};

static const char *const map_names[] = {"config",      "peers",           "hops",  "endpoints",
                                        "peer_counts", "endpoint_counts", "passes"};
static_assert(ARRAY_LEN(map_names) == SET_MAP_COUNT, "a name for each map");

static const char *const program_names[] = {"from_container", "to_container"};
static_assert(sizeof((struct set_loaded){0}.name) == BPF_OBJ_NAME_LEN, "the kernel's size");
static_assert(ARRAY_LEN(program_names) == SET_PROGRAM_COUNT, "a name for each program");

static void path_of(const char *name, const char *suffix, char ret_path[static PATH_SIZE])
{
    (void)snprintf(ret_path, PATH_SIZE, SET_DIR "/%s%s", name, suffix);
}

/* ---- life ---------------------------------------------------------------------------------- */

static struct set *set_new(void)
{
    struct set *set = NEW(struct set);

    for (size_t i = 0; i < SET_MAP_COUNT; i++)
        set->maps[i] = -1;
    for (size_t i = 0; i < SET_PROGRAM_COUNT; i++)
        set->programs[i].fd = set->programs[i].old_fd = -1;
    return set;
}

void set_free(struct set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < SET_MAP_COUNT; i++)
        cleanup_close(&set->maps[i]);
    for (size_t i = 0; i < SET_PROGRAM_COUNT; i++) {
        cleanup_close(&set->programs[i].fd);
        cleanup_close(&set->programs[i].old_fd);
    }
    free(set);
}

/* ---- what is pinned ------------------------------------------------------------------------ */

/* -ENOENT without a text when there is no such pin. */
static int open_pin(const char *name, const char *suffix, int *ret_fd)
{
    char path[PATH_SIZE];
    int fd;

    path_of(name, suffix, path);
    fd = bpf_obj_get(path);
    if (fd == -ENOENT)
        return fd;
    if (fd < 0)
        return err_sys(-fd, "open %s", path);
    *ret_fd = fd;
    return 0;
}

static int program_info(int fd, struct bpf_prog_info *ret_info)
{
    uint32_t size = sizeof *ret_info;
    int r;

    *ret_info = (struct bpf_prog_info){0};
    r = bpf_obj_get_info_by_fd(fd, ret_info, &size);
    return r < 0 ? err_sys(-r, "look at a BPF program") : 0;
}

static int read_id(int fd, uint32_t *ret_id)
{
    struct bpf_prog_info info;
    int r = program_info(fd, &info);

    if (r == 0)
        *ret_id = info.id;
    return r;
}

static int open_program(enum set_program which, struct set_loaded *ret)
{
    struct bpf_prog_info info;
    int r = open_pin(program_names[which], "", &ret->fd);

    if (r == 0)
        r = program_info(ret->fd, &info);
    if (r < 0)
        return r;
    ret->id = info.id;
    memcpy(ret->name, info.name, sizeof ret->name);
    r = open_pin(program_names[which], "_old", &ret->old_fd);
    if (r == 0)
        r = read_id(ret->old_fd, &ret->old_id);
    return r == -ENOENT ? 0 : r;
}

static int open_maps(struct set *set)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < SET_MAP_COUNT; i++)
        r = open_pin(map_names[i], "", &set->maps[i]);
    return r;
}

int set_open(struct set **ret_set)
{
    AUTO_SET struct set *set = set_new();
    int r = open_maps(set);

    for (int i = 0; r == 0 && i < SET_PROGRAM_COUNT; i++)
        r = open_program((enum set_program)i, &set->programs[i]);
    if (r == -ENOENT)
        return SET_NONE;
    if (r < 0)
        return r;
    *ret_set = TAKE_PTR(set);
    return 0;
}

static bool is_same_map(int fd, int pinned_fd)
{
    struct bpf_map_info a = {0}, b = {0};
    uint32_t a_size = sizeof a, b_size = sizeof b;

    return bpf_obj_get_info_by_fd(fd, &a, &a_size) == 0 &&
           bpf_obj_get_info_by_fd(pinned_fd, &b, &b_size) == 0 && a.id == b.id;
}

bool set_is_same(const struct set *a, const struct set *b)
{
    return is_same_map(a->maps[SET_CONFIG], b->maps[SET_CONFIG]);
}

bool set_is_current(const struct set *set)
{
    AUTO_SET struct set *now = NULL;

    if (set_open(&now) != 0 || !set_is_same(set, now))
        return false;
    for (size_t i = 0; i < SET_PROGRAM_COUNT; i++)
        if (set->programs[i].id != now->programs[i].id)
            return false;
    return true;
}

/* ---- switching off ------------------------------------------------------------------------- */

int set_switch_off(const struct set *set)
{
    const struct fastpath_config off = {.is_enabled = 0};
    uint32_t zero = 0;

    return map_put(set->maps[SET_CONFIG], &zero, &off);
}

/* The switch is the first word of the record in every layout. */
static int switch_off(const char *dir)
{
    AUTO_CLOSE int fd = -1;
    AUTO_FREE char *path = NULL;
    AUTO_FREE void *record = NULL;
    struct bpf_map_info info = {0};
    uint32_t size = sizeof info, zero = 0;

    path = mem_printf("%s/%s", dir, map_names[SET_CONFIG]);
    fd = bpf_obj_get(path);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
        return err_sys(errno, "open %s", path);
    record = mem_zalloc(info.value_size);
    if (bpf_map_update_elem(fd, &zero, record, BPF_ANY) < 0)
        return err_sys(errno, "switch the fast path off in %s", path);
    return 0;
}

static int remove_set(const char *name)
{
    AUTO_FREE char *dir = mem_printf(BPFFS_DIR "/%s", name);
    int r = switch_off(dir);

    return r == 0 ? bpffs_remove_dir(dir) : r;
}

/* but: a directory to keep, or NULL. */
static int remove_sets_but(const char *but)
{
    DIR *stream = opendir(BPFFS_DIR);
    const struct dirent *entry;
    int r = 0;

    if (!stream)
        return errno == ENOENT ? 0 : err_sys(errno, "open " BPFFS_DIR);
    while (r == 0 && (entry = readdir(stream))) {
        if (entry->d_name[0] == '.' || (but && strcmp(entry->d_name, but) == 0))
            continue;
        r = remove_set(entry->d_name);
    }
    closedir(stream);
    return r;
}

int set_remove_all(void)
{
    int r = remove_sets_but(NULL);

    if (r == 0 && rmdir(BPFFS_DIR) < 0 && errno != ENOENT)
        r = err_sys(errno, "remove " BPFFS_DIR);
    return r;
}

/* ---- loading ------------------------------------------------------------------------------- */

static int print_debug(enum libbpf_print_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static int print_debug(enum libbpf_print_level level, const char *format, va_list args)
{
    char text[512];

    if (level == LIBBPF_DEBUG)
        return 0;
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("libbpf", LOG_S("text", text));
    return 0;
}

static void fill_maps(struct fastpath *skeleton, struct bpf_map *ret_maps[static SET_MAP_COUNT])
{
    struct bpf_map *maps[SET_MAP_COUNT] = {
        skeleton->maps.config,    skeleton->maps.peers,       skeleton->maps.hops,
        skeleton->maps.endpoints, skeleton->maps.peer_counts, skeleton->maps.endpoint_counts,
        skeleton->maps.passes};

    memcpy(ret_maps, maps, sizeof maps);
}

static int reuse_maps(struct bpf_map *const maps[static SET_MAP_COUNT], const struct set *pinned)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < SET_MAP_COUNT; i++)
        r = bpf_map__reuse_fd(maps[i], pinned->maps[i]);
    return r < 0 ? err_sys(-r, "use the pinned BPF maps") : 0;
}

static int pin(int fd, const char *name)
{
    char path[PATH_SIZE];
    int r;

    path_of(name, "", path);
    r = bpf_obj_pin(fd, path);
    return r < 0 ? err_sys(-r, "pin %s", path) : 0;
}

static int pin_maps(struct bpf_map *const maps[static SET_MAP_COUNT])
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < SET_MAP_COUNT; i++)
        r = pin(bpf_map__fd(maps[i]), map_names[i]);
    return r;
}

/* The same instructions (the kernel's tag of them): the pinned one stays. */
static int is_pinned(const char *name, int fd)
{
    AUTO_CLOSE int pinned_fd = -1;
    struct bpf_prog_info pinned, loaded;
    int r = open_pin(name, "", &pinned_fd);

    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = program_info(pinned_fd, &pinned);
    if (r == 0)
        r = program_info(fd, &loaded);
    if (r < 0)
        return r;
    return memcmp(pinned.tag, loaded.tag, sizeof pinned.tag) == 0;
}

static int pin_program(const char *name, int fd)
{
    char path[PATH_SIZE], old[PATH_SIZE];
    int r = is_pinned(name, fd);

    if (r != 0)
        return r < 0 ? r : 0;
    path_of(name, "", path);
    path_of(name, "_old", old);
    if (rename(path, old) < 0 && errno != ENOENT)
        return err_sys(errno, "rename %s", path);
    return pin(fd, name);
}

static int pin_programs(struct fastpath *skeleton)
{
    int r = pin_program(program_names[SET_FROM_CONTAINER],
                        bpf_program__fd(skeleton->progs.quilt_from_container));

    if (r == 0)
        r = pin_program(program_names[SET_TO_CONTAINER],
                        bpf_program__fd(skeleton->progs.quilt_to_container));
    return r;
}

/* pinned: the maps to go on with, or NULL. */
static int load_and_pin(struct fastpath *skeleton, const struct set *pinned)
{
    struct bpf_map *maps[SET_MAP_COUNT];
    int r;

    fill_maps(skeleton, maps);
    r = pinned ? reuse_maps(maps, pinned) : 0;
    if (r < 0)
        return r;
    r = fastpath__load(skeleton);
    if (r < 0)
        return err_sys(-r, "load the BPF programs");
    if (!pinned)
        r = pin_maps(maps);
    return r == 0 ? pin_programs(skeleton) : r;
}

static int load(const struct set *pinned)
{
    struct fastpath *skeleton;
    int r;

    (void)libbpf_set_print(print_debug);
    skeleton = fastpath__open();
    if (!skeleton)
        return err_sys(errno, "open the BPF programs");
    r = load_and_pin(skeleton, pinned);
    fastpath__destroy(skeleton);
    return r;
}

/* What a crash left half pinned is of no use to anybody. */
static int begin_anew(void)
{
    int r = remove_set(TEXT(FASTPATH_LAYOUT));

    return r == 0 ? bpffs_ensure_dir(SET_DIR) : r;
}

int set_load(struct set **ret_set)
{
    AUTO_SET struct set *pinned = NULL;
    int r = bpffs_ensure_dir(SET_DIR);

    if (r == 0)
        r = remove_sets_but(TEXT(FASTPATH_LAYOUT));
    if (r == 0)
        r = set_open(&pinned);
    if (r == SET_NONE)
        r = begin_anew();
    if (r == 0)
        r = load(pinned);
    if (r == 0)
        r = set_open(ret_set);
    return r == SET_NONE ? err_fail(ENOENT, SET_DIR " is not what was just pinned there") : r;
}
