/* The remedies, one function each. */
#include "cli/doctor/fix.h"

#include <assert.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/api/mesh.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/net/sysctl.h"

#define OUR_NAMES MESH_DEVICE_NAME " qv*"

/* Each remedy appends what it did, and nothing when it was so. */
typedef int (*remedy_fn)(json_t *done);

static void note(json_t *done, const char *text)
{
    (void)json_array_append_new(done, json_string(text));
}

/* 1: it was written; 0: it was so. */
static int write_file(const char *dir, const char *path, const char *text)
{
    AUTO_FREE char *have = NULL;
    size_t n;
    int r = file_read(path, strlen(text) + 1, &have, &n);

    if (r == 0 && strcmp(have, text) == 0)
        return 0;
    r = file_make_dirs(dir, 0755);
    if (r == 0)
        r = file_write_atomic(path, text, strlen(text), 0644);
    return r < 0 ? r : 1;
}

static int fix_forwarding(json_t *done)
{
    static const char file[] = "/etc/sysctl.d/99-zz-quilt.conf";
    int r = sysctl_ensure("net/ipv4/ip_forward", "1");

    if (r < 0)
        return r;
    if (r > 0)
        note(done, "set net.ipv4.ip_forward to 1");
    r = write_file("/etc/sysctl.d", file,
                   "# The mesh forwards containers' packets.\nnet.ipv4.ip_forward = 1\n");
    if (r > 0)
        note(done, "wrote /etc/sysctl.d/99-zz-quilt.conf, which keeps net.ipv4.ip_forward at 1");
    return r;
}

static int device_ioctl(int fd, struct ethtool_value *value)
{
    struct ifreq request = {.ifr_data = (void *)value};

    memcpy(request.ifr_name, MESH_DEVICE_NAME, sizeof MESH_DEVICE_NAME);
    return ioctl(fd, SIOCETHTOOL, &request);
}

static int fix_checksum(json_t *done)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ethtool_value value = {.cmd = ETHTOOL_GTXCSUM};

    if (fd < 0 || device_ioctl(fd, &value) < 0)
        return err_sys(errno, "look at the offloads of " MESH_DEVICE_NAME);
    if (value.data == 0)
        return 0;
    value = (struct ethtool_value){.cmd = ETHTOOL_STXCSUM};
    if (device_ioctl(fd, &value) < 0)
        return err_sys(errno, "switch the checksum offload of " MESH_DEVICE_NAME " off");
    note(done, "switched the checksum offload of " MESH_DEVICE_NAME " off");
    return 0;
}

static int fix_networkd(json_t *done)
{
    int r = write_file("/etc/systemd/network", "/etc/systemd/network/05-quilt.network",
                       "# Quilt Mesh keeps its devices itself.\n[Match]\nName=" OUR_NAMES
                       "\n\n[Link]\nUnmanaged=yes\n");

    if (r > 0)
        note(done,
             "wrote /etc/systemd/network/05-quilt.network; it holds after: networkctl reload");
    return r;
}

static int fix_network_manager(json_t *done)
{
    int r = write_file("/etc/NetworkManager/conf.d", "/etc/NetworkManager/conf.d/90-quilt.conf",
                       "# Quilt Mesh keeps its devices itself.\n[keyfile]\nunmanaged-devices="
                       "interface-name:" MESH_DEVICE_NAME ";interface-name:qv*\n");

    if (r > 0)
        note(done, "wrote /etc/NetworkManager/conf.d/90-quilt.conf; it holds after: nmcli general "
                   "reload");
    return r;
}

static void add_failure(const struct finding *of, struct findings *failures)
{
    findings_add(
        failures,
        (struct finding){
            .cause = "not-mended",
            .severity = SEVERITY_WARNING,
            .what = mem_printf("the remedy for %s was not, or not wholly, done", of->cause),
            .shows = mem_strdup(err_text()),
            .mend = mem_strdup("see to what it shows, then, as root: quiltctl doctor "
                               "--fix")});
}

void fix_apply(const struct findings *findings, json_t *done, struct findings *failures)
{
    static const remedy_fn remedies[] = {
        [REMEDY_NONE] = NULL,
        [REMEDY_FORWARDING] = fix_forwarding,
        [REMEDY_CHECKSUM] = fix_checksum,
        [REMEDY_NETWORKD] = fix_networkd,
        [REMEDY_NETWORK_MANAGER] = fix_network_manager,
    };

    static_assert(ARRAY_LEN(remedies) == REMEDY_COUNT, "each has a function");
    for (size_t i = 0; i < findings->count; i++) {
        remedy_fn fn = remedies[findings->items[i].remedy];

        if (fn && fn(done) < 0)
            add_failure(&findings->items[i], failures);
    }
}
