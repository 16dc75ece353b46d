/* Listens, and keeps the guests. */
#include "lib/rpc/door.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/privilege.h"
#include "lib/rpc/porter.h"

#define GUESTS_MAX 256
#define FILES_PER_GUEST 3
#define OTHER_FILES 256 /* what a daemon needs besides */
#define ACCEPTS_MAX 16  /* in one turn of the loop */
#define LOOK_MS 2000
#define UNKNOWN_SHARE 4 /* one of so many guests may be at its handshake */
#define LOG_GAP_MS 1000

/* Of each reason a line a second: a flood of one does not keep another from being told. */
struct told {
    int64_t logged_ms;   /* 0: never */
    unsigned int unsaid; /* lines left out since */
};

struct rpc_door {
    struct rpc_door_config config;
    int fd;       /* -1: shut */
    int spare_fd; /* given up for a moment when there are no descriptors */
    int port;
    struct loop_source *io;
    struct loop_source *timer;
    struct warden *warden;     /* NULL: no TLS */
    LIST_HEAD(, guest) guests; /* the newest first */
    unsigned int guests_max;
    unsigned int guest_count;
    unsigned int unknown_count; /* of guests whose handshake is not over */
    unsigned int other_count;   /* of guests that are known, and no masters */
    struct rpc_figures figures;
    uint64_t cuts[GUEST_END_COUNT];
    struct told told[GUEST_END_COUNT];
};

struct loop *door_loop(const struct rpc_door *door)
{
    return door->config.loop;
}

/* ---- saying it ------------------------------------------------------------------------------ */

static void say_cut(struct rpc_door *door, const char *name, int end)
{
    int64_t now_ms = clock_boot_ms();
    struct told *told = &door->told[end];

    door->cuts[end]++;
    if (told->logged_ms != 0 && now_ms - told->logged_ms < LOG_GAP_MS) {
        told->unsaid++;
        return;
    }
    if (end == GUEST_NO_TLS || end == GUEST_UNPROVEN)
        log_warn("a gRPC connection was cut", LOG_S("who", name),
                 LOG_S("reason", guest_end_word(end)), LOG_S("problem", err_text()),
                 LOG_U("unsaid", told->unsaid));
    else
        log_warn("a gRPC connection was cut", LOG_S("who", name),
                 LOG_S("reason", guest_end_word(end)), LOG_U("unsaid", told->unsaid));
    *told = (struct told){.logged_ms = now_ms};
}

/* ---- guests --------------------------------------------------------------------------------- */

static void count_guest(struct rpc_door *door, const struct guest *guest, int change)
{
    door->guest_count += (unsigned int)change;
    if (!guest->is_known)
        door->unknown_count += (unsigned int)change;
    else if (guest->role != RPC_MASTER)
        door->other_count += (unsigned int)change;
    door->figures.connections = door->guest_count;
}

static void drop(struct rpc_door *door, struct guest *guest)
{
    count_guest(door, guest, -1);
    LIST_REMOVE(guest, entry);
    guest_free(guest);
}

static void look_soon(struct rpc_door *door)
{
    if (!loop_timer_is_armed(door->timer))
        loop_timer_set_in(door->timer, LOOK_MS);
}

void door_tell(struct rpc_door *door, struct guest *guest, int end)
{
    if (end == GUEST_STAYS) {
        if (guest_is_waiting(guest))
            look_soon(door);
        return;
    }
    if (end > 0)
        say_cut(door, guest->name, end);
    drop(door, guest);
}

void door_let_in(struct rpc_door *door, const struct guest *guest, int fd)
{
    door->config.let_in(door->config.data, guest->role, fd);
}

/* After files have changed, or time has passed: whom a certificate let in may have to go. */
static void on_round(void *data)
{
    struct rpc_door *door = data;
    const struct tls_keyring *own = warden_keyring(door->warden);
    struct guest *guest, *next;

    for (guest = LIST_FIRST(&door->guests); guest; guest = next) {
        next = LIST_NEXT(guest, entry);
        if (guest->is_known && !porter_knows_still(&door->config, own, guest))
            door_tell(door, guest, GUEST_OUTDATED);
    }
}

static void on_look(void *data)
{
    struct rpc_door *door = data;
    int64_t now_ms = clock_boot_ms();
    struct guest *guest, *next;

    for (guest = LIST_FIRST(&door->guests); guest; guest = next) {
        next = LIST_NEXT(guest, entry);
        door_tell(door, guest, guest_look(guest, now_ms));
    }
}

/* ---- room for one more ---------------------------------------------------------------------- */

static unsigned int count_key(const struct rpc_door *door, uint32_t key, bool is_known)
{
    const struct guest *guest;
    unsigned int count = 0;

    LIST_FOREACH (guest, &door->guests, entry)
        count += guest->is_known == is_known && guest->role != RPC_MASTER && guest->key == key;
    return count;
}

/* For one who is not counted as known yet. A quarter is kept for masters. */
static bool may_stay(const struct rpc_door *door, const struct guest *guest)
{
    return guest->role == RPC_MASTER || (door->other_count < door->guests_max / 4 * 3 &&
                                         count_key(door, guest->key, true) < door->guests_max / 4);
}

/* The oldest of those at their handshake, of the address that has most of them there. */
static struct guest *find_lingerer(const struct rpc_door *door)
{
    struct guest *guest, *found = NULL;
    unsigned int most = 0;

    LIST_FOREACH (guest, &door->guests, entry) {
        unsigned int count = guest->is_known ? 0 : count_key(door, guest->key, false);

        if (count < most || count == 0)
            continue;
        most = count;
        found = guest;
    }
    return found;
}

