/* The sockets of the probes: three, and the packets on them. What cannot be sent is what is not
 * answered.
 *
 *     ICMP               echo requests to host IPs and VTEP addresses; an unprivileged socket where
 *                        the host lets us (net.ipv4.ping_group_range), else a raw one
 *     UDP, host IP       both sides of lib/api/mesh.h's MESH_PROBE_PORT, under
 *     UDP, VTEP address  and through the overlay
 */
#pragma once

#include "agent/probe/track.h"
#include "lib/base/loop.h"

struct probe_wire_config {
    struct loop *loop;
    uint32_t host_ip;
    /* An answer; ip_bytes: how much of the request arrived there, 0: not told. */
    void (*answered)(void *data, uint32_t from, uint64_t nonce, uint32_t ip_bytes);
    /* Whether a request from there is to be answered. */
    bool (*admit)(void *data, uint32_t from);
    /* Answers have been read. */
    void (*drained)(void *data);
    void *data;
};

struct probe_wire;

int probe_wire_new(const struct probe_wire_config *config, struct probe_wire **ret_wire);
void probe_wire_free(struct probe_wire *wire);
/* Our own VTEP address; 0: none. After a failure there is none, and the next call tries again. */
int probe_wire_set_vtep(struct probe_wire *wire, uint32_t vtep);
/* Why there is no ICMP socket, and so nobody who can tell a stopped agent from a dead host; NULL:
 * there is one. */
const char *probe_wire_echo_problem(const struct probe_wire *wire);
void probe_wire_send(struct probe_wire *wire, enum probe_way way, uint32_t addr, uint64_t nonce,
                     uint32_t ip_bytes);
/* Reads all that has come. */
void probe_wire_drain(struct probe_wire *wire);
