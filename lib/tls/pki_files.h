/* The certificates of a control plane, on disk. Touches the disk.
 *
 *     DIR/                                 0700, everything in it 0600
 *         ca-key.pem       ca.pem          the CA that signs
 *         ca-next-key.pem  ca-next.pem     the one that will, while the CA is being replaced
 *         ca-bundle.pem                    every CA that is trusted
 *         told-bundle.pem                  every CA that nodes are told, when others were given
 *         told-url                         where others find the control plane
 *         server-key.pem   server.pem      what the REST server shows
 *         admin-key.pem    admin.pem       what quiltctl shows, for root of this host
 *         lock
 *
 * Opening makes what is missing, and makes the server's and admin's certificates anew (for the same
 * key) when they are due: two thirds of their life are over, the server has other names, or another
 * CA signs now. A key is on disk before its certificate is, so whatever a crash leaves is
 * understood by the next opening and brought to an end there.
 *
 * The CA is replaced in four steps; between them, the caller waits until all nodes have followed:
 *
 *     make_next       ca: A   next: B   trusted: A
 *     publish_next    ca: A   next: B   trusted: A B      nodes learn to trust B
 *     promote_next    ca: B             trusted: A B      server and admin are B's; nodes renew
 *     drop_old        ca: B             trusted: B
 *
 * A step that failed can be repeated. After a crash in the middle of one, whoever opens the
 * directory finds it done or not begun.
 */
#pragma once

#include "lib/tls/ca.h"
#include "lib/tls/trust.h"

#define PKI_ADMIN_NAME "admin"
#define PKI_TOLD "told-bundle.pem"
#define PKI_TOLD_URL "told-url"

struct pki_config {
    const char *dir;        /* copied */
    const char *cluster_id; /* borrowed while the pki_files lives */
    const char *db_path;    /* of the cluster's database, for error texts; borrowed likewise */
    struct tls_names names; /* of the server; borrowed likewise */
    int64_t life_s;         /* of the server's and admin's certificates */
};

/* A certificate, and where it and its key are. */
struct pki_pair {
    struct tls_cert *cert;
    char *cert_file;
    char *key_file;
};

/* Others read it. Members change with each function below that takes it. */
struct pki_files {
    struct pki_config config;
    char *dir;
    struct tls_ca *ca;
    struct tls_ca *next;     /* NULL: the CA is not being replaced */
    struct tls_trust *trust; /* ca-bundle.pem */
    char *bundle_pem;        /* the same as text */
    char *bundle_file;
    struct pki_pair server;
    struct pki_pair admin;
    int lock_fd;
};

enum pki_outcome {
    PKI_DAMAGED = 1, /* a file cannot be used; the text names it and says how to recover */
    PKI_NO_NEXT,     /* there is no next CA */
    PKI_UNPUBLISHED  /* the next CA is not in the bundle yet */
};

/* What we may not look at is not missing: who opens it is told why. */
bool pki_file_is_there(const char *path);
/* The path of one of these files (not the lock) that is in a directory; NULL: there is none. Caller
 * frees. */
char *pki_files_find(const char *dir);
/* The one of them that path leads to, by whatever links; NULL: none, or path leads nowhere. Caller
 * frees. */
char *pki_files_find_same(const char *dir, const char *path);

/* Loads or makes all of it. now: Unix seconds. 0, PKI_DAMAGED, -EWOULDBLOCK when another process
 * has it, or another error of the disk. */
int pki_files_open(const struct pki_config *config, int64_t now, struct pki_files **ret_files);
void pki_files_free(struct pki_files *files);

/* For a timer: makes the server's and the admin's certificate anew where they are due. *ret_is_new:
 * whether one was. */
int pki_files_refresh(struct pki_files *files, int64_t now, bool *ret_is_new);

int pki_files_make_next(struct pki_files *files, int64_t now);
int pki_files_publish_next(struct pki_files *files);              /* or PKI_NO_NEXT */
int pki_files_promote_next(struct pki_files *files, int64_t now); /* or PKI_NO_NEXT, _UNPUBLISHED */
int pki_files_drop_old(struct pki_files *files);

DEFINE_CLEANUP(struct pki_files *, pki_files_free);
#define AUTO_PKI_FILES CLEANUP(cleanup_pki_files_free)
