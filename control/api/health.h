/* Whether the control plane can do its work: /livez, /readyz, /health. The latter two ask the store
 * to write, at most once a second; whoever asks meanwhile shares the answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/store/store.h"
#include "lib/base/loop.h"
#include "lib/http/server.h"

struct control;
struct health_question;

struct health {
    struct control *control;
    struct store_change probe;
    bool is_under_way;
    bool is_known;
    bool can_write;   /* as of known_ms */
    int64_t known_ms; /* CLOCK_BOOTTIME */
    struct health_question *questions;
    struct loop_source *limit; /* a store that takes longer than this cannot be said to work */
};

int health_init(struct health *health, struct control *control);
void health_deinit(struct health *health);

void health_live(struct http_request *request, void *control);
void health_ready(struct http_request *request, void *control);
void health_show(struct http_request *request, void *control);
