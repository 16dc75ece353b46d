/* What a process may do. Capabilities by the bare system call: it is all that is needed of libcap.
 */
#include "lib/base/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/error.h"

int privilege_require(unsigned capability, const char *name, const char *hint)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, words) < 0)
        return err_sys(errno, "ask for the capabilities of this process");
    if (words[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability))
        return 0;
    return err_fail(EPERM, "%s is needed; %s", name, hint);
}

int privilege_hide_memory(void)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_sys(errno, "hide this process's memory from others");
    return 0;
}

uint64_t privilege_open_files(uint64_t wanted)
{
    struct rlimit limit, raised;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return wanted;
    raised = limit;
    raised.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &raised) < 0 ? limit.rlim_cur : raised.rlim_cur;
}
