/* Carries a connection's bytes. */
#include "lib/rpc/guest.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/rpc/door.h"

#define BEGIN_LIMIT_MS 10000
#define UNREAD_LIMIT_MS 20000
/* Loads of a lane in one turn of the loop, so that others have theirs. */
#define ROUNDS_MAX 8
#define GONE (-ECONNRESET)
#define PROTOCOL "h2" /* RFC 9113 section 3.2 */

const char *guest_end_word(int end)
{
    static const char *const words[] = {
        [GUEST_SLOW] = "slow",
        [GUEST_UNREAD] = "unread",
        [GUEST_TURNED_AWAY] = "too-many",
        [GUEST_FAILED] = "failed",
        [GUEST_NO_TLS] = "handshake",
        [GUEST_UNPROVEN] = "certificate",
        [GUEST_OUTDATED] = "outdated",
    };
    static_assert(ARRAY_LEN(words) == GUEST_END_COUNT, "a word for each");

    return end < PATROL_REASON_COUNT ? patrol_reason_word((enum patrol_reason)end) : words[end];
}

/* ---- from the client ------------------------------------------------------------------------ */

static void on_core(void *data, uint32_t epoll_events);

static int enter(struct guest *guest)
{
    int ends[2];
    int r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return GUEST_FAILED;
    guest->core.fd = ends[0];
    guest->core.events = EPOLLIN;
    r = loop_add_io(door_loop(guest->door), ends[0], EPOLLIN, on_core, guest, &guest->core.io);
    if (r < 0) {
        close(ends[1]);
        return GUEST_FAILED;
    }
    guest->is_inside = true;
    door_let_in(guest->door, guest, ends[1]);
    return 0;
}

static int take_from_client(struct guest *guest, int64_t now_ms, bool *moved)
{
    size_t old_end = guest->in.end;
    ssize_t n;
    int reason;

    if (guest->has_left || guest->is_dismissed || !lane_has_room(&guest->in))
        return 0;
    n = lane_fill(&guest->in, &guest->client);
    if (n <= 0) {
        guest->has_left = n == 0;
        return n == 0 || n == -EAGAIN ? 0 : GONE;
    }
    *moved = true;
    reason = (int)patrol_in(&guest->patrol, guest->in.bytes + old_end, (size_t)n, now_ms);
    if (reason != PATROL_FINE || guest->is_inside || !patrol_has_begun(&guest->patrol))
        return reason;
    return enter(guest);
}

/* When the core is gone, what the client says is for nobody, but what the core said last may still
 * be in the other lane. */
static void give_to_core(struct guest *guest, int64_t now_ms, bool *moved)
{
    if (!guest->is_inside || guest->is_dismissed)
        return;
    if (lane_drain(&guest->in, &guest->core, now_ms, moved) < 0)
        lane_clear(&guest->in);
    if (guest->has_left && lane_is_empty(&guest->in))
        (void)shutdown(guest->core.fd, SHUT_WR);
}

/* ---- from the core -------------------------------------------------------------------------- */

static int take_from_core(struct guest *guest, int64_t now_ms, bool *moved)
{
    size_t old_end = guest->out.end;
    ssize_t n;

    if (!guest->is_inside || guest->is_dismissed || !lane_has_room(&guest->out))
        return 0;
    n = lane_fill(&guest->out, &guest->core);
    if (n <= 0) {
        guest->is_dismissed = n != -EAGAIN;
        return 0;
    }
    *moved = true;
    return (int)patrol_out(&guest->patrol, guest->out.bytes + old_end, (size_t)n, now_ms);
}

static int give_to_client(struct guest *guest, int64_t now_ms, bool *moved)
{
    if (lane_drain(&guest->out, &guest->client, now_ms, moved) < 0)
        return GONE;
    if (!guest->is_dismissed || !lane_is_empty(&guest->out))
        return 0;
    if (guest->client.tls)
        tls_session_bye(guest->client.tls);
    return GONE;
}

/* ---- both ----------------------------------------------------------------------------------- */

static int pump_round(struct guest *guest, int64_t now_ms, bool *moved)
{
    int r = take_from_client(guest, now_ms, moved);

    if (r != 0)
        return r;
    give_to_core(guest, now_ms, moved);
    r = take_from_core(guest, now_ms, moved);
    return r != 0 ? r : give_to_client(guest, now_ms, moved);
}

