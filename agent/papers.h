/* What the node shows over TLS, and whom it believes: files. Touches the disk.
 *
 *     STATE_DIR/tls/         0700, everything in it 0600
 *         node-key.pem       the node's key, made here; it never leaves this host
 *         node.pem           the certificate that the control plane made for it
 *         ca.pem             the CAs to know the control plane by
 *
 * The key is on disk before a certificate for it is asked for. What cannot be used is put aside as
 * NAME.damaged, and the log says so: another key is made, and a certificate and CAs can be had
 * again by who has the node's token, or a new access token.
 *
 * Instead, files can be given: CAs, or a certificate with its key. They are only read, and looked
 * at again when they have changed.
 */
#pragma once

#include "lib/http/client.h"
#include "lib/tls/keyring.h"

struct papers_config {
    const char *state_dir;
    const char *ca_file;   /* given, or NULL; all are borrowed */
    const char *cert_file; /* and with it */
    const char *key_file;
    const struct tls_pins *remembered; /* of the CAs that were known before; NULL: none */
};

/* Others read it. */
struct papers {
    struct papers_config config;
    char *dir;
    char *ca_file, *cert_file, *key_file; /* where they are, or would be */
    struct tls_key *key;
    struct tls_cert *cert;           /* for this key; NULL: none */
    struct tls_trust *trust;         /* NULL: no CA is known */
    char ca_sha256[SHA256_HEX_SIZE]; /* of the CAs, as GET /api/ca would tell them; "": none */
    uint64_t given_stamp;            /* of the given files, as they were read */
    bool is_given_unusable;          /* as they are now; as was said */
    bool is_short_of_files;          /* of our own; as was said */
};

/* Reads everything, and makes a key when there is none. Fails when the disk does, and when given
 * files cannot be used. */
int papers_open(const struct papers_config *config, struct papers **ret_papers);
void papers_free(struct papers *papers);

/* For the HTTP client, which believes nobody while there are no CAs. Borrowed. */
struct http_client_config papers_files(const struct papers *papers);
/* For the runtime over TLS: where they are, or will be; all NULL without papers. Borrowed. */
struct tls_keyring_files papers_keyring_files(const struct papers *papers);
/* Whether the certificate is one that is asked for, and renewed. */
bool papers_are_own(const struct papers *papers);
/* Asks for a certificate: PKCS#10. Caller frees. */
int papers_request(const struct papers *papers, char **ret_csr);

/* A certificate for the key, or CAs, that were told by who had been verified. In force and on disk
 * when it returns 0; -EINVAL: cannot be used, with a text. *ret_is_new: they are others than
 * before. */
int papers_take_cert(struct papers *papers, const char *pem);
int papers_take_cas(struct papers *papers, const char *pem, bool *ret_is_new);
/* CAs that anybody may have told: only those with one of the pins count, and all others are
 * forgotten. 0, TLS_NOT_PINNED, or negative, with a text. */
int papers_pin(struct papers *papers, const char *pem, const struct sha256 *pins, size_t count);
/* By what the CAs can be found again when their file is lost: those that are remembered, and the
 * one that made the node's own certificate. How many. */
#define PAPERS_PINS_MAX (TLS_BUNDLE_CAS_MAX + 1)
size_t papers_pins(const struct papers *papers, struct sha256 ret_pins[static PAPERS_PINS_MAX]);

/* What proved the node until now is worth nothing any more, or known to others. */
int papers_make_key(struct papers *papers);
/* For a timer: given files are read again if they have changed; whether others are in force now.
 * When they cannot be used, which the log says, as it does the end of that, what was read before
 * stays in force. */
bool papers_refresh(struct papers *papers);
/* Before files are used: those of our own that somebody has deleted are written again, from memory.
 * What cannot be written the log says, once. */
void papers_restore(struct papers *papers);
/* Who leaves the mesh keeps none of it, nor of what was put aside. What cannot be removed keeps
 * nothing else from going. */
int papers_erase(const struct papers *papers);

DEFINE_CLEANUP(struct papers *, papers_free);
#define AUTO_PAPERS CLEANUP(cleanup_papers_free)
