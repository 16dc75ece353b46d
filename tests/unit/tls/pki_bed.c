/* A directory for a control plane's certificates, and a process that dies in it. The linker puts
 * the functions here before those of the C library (-Wl,--wrap). */
#include "tests/unit/tls/pki_bed.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "tests/unit/cmocka.h"

#define DIED 42
#define FILE_MAX 65536

static const char *const names[] = {
    "ca-key.pem",     "ca.pem",     "ca-next-key.pem", "ca-next.pem", "ca-bundle.pem",
    "server-key.pem", "server.pem", "admin-key.pem",   "admin.pem",   "lock",
};

/* ---- dying --------------------------------------------------------------------------------- */

static int steps_left = -1; /* -1: for ever */

static void step(void)
{
    if (steps_left == 0)
        _exit(DIED);
    if (steps_left > 0)
        steps_left--;
}

int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);

int __wrap_fsync(int fd)
{
    step();
    return __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    step();
    return __real_rename(from, to);
}

int __wrap_unlink(const char *path)
{
    step();
    return __real_unlink(path);
}

bool pki_bed_dies(const struct pki_bed *bed, pki_bed_act_fn act, int n)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        steps_left = n;
        act(bed);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != DIED)
        assert_int_equal(WEXITSTATUS(status), 0);
    return WEXITSTATUS(status) == DIED;
}

/* ---- the directory ------------------------------------------------------------------------- */

int pki_bed_make(void **ret)
{
    static const char *const hosts[] = {"localhost"};
    struct pki_bed *bed = NEW(struct pki_bed);

    memcpy(bed->dir, "/tmp/quilt-test-XXXXXX", 23);
    assert_non_null(mkdtemp(bed->dir));
    bed->config = (struct pki_config){
        .dir = bed->dir,
        .cluster_id = CLUSTER,
        .db_path = "/var/mesh.db",
        .names = {.hosts = hosts, .host_count = 1},
        .life_s = LIFE_S,
    };
    *ret = bed;
    return 0;
}

void pki_bed_clear(const struct pki_bed *bed)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_FREE char *temp = mem_printf("%s.tmp", names[i]);

        pki_bed_remove(bed, names[i]);
        pki_bed_remove(bed, temp);
    }
}

int pki_bed_drop(void **state)
{
    struct pki_bed *bed = *state;

    pki_bed_clear(bed);
    assert_int_equal(rmdir(bed->dir), 0); /* nothing else is left in it */
    free(bed);
    return 0;
}

struct pki_files *pki_bed_open(const struct pki_bed *bed, int64_t now)
{
    struct pki_files *files = NULL;

    if (pki_files_open(&bed->config, now, &files) != 0)
        fail_msg("%s", err_text());
    return files;
}

char *pki_bed_read(const struct pki_bed *bed, const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", bed->dir, name);
    char *text = NULL;
    size_t n;

    return file_read(path, FILE_MAX, &text, &n) < 0 ? NULL : text;
}

void pki_bed_write(const struct pki_bed *bed, const char *name, const char *text)
{
    AUTO_FREE char *path = mem_printf("%s/%s", bed->dir, name);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
}

void pki_bed_remove(const struct pki_bed *bed, const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", bed->dir, name);

    (void)unlink(path);
}

struct pki_bed_copy {
    char *texts[ARRAY_LEN(names)];
};

struct pki_bed_copy *pki_bed_save(const struct pki_bed *bed)
{
    struct pki_bed_copy *copy = NEW(struct pki_bed_copy);

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        copy->texts[i] = pki_bed_read(bed, names[i]);
    return copy;
}

void pki_bed_restore(const struct pki_bed *bed, const struct pki_bed_copy *copy)
{
    pki_bed_clear(bed);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (copy->texts[i])
            pki_bed_write(bed, names[i], copy->texts[i]);
}

void pki_bed_copy_free(struct pki_bed_copy *copy)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        free(copy->texts[i]);
    free(copy);
}
