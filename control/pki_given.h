/* The certificates that were given with --tls-cert, --tls-key and --tls-ca: read, and judged by
 * what nodes will say to them. Touches the disk. */
#pragma once

#include "control/pki.h"
#include "lib/tls/chain.h"

/* Whether all of them are others' files, and none is in dir, where the control plane makes its own:
 * 0, or -EINVAL with a text. */
int pki_given_check_place(const struct pki_options *options, const char *dir);
/* What the server shows, and the CAs that nodes can know it by, those that vouch for it first.
 * -EINVAL, or what the disk says, with a text: no node could join, and what to do. */
int pki_given_read(const struct pki_options *options, struct tls_chain **ret_chain,
                   struct tls_trust **ret_roots);
/* Before anything is made: what pki_given_read() would say; 0 when nothing is given. */
int pki_given_check(const struct pki_options *options);
/* Of what is shown: the log gets what may keep nodes away. */
void pki_given_warn(const struct pki *pki);
/* The same of its life, when that is about to end, over, or has not begun; each is said once. */
void pki_given_watch_time(struct pki *pki, int64_t now);
/* A name or address of this host's that the certificate is for, else another name of it, as it is
 * for the line that is printed. Caller frees; NULL: there is none. */
char *pki_given_host(const struct pki *pki);
