/* What one run of quiltctl works with: where the daemons are, and how to print. */
#pragma once

#include <stdbool.h>

#include "cli/output.h"
#include "lib/base/options.h"

#define CLI_NOT_GIVEN (-1)

/* What is NULL or CLI_NOT_GIVEN was not given. */
struct cli {
    struct option_list control_planes; /* none: the first question finds it */
    struct option_list control_addrs;  /* of each of them, to connect to; none: by their names */
    const char *control_plane;         /* the one that was asked last; NULL: none yet */
    const char *control_addr;          /* its address; NULL: by its name */
    bool is_control_guessed;           /* nobody has said where it is */
    const char *runtime;               /* "http://HOST:PORT", "https://..." or "unix:PATH" */
    char *agent;                       /* URL without a final slash */
    const char *state_dir;             /* the agent's */
    const char *tls_dir;               /* the control plane's */
    const char *tls_ca, *tls_cert, *tls_key;
    const char *token; /* or what token_file has, once it was read */
    const char *token_file;
    const char *ifname;
    const char *ip;
    const char *role;
    int64_t ttl_s; /* 0: for ever; so is the next */
    int64_t ttl_secs;
    int64_t max_uses;    /* 0: any number */
    int64_t patience_ms; /* with one question; 0: the usual. A backup has its own */
    bool is_forced;
    bool is_fixing;
    enum output_format format;
};

/* The verbs. Each returns as struct verb's run does. */
int cmd_node_ls(struct cli *cli, char **args);
int cmd_node_show(struct cli *cli, char **args);
int cmd_node_rm(struct cli *cli, char **args);
int cmd_node_leave(struct cli *cli, char **args);
int cmd_node_accept_cluster(struct cli *cli, char **args);
int cmd_node_reserve(struct cli *cli, char **args);
int cmd_reservation_ls(struct cli *cli, char **args);
int cmd_reservation_rm(struct cli *cli, char **args);
int cmd_node_revoke(struct cli *cli, char **args);
int cmd_token_create(struct cli *cli, char **args);
int cmd_token_ls(struct cli *cli, char **args);
int cmd_token_rm(struct cli *cli, char **args);
int cmd_ca_status(struct cli *cli, char **args);
int cmd_ca_rotate(struct cli *cli, char **args);
int cmd_endpoint_attach(struct cli *cli, char **args);
int cmd_endpoint_detach(struct cli *cli, char **args);
int cmd_endpoint_ls(struct cli *cli, char **args);
int cmd_route_ls(struct cli *cli, char **args);
int cmd_mesh(struct cli *cli, char **args);
int cmd_status(struct cli *cli, char **args);
int cmd_doctor(struct cli *cli, char **args);
int cmd_trace(struct cli *cli, char **args);
int cmd_backup(struct cli *cli, char **args);
int cmd_version(struct cli *cli, char **args);
