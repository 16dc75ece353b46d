/* GET /api/backup: the whole store as a file, while it is in use. Where nobody is told apart, for
 * this host only: it is all that the control plane knows, and making it is work. One at a time. */
#pragma once

#include <stdbool.h>

#include "control/store/store.h"
#include "lib/http/server.h"

struct control;

struct backup {
    struct store_change set;
    struct store_copy copy;
    bool is_under_way;
    struct http_request *request; /* NULL: nobody waits for it any more */
};

void backup_deinit(struct backup *backup);

void backup_show(struct http_request *request, void *control);
