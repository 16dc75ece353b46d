/* What quiltctl shows to the control plane, and by what it knows it: what was given on the command
 * line, or what lies on this host. Nothing for plain HTTP. */
#pragma once

#include "cli/cli.h"
#include "lib/http/client.h"

struct credentials {
    struct http_client_config config; /* its files are those below */
    char *bearer;                     /* "Authorization: Bearer ..."; NULL: none */
    char *ca_file, *cert_file, *key_file;
    int ca_fd; /* of CAs that a token pins, which are in no file; -1: none */
};

/* For the control plane at base. A token without a CA file pins its CA: that is fetched first, and
 * nothing is shown before it fits. -errno with a text. */
int credentials_find(const struct cli *cli, const char *base, struct credentials *ret);
void credentials_deinit(struct credentials *credentials);

/* Whether this host has what makes its root an admin. */
bool credentials_are_admins(const struct cli *cli);
