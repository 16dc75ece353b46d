/* Files on disk: whole or not at all, and what is said when it fails. */
#include "lib/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static char dir[] = "/tmp/quilt-test-file-XXXXXX";
static char path[512];

/* A path in the test's directory; valid until the next call. */
static const char *in_dir(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static size_t count_files(void)
{
    DIR *d = opendir(dir);
    size_t count = 0;

    assert_non_null(d);
    while (readdir(d))
        count++;
    closedir(d);
    return count - 2;
}

static void assert_content(const char *name, const char *want)
{
    AUTO_FREE char *bytes = NULL;
    size_t n;

    assert_int_equal(file_read(in_dir(name), 1000, &bytes, &n), 0);
    assert_int_equal(n, strlen(want));
    assert_string_equal(bytes, want);
}

static int remove_one(const char *p, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(p);
}

static int make_dir(void **state)
{
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 7);
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void a_file_is_written_and_replaced_whole(void **state)
{
    struct stat st;

    assert_int_equal(file_write_atomic(in_dir("a"), "first", 5, 0600), 0);
    assert_content("a", "first");
    assert_int_equal(file_write_atomic(in_dir("a"), "2", 1, 0644), 0);
    assert_content("a", "2");
    assert_int_equal(stat(in_dir("a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(count_files(), 1);
}

static void the_mode_does_not_depend_on_the_umask(void **state)
{
    mode_t old = umask(0077);
    struct stat st;

    assert_int_equal(file_write_atomic(in_dir("a"), "x", 1, 0644), 0);
    (void)umask(old);
    assert_int_equal(stat(in_dir("a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
}

static void what_a_crash_left_behind_is_no_hindrance(void **state)
{
    int fd = open(in_dir("a.tmp"), O_CREAT | O_WRONLY, 0666);
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "longer than the new content", 27), 27);
    close(fd);
    assert_int_equal(file_write_atomic(in_dir("a"), "new", 3, 0600), 0);
    assert_content("a", "new");
    assert_int_equal(stat(in_dir("a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_link_in_the_place_of_the_temporary_file_is_not_followed(void **state)
{
    char target[512];

    assert_int_equal(file_write_atomic(in_dir("precious"), "keep", 4, 0600), 0);
    (void)snprintf(target, sizeof target, "%s", path);
    assert_int_equal(symlink(target, in_dir("a.tmp")), 0);
    assert_int_equal(file_write_atomic(in_dir("a"), "new", 3, 0600), 0);
    assert_content("precious", "keep");
    assert_content("a", "new");
}

static void a_failed_write_leaves_the_old_file_and_nothing_else(void **state)
{
    AUTO_FREE char *words = NULL;

    assert_int_equal(file_write_atomic(in_dir("no/such/dir"), "x", 1, 0600), -ENOENT);
    words = mem_printf("create %s.tmp: No such file or directory", path);
    assert_string_equal(err_text(), words);
    assert_int_equal(mkdir(in_dir("a"), 0700), 0);
    assert_true(file_write_atomic(in_dir("a"), "x", 1, 0600) < 0);
    assert_int_equal(count_files(), 1);
}

/* In a child: a file size limit makes the write fail in the middle. */
static int write_over_the_limit(void)
{
    static char big[100000];
    const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};

    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 1;
    signal(SIGXFSZ, SIG_IGN);
    return file_write_atomic(in_dir("a"), big, sizeof big, 0600) == -EFBIG ? 0 : 2;
}

static void a_full_disk_leaves_the_old_content(void **state)
{
    int status;
    pid_t child;

    assert_int_equal(file_write_atomic(in_dir("a"), "old", 3, 0600), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(write_over_the_limit());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_content("a", "old");
    assert_int_equal(count_files(), 1);
}

static void reading_says_why_it_failed(void **state)
{
    AUTO_FREE char *bytes = NULL;
    size_t n = 7;

    assert_int_equal(file_read(in_dir("none"), 10, &bytes, &n), -ENOENT);
    assert_int_equal(file_read(dir, 10, &bytes, &n), -EISDIR);
    assert_int_equal(file_write_atomic(in_dir("a"), "eleven char", 11, 0600), 0);
    assert_int_equal(file_read(in_dir("a"), 10, &bytes, &n), -EFBIG);
    assert_null(bytes);
    assert_int_equal(n, 7);
}

static void reading_keeps_every_byte_up_to_the_limit(void **state)
{
    static char big[20000];
    AUTO_FREE char *bytes = NULL;
    AUTO_FREE char *none = NULL;
    size_t n;

    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7);
    assert_int_equal(file_write_atomic(in_dir("a"), big, sizeof big, 0600), 0);
    assert_int_equal(file_read(in_dir("a"), sizeof big, &bytes, &n), 0);
    assert_int_equal(n, sizeof big);
    assert_memory_equal(bytes, big, sizeof big);
    assert_int_equal(bytes[n], 0);
    assert_int_equal(file_write_atomic(in_dir("a"), "", 0, 0600), 0);
    assert_int_equal(file_read(in_dir("a"), 0, &none, &n), 0);
    assert_int_equal(n, 0);
    assert_string_equal(none, "");
}

static void what_is_to_be_a_regular_file_is_not_waited_for(void **state)
{
    AUTO_FREE char *bytes = NULL;
    size_t n;

    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    assert_int_equal(file_read_regular(in_dir("pipe"), 10, &bytes, &n), -EINVAL);
    assert_non_null(strstr(err_text(), "/pipe is no regular file"));
    assert_int_equal(file_read_regular(dir, 10, &bytes, &n), -EISDIR);
    assert_int_equal(file_read_regular("/dev/null", 10, &bytes, &n), -EINVAL);
    assert_int_equal(file_read_regular(in_dir("none"), 10, &bytes, &n), -ENOENT);
    assert_int_equal(file_write_atomic(in_dir("a"), "text", 4, 0600), 0);
    assert_int_equal(file_read_regular(in_dir("a"), 10, &bytes, &n), 0);
    assert_string_equal(bytes, "text");
}

static void directories_are_made_with_their_parents(void **state)
{
    struct stat st;

    assert_int_equal(file_make_dirs(in_dir("x/y//z/"), 0750), 0);
    assert_int_equal(stat(in_dir("x/y/z"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(file_make_dirs(in_dir("x/y/z"), 0750), 0);
    assert_int_equal(file_make_dirs("/", 0750), 0);
}

static void a_file_in_the_way_of_a_directory_is_an_error(void **state)
{
    assert_int_equal(file_write_atomic(in_dir("f"), "", 0, 0600), 0);
    assert_int_equal(file_make_dirs(in_dir("f"), 0750), -ENOTDIR);
    assert_int_equal(file_make_dirs(in_dir("f/g"), 0750), -ENOTDIR);
    assert_int_equal(file_make_dirs("", 0750), -ENOENT);
}

static void a_lock_is_held_by_one_and_ends_with_its_descriptor(void **state)
{
    int first, second;

    assert_int_equal(file_lock(in_dir("lock"), &first), 0);
    assert_int_equal(file_lock(in_dir("lock"), &second), -EWOULDBLOCK);
    assert_non_null(strstr(err_text(), "is locked by another process"));
    close(first);
    assert_int_equal(file_lock(in_dir("lock"), &second), 0);
    close(second);
    assert_int_equal(file_lock(in_dir("no/lock"), &second), -ENOENT);
}

static uint64_t stamp_ab(void)
{
    AUTO_FREE char *a = mem_strdup(in_dir("a")), *b = mem_strdup(in_dir("b"));
    const char *const paths[] = {a, NULL, b};

    return file_stamp(paths, ARRAY_LEN(paths));
}

static void set_mtime(const char *name, time_t seconds)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds}};

    assert_int_equal(utimensat(AT_FDCWD, in_dir(name), times, 0), 0);
}

static void a_stamp_changes_with_any_file_and_no_two_changes_cancel_out(void **state)
{
    uint64_t stamps[6];

    stamps[0] = stamp_ab();
    assert_int_equal(file_write_atomic(in_dir("a"), "a", 1, 0600), 0);
    assert_int_equal(file_write_atomic(in_dir("b"), "b", 1, 0600), 0);
    set_mtime("a", 1700000000);
    set_mtime("b", 1700000000);
    stamps[1] = stamp_ab();
    assert_true(stamp_ab() == stamps[1]);
    set_mtime("a", 1700000001);
    set_mtime("b", 1699999999);
    stamps[2] = stamp_ab();
    assert_int_equal(truncate(in_dir("a"), 0), 0);
    set_mtime("a", 1700000001);
    stamps[3] = stamp_ab();
    assert_int_equal(file_write_atomic(in_dir("b"), "B", 1, 0600), 0);
    set_mtime("b", 1699999999);
    stamps[4] = stamp_ab();
    assert_int_equal(unlink(in_dir("a")), 0);
    stamps[5] = stamp_ab();
    for (size_t i = 0; i < ARRAY_LEN(stamps); i++)
        for (size_t k = 0; k < i; k++)
            assert_true(stamps[i] != stamps[k]);
}

static int write_all_over_the_limit(void)
{
    const struct rlimit limit = {.rlim_cur = 4, .rlim_max = 4};
    AUTO_CLOSE int fd = open(in_dir("a"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    if (fd < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 1;
    signal(SIGXFSZ, SIG_IGN);
    errno = 0;
    return file_write_all(fd, "eleven char", 11) == -EFBIG ? 0 : 2;
}

/* The kernel takes four bytes first, which is no error. */
static void what_is_written_in_part_only_fails_with_a_reason(void **state)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(write_all_over_the_limit());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_content("a", "elev");
}

/* In a child that is not root: whom nothing is kept from nothing is explained to. */
static void say_as_nobody(int (*act)(void), int want, char ret_text[static ERR_TEXT_MAX])
{
    int status, ends[2];
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
            _exit(1);
        if (act() != want)
            _exit(2);
        _exit(write(ends[1], err_text(), strlen(err_text()) + 1) > 0 ? 0 : 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(read(ends[0], ret_text, ERR_TEXT_MAX) > 0);
    close(ends[0]);
    close(ends[1]);
}

static int read_shadow(void)
{
    char *bytes;
    size_t n;

    return file_read("/etc/shadow", 10, &bytes, &n);
}

static int write_to_etc(void)
{
    return file_write_atomic("/etc/quilt-test/x", "x", 1, 0600);
}

static int make_in_etc(void)
{
    return file_make_dirs("/etc/quilt-test", 0700);
}

static int read_what_is_closed(void)
{
    static const char name[] = "/tmp/quilt-test-closed";
    char *bytes;
    size_t n;
    int r;

    if (file_write_atomic(name, "x", 1, 0200) < 0)
        return -1;
    r = file_read(name, 10, &bytes, &n);
    (void)unlink(name);
    return r;
}

static void who_may_and_what_to_do_is_said(void **state)
{
    char text[ERR_TEXT_MAX];

    say_as_nobody(read_shadow, -EACCES, text);
    assert_non_null(strstr(text,
                           "open /etc/shadow: Permission denied; /etc/shadow belongs to root, and "
                           "this runs as "));
    assert_non_null(strstr(text, " /etc/shadow' as root"));
    say_as_nobody(make_in_etc, -EACCES, text);
    assert_non_null(strstr(text, "create directory /etc/quilt-test: Permission denied; /etc "
                                 "belongs to root, and this runs as "));
    assert_non_null(strstr(text, " /etc' as root, if that directory is for this alone"));
    say_as_nobody(write_to_etc, -ENOENT, text);
    say_as_nobody(read_what_is_closed, -EACCES, text);
    assert_non_null(strstr(text, "/tmp/quilt-test-closed has mode 0200: 'chmod u+rw "
                                 "/tmp/quilt-test-closed'"));
}

static void a_read_only_file_system_is_told_with_what_to_do(void **state)
{
    assert_int_equal(file_fail(EROFS, "create", "/x/y"), -EROFS);
    assert_string_equal(err_text(),
                        "create /x/y: the file system there is read-only; mount it writable, name "
                        "another path, or let the unit write there (ReadWritePaths=)");
    assert_int_equal(file_fail(EIO, "create", "/x/y"), -EIO);
    assert_string_equal(err_text(), "create /x/y: Input/output error");
}

#define IN_DIR(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(a_file_is_written_and_replaced_whole),
        IN_DIR(the_mode_does_not_depend_on_the_umask),
        IN_DIR(what_a_crash_left_behind_is_no_hindrance),
        IN_DIR(a_link_in_the_place_of_the_temporary_file_is_not_followed),
        IN_DIR(a_failed_write_leaves_the_old_file_and_nothing_else),
        IN_DIR(a_full_disk_leaves_the_old_content),
        IN_DIR(reading_says_why_it_failed),
        IN_DIR(reading_keeps_every_byte_up_to_the_limit),
        IN_DIR(what_is_to_be_a_regular_file_is_not_waited_for),
        IN_DIR(directories_are_made_with_their_parents),
        IN_DIR(a_file_in_the_way_of_a_directory_is_an_error),
        IN_DIR(a_lock_is_held_by_one_and_ends_with_its_descriptor),
        IN_DIR(a_stamp_changes_with_any_file_and_no_two_changes_cancel_out),
        IN_DIR(what_is_written_in_part_only_fails_with_a_reason),
        cmocka_unit_test(who_may_and_what_to_do_is_said),
        cmocka_unit_test(a_read_only_file_system_is_told_with_what_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
