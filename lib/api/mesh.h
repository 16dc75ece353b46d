/* The fixed facts of every mesh: names, marks and numbers that more than one program must know. The
 * route protocol number is lib/net/route.h's, the MAC rule lib/base/ip4.h's. */
#pragma once

#include "lib/base/ip4.h"

#define MESH_DEVICE_NAME "vxlan100"
/* What the alias of each device that is ours begins with. */
#define MESH_ALIAS_PREFIX "quilt:"
/* What the name of a container's device on the host begins with; its address follows, in hex. */
#define MESH_ENDPOINT_PREFIX "qv"
/* Our nftables tables, of each family. */
#define MESH_TABLE_NAME "quilt"
#define MESH_VNI 100
#define MESH_VXLAN_PORT 4789
/* UDP, on each node's host IP and VTEP address: agents answer each other's probes there. */
#define MESH_PROBE_PORT 9180
/* Outer Ethernet, IPv4, UDP and VXLAN headers (RFC 7348 section 5). */
#define MESH_OVERHEAD_BYTES 50

/* What a cluster has when nobody says otherwise: 10.42.0.0/16, and a /24 for each node. */
#define MESH_CLUSTER_DEFAULT ((struct ip4_prefix){.addr = 0x0a2a0000, .len = 16})
#define MESH_NODE_LEN_DEFAULT 24