static void watch_both(struct guest *guest)
{
    bool is_core_there = guest->is_inside && !guest->is_dismissed;

    lane_side_watch(&guest->client,
                    !guest->has_left && !guest->is_dismissed && lane_has_room(&guest->in),
                    !lane_is_empty(&guest->out));
    lane_side_watch(&guest->core, is_core_there && lane_has_room(&guest->out),
                    is_core_there && !lane_is_empty(&guest->in));
}

/* What TLS has ready makes no noise at the socket, so it is not left for the next turn. */
static bool goes_on(const struct guest *guest, int round)
{
    return round < ROUNDS_MAX || lane_side_is_pending(&guest->client);
}

static int pump(struct guest *guest, int64_t now_ms)
{
    bool moved = true;
    int r = 0;

    for (int round = 0; r == 0 && moved && goes_on(guest, round); round++) {
        moved = false;
        r = pump_round(guest, now_ms, &moved);
    }
    if (r == 0 && guest->has_left && !guest->is_inside)
        r = GONE;
    if (r == 0)
        watch_both(guest);
    return r;
}

/* ---- who it is ------------------------------------------------------------------------------ */

/* Closing a socket with something unread in it would take back the alert that says why. */
static int see_out(struct guest *guest, int end)
{
    char scratch[LANE_BYTES];

    (void)shutdown(guest->client.fd, SHUT_WR);
    (void)recv(guest->client.fd, scratch, sizeof scratch, MSG_DONTWAIT);
    return end;
}

static int shake_hands(struct guest *guest)
{
    int r = tls_session_handshake(guest->client.tls);

    if (r < 0)
        return see_out(guest, r == -EACCES ? GUEST_UNPROVEN : GUEST_NO_TLS);
    if (r != 0) {
        lane_side_watch(&guest->client, r == TLS_WANTS_IN, r == TLS_WANTS_OUT);
        return GUEST_STAYS;
    }
    return door_recognize(guest->door, guest);
}

int guest_pump(struct guest *guest, int64_t now_ms)
{
    int r = guest->is_known ? GUEST_STAYS : shake_hands(guest);

    return r == GUEST_STAYS && guest->is_known ? pump(guest, now_ms) : r;
}

static void on_client(void *data, uint32_t epoll_events)
{
    struct guest *guest = data;
    bool is_gone = (epoll_events & (EPOLLHUP | EPOLLERR)) != 0;

    door_tell(guest->door, guest, is_gone ? GONE : guest_pump(guest, clock_boot_ms()));
}

/* A hang-up cannot be masked: while the client's lane is full, the core's last words wait in the
 * socket, and are fetched when there is room. */
static void on_core(void *data, uint32_t epoll_events)
{
    struct guest *guest = data;

    if (epoll_events & (EPOLLHUP | EPOLLERR)) {
        loop_source_free(guest->core.io);
        guest->core.io = NULL;
    }
    door_tell(guest->door, guest, guest_pump(guest, clock_boot_ms()));
}

/* ---- time ----------------------------------------------------------------------------------- */

int guest_look(const struct guest *guest, int64_t now_ms)
{
    if (!guest->is_inside && now_ms - guest->since_ms >= BEGIN_LIMIT_MS)
        return GUEST_SLOW;
    if (guest->out.stuck_ms != 0 && now_ms - guest->out.stuck_ms >= UNREAD_LIMIT_MS)
        return GUEST_UNREAD;
    return (int)patrol_look(&guest->patrol, now_ms);
}

bool guest_is_waiting(const struct guest *guest)
{
    return !guest->is_inside || guest->out.stuck_ms != 0 || patrol_is_waiting(&guest->patrol);
}

/* ---- life ----------------------------------------------------------------------------------- */

int guest_new(struct rpc_door *door, struct loop *loop, int client_fd, struct tls_keyring *keyring,
              struct guest **ret_guest)
{
    struct guest *guest = NEW(struct guest);
    int r = 0;

    guest->door = door;
    guest->since_ms = clock_boot_ms();
    guest->client.fd = client_fd;
    guest->core.fd = -1;
    guest->is_known = !keyring;
    guest->client.events = EPOLLIN;
    if (keyring)
        r = tls_session_new_server(keyring, client_fd, PROTOCOL, &guest->client.tls);
    if (r == 0)
        r = loop_add_io(loop, client_fd, EPOLLIN, on_client, guest, &guest->client.io);
    if (r < 0) {
        guest_free(guest);
        return r;
    }
    *ret_guest = guest;
    return 0;
}

void guest_free(struct guest *guest)
{
    if (!guest)
        return;
    lane_side_close(&guest->core);
    lane_side_close(&guest->client);
    free(guest);
}
