/* What quiltctl shows to the control plane, and whom it believes to be it. Reads files, and asks
 * for the CA that a token pins.
 *
 *     --token, --token-file     the token, to who has a certificate of the CA that the token pins
 *     --tls-cert, --tls-key     the certificate
 *     neither                   what this host has: the admin's certificate, or else the node's
 *     nothing of all that       nothing
 *
 * --tls-ca says whom to believe instead of the CA that belongs to each; where none does, it is the
 * system's list. In plain HTTP nothing is shown, and a token is an error.
 */
#pragma once

#include "cli/cli.h"
#include "lib/http/client.h"

struct credentials {
    char *ca_file; /* NULL: the system's list */
    char *cert_file;
    char *key_file;
    char *bearer;  /* "Authorization: Bearer ..."; NULL: none */
    char *words;   /* what is shown, for people: "the token abcd1234"; NULL: nothing */
    int pinned_fd; /* holds the CAs that the token pins, in no directory; -1: none */
};

#define CREDENTIALS_NONE ((struct credentials){.pinned_fd = -1})

enum credentials_outcome { CREDENTIALS_NO_MORE = 1 };

/* For the control plane at base. attempt counts from 0: when it turns out to have a certificate of
 * another CA, the next attempt may know that one. 0; CREDENTIALS_NO_MORE, without a text, so that
 * of the last attempt stays; or negative with a text: -ENOKEY when this host has something for root
 * only; -EBADMSG when what was given to be shown is missing, damaged, or not for this URL; and as
 * http_fetch() when the CA cannot be had. */
int credentials_find(struct cli *cli, const char *base, size_t attempt,
                     struct credentials *ret_credentials);
/* What a runtime over TLS is shown, a node's or the admin's: files, for it takes no tokens. 0, or
 * negative with a text: -ENOKEY when there is nothing that this user may show. */
int credentials_for_runtime(const struct cli *cli, struct credentials *ret_credentials);
void credentials_deinit(struct credentials *credentials);

#define AUTO_CREDENTIALS CLEANUP(credentials_deinit)
