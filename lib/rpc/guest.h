/* One client's connection, and the socket by which gRPC core has it. Internal to lib/rpc.
 *
 *                    in: 8 KiB, patrolled
 *     client socket ───────────────────────> our end ═══ the core's end of a socketpair
 *     (or TLS on it)<───────────────────────
 *                    out: 8 KiB, patrolled
 *
 * Who does not read costs no more than the lanes. The core hears of a client that has shown its
 * preface and SETTINGS.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/base/loop.h"
#include "lib/rpc/lane.h"
#include "lib/rpc/patrol.h"
#include "lib/rpc/role.h"

#define GUEST_NAME_SIZE 128

struct rpc_door;

/* Others read it. */
struct guest {
    struct rpc_door *door;
    LIST_ENTRY(guest) entry;
    enum rpc_role role;
    uint32_t key;               /* of whoever it is counted with: a uid, or an address */
    char name[GUEST_NAME_SIZE]; /* for the log: "uid 1000" */
    bool is_known;              /* role, key and name are final; TLS: the handshake is over */
    int64_t since_ms;

    struct lane_side client;
    struct lane_side core; /* our end; -1: the core does not know it yet, or is done */
    bool is_inside;        /* the core has it */
    bool has_left;         /* the client has said all */
    bool is_dismissed;     /* the core has closed */
    struct lane in, out;
    struct patrol patrol;
};

enum guest_end {
    GUEST_STAYS,
    /* enum patrol_reason between */
    GUEST_SLOW = PATROL_REASON_COUNT, /* said nothing of use in 10 s */
    GUEST_UNREAD,                     /* does not read, for 20 s */
    GUEST_TURNED_AWAY,                /* too many at once */
    GUEST_FAILED,                     /* no descriptors, no papers */
    GUEST_NO_TLS,                     /* its handshake fails; err_text() says why */
    GUEST_UNPROVEN,                   /* its certificate, likewise */
    GUEST_OUTDATED,                   /* its certificate is not good any more */
    GUEST_END_COUNT
};
/* For logs and metrics. */
const char *guest_end_word(int end);

/* Takes over the client's socket. keyring NULL: no TLS. */
int guest_new(struct rpc_door *door, struct loop *loop, int client_fd, struct tls_keyring *keyring,
              struct guest **ret_guest);
void guest_free(struct guest *guest);
/* Moves what can be moved. GUEST_STAYS; positive: cut it, for this reason (patrol_reason or
 * guest_end); negative: it has gone by itself. */
int guest_pump(struct guest *guest, int64_t now_ms);
/* For a timer, while guest_is_waiting(): as guest_pump(). */
int guest_look(const struct guest *guest, int64_t now_ms);
bool guest_is_waiting(const struct guest *guest);
