/* A healthy agent's view of itself, for tests to spoil. */
#pragma once

#include "agent/status.h"

static const struct api_node view_nodes[] = {
    {.node_id = "00000000-0000-4000-8000-000000000002",
     .hostname = "node2",
     .host_ip = 0xc0a8010c,
     .subnet = {0x0a2a0200, 24},
     .is_up = true},
    {.node_id = "00000000-0000-4000-8000-000000000003",
     .hostname = "node3",
     .host_ip = 0xc0a8010d,
     .subnet = {0x0a2a0300, 24}},
};
static const struct api_register_reply view_identity = {
    .node_id = "00000000-0000-4000-8000-000000000001",
    .subnet = {0x0a2a0100, 24},
    .node_token = "secret",
    .cluster = {.cidr = {0x0a2a0000, 16}},
    .origin = {"11111111-2222-4333-8444-555555555555", 7},
};
static const struct overlay_counts view_counts = {
    .writes = {[OVERLAY_FDB] = {[OVERLAY_ADD] = 3}},
    .repairs = {[OVERLAY_FDB] = 1},
};
static const struct status_peer view_peers[] = {
    {.node = &view_nodes[0], .is_programmed = true},
    {.node = &view_nodes[1]},
};

static inline struct status_view make_view(void)
{
    return (struct status_view){
        .hostname = "node1",
        .host_ip = 0xc0a8010b,
        .identity = &view_identity,
        .is_ready = true,
        .control = {.url = "http://192.168.1.10:8080",
                    .is_registered = true,
                    .is_connected = true,
                    .is_stream_up = true,
                    .last_contact_ms = 95000,
                    .problem = "",
                    .registrations = 1,
                    .heartbeats = 9},
        .now_ms = 100000,
        .runtime_url = "http://127.0.0.1:50051",
        .runtime = {.is_connected = true, .is_ready = true, .problem = "", .calls = 4},
        .overlay = {.is_host_ip_local = true,
                    .is_programmed = true,
                    .is_device_up = true,
                    .mtu_bytes = 1450,
                    .problem = "",
                    .fight = "",
                    .looks = 5,
                    .counts = &view_counts},
        .peers = view_peers,
        .peer_count = 2,
        .wanted_count = 1,
        .programmed_count = 1,
    };
}
