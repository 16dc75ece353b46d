/* What the files behind lib/tls/pki_files.h share. */
#pragma once

#include "lib/tls/pem_file.h"
#include "lib/tls/pki_files.h"

/* A key and its certificate, each in its file. */
struct pki_slot {
    const char *key_name;
    const char *cert_name;
};
extern const struct pki_slot pki_active, pki_next, pki_server, pki_admin;
#define PKI_BUNDLE "ca-bundle.pem"

/* Caller frees. */
char *pki_path(const struct pki_files *files, const char *name);
/* Starts the text of PKI_DAMAGED, which it returns: "DIR/NAME: WHAT; HOW". */
int pki_damaged(const struct pki_files *files, const char *name, const char *what, const char *how);

/* Reads what is there of a slot: NULL for what is missing. 0, PKI_DAMAGED with these words on how
 * to recover, or negative. */
int pki_read_slot(const struct pki_files *files, const struct pki_slot *slot, const char *how,
                  struct tls_key **ret_key, struct tls_cert **ret_cert);
int pki_write_key(const struct pki_files *files, const char *name, const struct tls_key *key);
int pki_write_cert(const struct pki_files *files, const char *name, const struct tls_cert *cert);
int pki_remove(const struct pki_files *files, const char *name);
bool pki_belong(const struct tls_cert *cert, const struct tls_key *key);

/* Fills in ca, next and trust: loaded, made, or brought to the end that was begun. */
int pki_load_cas(struct pki_files *files, int64_t now);
/* A CA in this slot, with a new key, or with the one that is there (*key is taken on success). */
int pki_make_ca(const struct pki_files *files, const struct pki_slot *slot, struct tls_key **key,
                int64_t now, struct tls_ca **ret_ca);
/* Removes the files of the next CA. */
int pki_clear_next(const struct pki_files *files);
/* The CAs of this text become those that are trusted, on disk first. */
int pki_set_bundle(struct pki_files *files, const char *pem);

/* Fills in or renews the certificates of server and admin. */
int pki_load_pairs(struct pki_files *files, int64_t now, bool *ret_is_new);