static bool is_full(const struct rpc_door *door)
{
    return door->guest_count >= door->guests_max ||
           door->unknown_count >= door->guests_max / UNKNOWN_SHARE;
}

/* Over TLS, who comes may be a master; so he gets a place as long as somebody is there who has not
 * said who he is. */
static bool has_room(struct rpc_door *door, const struct guest *guest)
{
    struct guest *lingerer;

    if (guest->is_known)
        return door->guest_count < door->guests_max && may_stay(door, guest);
    if (!is_full(door))
        return true;
    lingerer = find_lingerer(door);
    if (!lingerer)
        return false;
    door_tell(door, lingerer, GUEST_TURNED_AWAY);
    return true;
}

int door_recognize(struct rpc_door *door, struct guest *guest)
{
    bool stays;

    count_guest(door, guest, -1);
    porter_recognize_peer(&door->config, warden_keyring(door->warden), guest);
    stays = may_stay(door, guest);
    guest->is_known = true;
    count_guest(door, guest, 1);
    return stays ? GUEST_STAYS : GUEST_TURNED_AWAY;
}

/* ---- accepting ------------------------------------------------------------------------------ */

static struct tls_keyring *own_keyring(struct rpc_door *door)
{
    return door->warden ? warden_keyring(door->warden) : NULL;
}

static void receive(struct rpc_door *door, int fd)
{
    struct guest *guest;

    if (guest_new(door, door->config.loop, fd, own_keyring(door), &guest) < 0) {
        say_cut(door, "somebody", GUEST_FAILED);
        return;
    }
    porter_recognize(&door->config, guest);
    if (!has_room(door, guest)) {
        say_cut(door, guest->name, GUEST_TURNED_AWAY);
        guest_free(guest);
        return;
    }
    LIST_INSERT_HEAD(&door->guests, guest, entry);
    count_guest(door, guest, 1);
    look_soon(door);
}

/* Without a descriptor the connection could not even be refused, and the loop would spin on it. */
static void use_spare(struct rpc_door *door)
{
    int fd;

    close(TAKE_FD(door->spare_fd));
    fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    door->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    say_cut(door, "somebody", GUEST_FAILED);
}

static bool accept_one(struct rpc_door *door)
{
    int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0)
        receive(door, fd);
    else if (errno == EMFILE || errno == ENFILE)
        use_spare(door);
    return fd >= 0 || errno == ECONNABORTED || errno == EINTR;
}

static void on_listen(void *data, uint32_t epoll_events)
{
    struct rpc_door *door = data;

    for (int i = 0; i < ACCEPTS_MAX && accept_one(door); i++)
        ;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* As many guests as there may be files for. */
static unsigned int fit_guests(void)
{
    const uint64_t need = GUESTS_MAX * FILES_PER_GUEST + OTHER_FILES;
    uint64_t files = privilege_open_files(need);
    unsigned int fitting = (unsigned int)files / (2 * FILES_PER_GUEST);

    if (files >= need)
        return GUESTS_MAX;
    log_warn("few open files are allowed, so fewer gRPC connections are taken",
             LOG_U("limit", files), LOG_U("connections", fitting), LOG_U("wanted", GUESTS_MAX));
    return fitting;
}

static int start_warden(struct rpc_door *door)
{
    const struct rpc_tls *tls = door->config.tls;

    return tls ? warden_new(&(struct warden_config){.loop = door->config.loop,
                                                    .files = tls->files,
                                                    .on_round = on_round,
                                                    .data = door},
                            &door->warden)
               : 0;
}

static int door_init(struct rpc_door *door)
{
    int r = start_warden(door);

    if (r == 0)
        r = rpc_listen_open(door->config.listen, &door->fd, &door->port);
    if (r < 0)
        return r;
    door->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (door->spare_fd < 0)
        return err_sys(errno, "open /dev/null");
    r = loop_add_timer(door->config.loop, on_look, door, &door->timer);
    return r < 0 ? r
                 : loop_add_io(door->config.loop, door->fd, EPOLLIN, on_listen, door, &door->io);
}

int rpc_door_new(const struct rpc_door_config *config, struct rpc_door **ret_door)
{
    struct rpc_door *door = NEW(struct rpc_door);
    int r;

    door->config = *config;
    door->fd = door->spare_fd = -1;
    door->guests_max = fit_guests();
    door->figures = (struct rpc_figures){
        .cuts = door->cuts, .cut_count = GUEST_END_COUNT, .cut_word = guest_end_word};
    r = door_init(door);
    if (r < 0) {
        rpc_door_free(door);
        return r;
    }
    *ret_door = door;
    return 0;
}

void rpc_door_shut(struct rpc_door *door)
{
    if (door->fd < 0)
        return;
    loop_source_free(TAKE_PTR(door->io));
    close(TAKE_FD(door->fd));
    rpc_listen_remove(door->config.listen);
}

void rpc_door_free(struct rpc_door *door)
{
    struct guest *guest;

    if (!door)
        return;
    rpc_door_shut(door);
    while ((guest = LIST_FIRST(&door->guests))) {
        (void)guest_pump(guest, clock_boot_ms());
        drop(door, guest);
    }
    loop_source_free(door->timer);
    warden_free(door->warden);
    if (door->spare_fd >= 0)
        close(door->spare_fd);
    free(door);
}

int rpc_door_port(const struct rpc_door *door)
{
    return door->port;
}

const struct rpc_figures *rpc_door_figures(const struct rpc_door *door)
{
    return &door->figures;
}
