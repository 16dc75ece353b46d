/* Which devices have the program for what peers send. */
#include <errno.h>
#include <stdlib.h>

#include "agent/fastpath/internal.h"
#include "lib/base/mem.h"
#include "lib/bpf/hook.h"

bool fastpath_has_device(const struct fastpath *fp, int ifindex)
{
    for (size_t i = 0; i < fp->device_count; i++)
        if (fp->devices[i] == ifindex)
            return true;
    return false;
}

static const struct set_loaded *receiver(const struct fastpath *fp)
{
    return &fp->set->programs[SET_TO_CONTAINER];
}

static int attach_devices(struct fastpath *fp, const struct ways *ways)
{
    for (size_t i = 0; i < ways->device_count; i++) {
        int r = hook_attach(ways->devices[i], receiver(fp));

        if (r < 0 && r != -ENODEV)
            return r;
        fp->writes += r > 0;
    }
    return 0;
}

/* Those that are not needed any more: of ours, or at the first look of an earlier process. */
static int detach_devices(struct fastpath *fp, const struct ways *ways)
{
    for (size_t i = 0; !fp->has_looked && i < ways->link_count; i++) {
        int ifindex = ways->links[i].ifindex, r;

        if (ways_has_device(ways, ifindex))
            continue;
        r = hook_detach(ifindex, receiver(fp));
        if (r < 0 && r != -ENODEV)
            return r;
    }
    for (size_t i = 0; i < fp->device_count; i++) {
        int r =
            ways_has_device(ways, fp->devices[i]) ? 0 : hook_detach(fp->devices[i], receiver(fp));

        if (r < 0 && r != -ENODEV)
            return r;
    }
    return 0;
}

int fastpath_take_more_devices(struct fastpath *fp, const struct ways *ways)
{
    int r = attach_devices(fp, ways);

    if (r < 0)
        return r;
    fp->devices =
        mem_resize(fp->devices, fp->device_count + ways->device_count + 1, sizeof *fp->devices);
    for (size_t i = 0; i < ways->device_count; i++)
        if (!fastpath_has_device(fp, ways->devices[i]))
            fp->devices[fp->device_count++] = ways->devices[i];
    return 0;
}

int fastpath_take_devices(struct fastpath *fp, struct ways *ways)
{
    int r = attach_devices(fp, ways);

    if (r == 0)
        r = detach_devices(fp, ways);
    if (r < 0)
        return r;
    free(fp->devices);
    fp->devices = TAKE_PTR(ways->devices);
    fp->device_count = ways->device_count;
    return 0;
}

int fastpath_leave_devices(const struct fastpath *fp)
{
    for (size_t i = 0; i < fp->device_count; i++) {
        int r = hook_detach(fp->devices[i], receiver(fp));

        if (r < 0 && r != -ENODEV)
            return r;
    }
    return 0;
}
