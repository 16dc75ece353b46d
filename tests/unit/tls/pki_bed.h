/* A directory for a control plane's certificates, and a process that dies in it. */
#pragma once

#include "lib/tls/pki_files.h"
#include "tests/unit/tls/forge.h"

#define LIFE_S (90 * DAY)

struct pki_bed {
    char dir[32];
    struct pki_config config;
};

/* For cmocka's setup and teardown; the directory may hold nothing that is not ours. */
int pki_bed_make(void **ret);
int pki_bed_drop(void **state);

struct pki_files *pki_bed_open(const struct pki_bed *bed, int64_t now);
/* The content of a file; NULL when there is none. Owned by the caller. */
char *pki_bed_read(const struct pki_bed *bed, const char *name);
void pki_bed_write(const struct pki_bed *bed, const char *name, const char *text);
void pki_bed_remove(const struct pki_bed *bed, const char *name);

/* Removes all files. */
void pki_bed_clear(const struct pki_bed *bed);

/* The directory as it was. */
struct pki_bed_copy;
struct pki_bed_copy *pki_bed_save(const struct pki_bed *bed);
void pki_bed_restore(const struct pki_bed *bed, const struct pki_bed_copy *copy);
void pki_bed_copy_free(struct pki_bed_copy *copy);

/* Runs act in a child that is gone, without a word, before its n-th fsync(), rename() or unlink().
 * Returns whether it was; false: act was over before. */
typedef void (*pki_bed_act_fn)(const struct pki_bed *bed);
bool pki_bed_dies(const struct pki_bed *bed, pki_bed_act_fn act, int n);
