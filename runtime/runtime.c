/* The runtime's parts, put together. */
#include "runtime/runtime.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/privilege.h"
#include "lib/rpc/server.h"
#include "runtime/service.h"
#include "runtime/state_disk.h"

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

/* ---- what was remembered --------------------------------------------------------------------- */

static int read_boot_id(char ret_id[static STATE_BOOT_ID_SIZE])
{
    AUTO_FREE char *text = NULL;
    size_t n;
    int r = file_read(BOOT_ID_FILE, 4096, &text, &n);

    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = '\0';
    r = parse_uuid(text);
    if (r < 0)
        return err_wrap(r, BOOT_ID_FILE);
    memcpy(ret_id, text, STATE_BOOT_ID_SIZE);
    return 0;
}

/* When the state does not know all (its last save is lost, or all of it), devices that bear our
 * alias are taken over instead of removed: containers live behind them. */
static int adopt_endpoints(struct runtime *rt)
{
    AUTO_FREE struct link_info *links = NULL;
    char no_path[] = "";
    size_t count;
    int r = link_dump(rt->kernel.nl, "veth", &links, &count);

    for (size_t i = 0; r == 0 && i < count; i++) {
        struct endpoint endpoint = {.netns_path = no_path, .created_at_s = clock_unix_s()};

        if (!endpoint_host_ifname_parse(links[i].name, &endpoint.addr) ||
            !endpoint_alias_parse(links[i].alias, &endpoint.id, endpoint.ifname))
            continue;
        if (state_adopt(&rt->state, &endpoint) == 0)
            log_warn("adopted an endpoint that the state did not know", LOG_S("id", endpoint.id),
                     LOG_S("device", links[i].name));
        free(endpoint.id);
    }
    return r;
}

static int load_state(struct runtime *rt)
{
    char boot_id[STATE_BOOT_ID_SIZE];
    size_t released;
    int loaded, r = read_boot_id(boot_id);

    if (r < 0)
        return r;
    loaded = state_disk_load(&rt->file, &rt->state);
    if (loaded < 0)
        return loaded;
    if (loaded == STATE_FILE_NONE)
        state_init(&rt->state, boot_id);
    released = state_begin_boot(&rt->state, boot_id);
    if (released > 0)
        log_info("the host was started anew, endpoints released", LOG_U("count", released));
    if (loaded != 0)
        r = adopt_endpoints(rt);
    if (r == 0 && (loaded != 0 || released > 0))
        r = state_disk_store(&rt->file, &rt->state);
    return r;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_stopped(void *data)
{
    struct runtime *rt = data;

    loop_exit(rt->daemon.loop, 0);
}

/* Nothing is removed from the kernel: containers talk on, and the next start takes over. */
static void on_stop(void *data)
{
    struct runtime *rt = data;

    rt->is_serving = false;
    rpc_server_stop(rt->rpc, SERVICE_GRACE_MS, on_stopped, rt);
}

/* Listening comes before the first look: a second runtime, started by mistake, finds the port taken
 * before it takes the first one's devices for leftovers. Health stays NOT_SERVING until the kernel
 * is as it should be; calls that come meanwhile wait for the loop. */
static int start_serving(struct runtime *rt, const struct runtime_options *options)
{
    int r = batch_init(&rt->batch, rt);

    if (r == 0)
        r = metrics_start(rt, options->metrics_addr);
    if (r == 0)
        r = service_start(rt, options->grpc_addr, options->tls.cert_file ? &options->tls : NULL);
    if (r < 0)
        return r;
    reconcile_run(&rt->reconcile, LOOK_ALL);
    rpc_server_set_serving(rt->rpc, true);
    rt->is_serving = true;
    return 0;
}

/* CAP_SYS_ADMIN to enter the containers' namespaces, CAP_NET_ADMIN for all that is done there. */
static int require_privilege(void)
{
    int r = privilege_require(CAP_NET_ADMIN, "CAP_NET_ADMIN", "run it as root");

    return r < 0 ? r : privilege_require(CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "run it as root");
}

static int open_state(const char *dir, struct state_file *ret_file)
{
    int r = state_file_open(dir, "runtime", ret_file);

    if (r == -EWOULDBLOCK)
        return err_fail(EBUSY, "another runtime is running with the state directory %s", dir);
    return r < 0 ? err_wrap(r, "use the state directory %s (see --state-dir)", dir) : 0;
}

static void on_changed(void *data)
{
    struct runtime *rt = data;

    state_disk_save(&rt->file, &rt->state);
}

int runtime_init(struct runtime *rt, const struct runtime_options *options)
{
    int r;

    *rt = (struct runtime){.file = {.lock_fd = -1}};
    r = daemon_init(&rt->daemon, on_stop, rt);
    if (r == 0)
        r = require_privilege();
    if (r == 0)
        r = file_make_dirs(options->run_dir, 0750);
    if (r == 0)
        r = open_state(options->state_dir, &rt->file);
    if (r == 0)
        r = kernel_open(&rt->kernel);
    if (r == 0)
        r = load_state(rt);
    if (r == 0)
        r = reconcile_init(&rt->reconcile, rt->daemon.loop, &rt->kernel, &rt->state,
                           &options->policy, on_changed, rt);
    return r < 0 ? r : start_serving(rt, options);
}

/* So that an earlier release, which knows nothing of journals, finds all in the one file. */
static void save_whole(struct runtime *rt)
{
    if (rt->rpc && state_file_has_changes(&rt->file))
        state_disk_save(&rt->file, &rt->state);
}

void runtime_deinit(struct runtime *rt)
{
    save_whole(rt);
    rpc_server_free(rt->rpc);
    metrics_stop(&rt->metrics);
    batch_deinit(&rt->batch);
    reconcile_deinit(&rt->reconcile);
    kernel_close(&rt->kernel);
    state_deinit(&rt->state);
    state_file_close(&rt->file);
    daemon_deinit(&rt->daemon);
}
