/* The ingress of devices. */
#include "lib/bpf/hook.h"

#include <bpf/bpf.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/bpf/hook_clsact.h"

/* linux/bpf.h of 6.1 lacks it. */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define PROGRAMS_MAX 64
#define LOOPBACK 1

struct attached {
    uint32_t ids[PROGRAMS_MAX];
    uint32_t count;
};

static int query(int ifindex, struct attached *ret)
{
    uint32_t flags = 0;
    int r;

    *ret = (struct attached){.count = PROGRAMS_MAX};
    r = bpf_prog_query(ifindex, TCX_INGRESS, 0, &flags, ret->ids, &ret->count);
    if (r == -ENODEV)
        return r;
    return r < 0 ? err_sys(-r, "list the BPF programs of device %d", ifindex) : 0;
}

bool hook_has_tcx(void)
{
    struct attached attached;

    return query(LOOPBACK, &attached) == 0;
}

static bool has(const struct attached *attached, uint32_t id)
{
    for (uint32_t i = 0; i < attached->count && i < PROGRAMS_MAX; i++)
        if (id != 0 && attached->ids[i] == id)
            return true;
    return false;
}

static int attach(int ifindex, const struct set_loaded *program, bool is_replacing)
{
    LIBBPF_OPTS(bpf_prog_attach_opts, options);
    int r;

    if (is_replacing) {
        options.flags = BPF_F_REPLACE;
        options.replace_prog_fd = program->old_fd;
    }
    r = bpf_prog_attach_opts(program->fd, ifindex, TCX_INGRESS, &options);
    return r < 0 ? err_sys(-r, "attach the BPF program to device %d", ifindex) : 1;
}

static int detach(int ifindex, int fd)
{
    int r = bpf_prog_detach2(fd, ifindex, TCX_INGRESS);

    return r < 0 ? err_sys(-r, "detach the BPF program from device %d", ifindex) : 1;
}

static bool has_name(int fd, const char *name)
{
    struct bpf_prog_info info = {0};
    uint32_t size = sizeof info;

    return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
           strncmp(info.name, name, sizeof info.name) == 0;
}

/* One whose set is lost goes by records that nobody keeps. */
static int detach_strays(int ifindex, const struct attached *attached,
                         const struct set_loaded *program)
{
    int written = 0;

    for (uint32_t i = 0; i < attached->count && i < PROGRAMS_MAX; i++) {
        AUTO_CLOSE int fd = -1;
        int r;

        if (attached->ids[i] == program->id || attached->ids[i] == program->old_id)
            continue;
        fd = bpf_prog_get_fd_by_id(attached->ids[i]);
        if (fd < 0 || !has_name(fd, program->name))
            continue;
        r = detach(ifindex, fd);
        if (r < 0)
            return r;
        written = r;
    }
    return written;
}

int hook_attach(int ifindex, const struct set_loaded *program)
{
    struct attached attached;
    int r;

    if (!hook_has_tcx())
        return hook_clsact_attach(ifindex, program);
    r = query(ifindex, &attached);
    if (r < 0)
        return r;
    r = detach_strays(ifindex, &attached, program);
    if (r < 0 || has(&attached, program->id))
        return r;
    return attach(ifindex, program, has(&attached, program->old_id));
}

int hook_detach(int ifindex, const struct set_loaded *program)
{
    struct attached attached;
    int r, written = 0;

    if (!hook_has_tcx())
        return hook_clsact_detach(ifindex);
    r = query(ifindex, &attached);
    if (r == 0 && has(&attached, program->id))
        written = r = detach(ifindex, program->fd);
    if (r >= 0 && has(&attached, program->old_id))
        written = r = detach(ifindex, program->old_fd);
    return r < 0 ? r : written;
}
