/* The facts that a cluster is founded on. They are stored at the first start and never change; a
 * later start that asks for others is refused rather than believed. Added is what it speaks, so
 * that it does not cease to, or show another certificate, for want of a file or an option. */
#pragma once

#include <stdint.h>

#include "lib/api/register.h"

#define CLUSTER_KIND "cluster"
#define CLUSTER_ID "self"
/* Subnets a cluster may have: the pool is an array, and a list goes to every agent. */
#define CLUSTER_SUBNETS_MAX 65536U
#define CLUSTER_SUBNETS_MIN 4U

/* What it shows to nodes. */
enum cluster_certs {
    CLUSTER_CERTS_UNNOTED, /* nothing yet, or by a version that did not note it */
    CLUSTER_CERTS_WANTED,  /* nothing yet; it was founded to speak TLS */
    CLUSTER_CERTS_OWN,
    CLUSTER_CERTS_GIVEN, /* with --tls-cert */
    CLUSTER_CERTS_COUNT
};

struct cluster {
    char cluster_id[UUID_TEXT_SIZE];
    struct ip4_prefix cidr;
    uint8_t node_prefix_len;
    uint32_t vni;
    uint16_t vxlan_port;
    bool speaks_tls; /* it has, at some time */
    enum cluster_certs certs;
};

/* What the command line says; zero lengths: nothing. */
struct cluster_options {
    struct ip4_prefix cidr;
    uint8_t node_prefix_len;
};

/* A new cluster with these options and defaults for the rest. -EINVAL with a text when they do not
 * fit together. */
int cluster_found(const struct cluster_options *options, const char *cluster_id,
                  struct cluster *ret_cluster);
/* -EINVAL when options contradict the cluster; the text names both values. */
int cluster_check_options(const struct cluster *cluster, const struct cluster_options *options);

/* The stored form. */
char *cluster_to_json(const struct cluster *cluster);
int cluster_from_json(const char *text, struct cluster *ret_cluster);

/* What agents are told: heartbeats three to a timeout, a poll of the peers every 5 s (more often
 * when the timeout is short). */
struct api_cluster cluster_to_api(const struct cluster *cluster, int64_t node_timeout_ms);
