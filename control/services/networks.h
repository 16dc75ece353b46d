/* A short list of networks, as an operator writes it: "10.0.0.0/16,192.168.7.0/24". Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/ip4.h"

#define NETWORKS_MAX 16

struct networks {
    struct ip4_prefix list[NETWORKS_MAX];
    size_t count;
};

/* -EINVAL with a text. */
int networks_parse(const char *text, struct networks *ret_networks);
bool networks_contain(const struct networks *networks, uint32_t addr);
