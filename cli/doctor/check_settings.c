/* The kernel's settings and tables, the fast path, and the disk. */
#include <inttypes.h>
#include <string.h>

#include "cli/doctor/checks.h"
#include "lib/api/mesh.h"

#define TABLE_FULL_PERCENT 90
#define DISK_LOW_PERCENT 3
#define FILES_MEND_MIN ((int64_t)1024)
#define DISK_LOW_BYTES ((int64_t)16 << 20)

static void check_forwarding(const struct facts *f, struct findings *findings)
{
    if (f->forwarding != 0 || facts_is_dry(f))
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "ip-forward-off",
            .severity = SEVERITY_ERROR,
            .remedy = REMEDY_FORWARDING,
            .what = mem_strdup("the host forwards no packets, so none gets in or out of a "
                               "container"),
            .shows = f->forwarding_file ? mem_printf("net.ipv4.ip_forward is 0, and %s says so",
                                                     f->forwarding_file)
                                        : mem_strdup("net.ipv4.ip_forward is 0"),
            .mend = f->forwarding_file ? mem_printf("take the line out of %s, then: sysctl -w "
                                                    "net.ipv4.ip_forward=1",
                                                    f->forwarding_file)
                                       : mem_strdup("sysctl -w net.ipv4.ip_forward=1")});
}

/* net.ipv4.ip_forward sets all devices, and each can be set apart after. */
static void check_device_forwarding(const struct facts *f, struct findings *findings)
{
    const char *device = f->is_overlay_deaf ? MESH_DEVICE_NAME : f->underlay_device;

    if (f->forwarding != 1 || facts_is_dry(f) || !(f->is_overlay_deaf || f->is_underlay_deaf))
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "ip-forward-off",
            .severity = f->is_overlay_deaf ? SEVERITY_ERROR : SEVERITY_WARNING,
            .what = f->is_overlay_deaf
                        ? mem_strdup("what comes out of the overlay is not forwarded to containers "
                                     "(but for what takes the eBPF path or the short cut)")
                        : mem_printf("what comes in by %s is not forwarded, so containers get no "
                                     "answers from out of the mesh",
                                     device),
            .shows = mem_printf("net.ipv4.conf.%s.forwarding is 0", device),
            .mend = mem_printf("sysctl -w net.ipv4.conf.%s.forwarding=1; grep -r forwarding "
                               "/etc/sysctl.conf /etc/sysctl.d says what sets it",
                               device)});
}

static bool is_nearly_full(int64_t count, int64_t max)
{
    return max > 0 && count * 100 >= max * TABLE_FULL_PERCENT;
}

static void check_conntrack(const struct facts *f, struct findings *findings)
{
    if (!is_nearly_full(f->conntrack_count, f->conntrack_max))
        return;
    findings_add(
        findings,
        (struct finding){.cause = "conntrack-full",
                         .severity = SEVERITY_ERROR,
                         .what = mem_strdup("the table of connections is nearly full: new ones are "
                                            "dropped"),
                         .shows = mem_printf("%" PRId64 " of %" PRId64 " entries",
                                             f->conntrack_count, f->conntrack_max),
                         .mend = mem_printf("sysctl -w net.netfilter.nf_conntrack_max=%" PRId64,
                                            2 * f->conntrack_max)});
}

static void check_neighbours(const struct facts *f, struct findings *findings)
{
    if (!is_nearly_full(f->neigh_count, f->neigh_max))
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "neighbours-full",
            .severity = SEVERITY_ERROR,
            .what = mem_strdup("the table of neighbours is nearly full: hosts on the link "
                               "are no longer found"),
            .shows = mem_printf("%" PRId64 " of %" PRId64 " entries", f->neigh_count, f->neigh_max),
            .mend = mem_printf("sysctl -w net.ipv4.neigh.default.gc_thresh3=%" PRId64,
                               4 * f->neigh_max)});
}

static void check_disk(const struct disk *disk, struct findings *findings)
{
    if (disk->free_bytes == FACTS_UNKNOWN || disk->size_bytes <= 0 ||
        (disk->free_bytes >= DISK_LOW_BYTES &&
         disk->free_bytes >= disk->size_bytes / 100 * DISK_LOW_PERCENT))
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "disk-full",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("the disk of %s is nearly full: state cannot be saved", disk->path),
            .shows = mem_printf("%" PRId64 " KiB of %" PRId64 " KiB are free",
                                disk->free_bytes >> 10, disk->size_bytes >> 10),
            .mend = mem_printf("make room: du -xh %s | sort -h | tail", disk->path)});
}

static void check_daemon_files(const struct daemon_files *d, struct findings *findings)
{
    if (d->pid == 0 || !is_nearly_full(d->open, d->limit))
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "files-low",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("%s is near the number of files that it may have open: it cannot "
                               "take more connections",
                               d->program),
            .shows = mem_printf("%" PRId64 " of %" PRId64, d->open, d->limit),
            .mend =
                mem_printf("prlimit --pid %" PRId64 " --nofile=%" PRId64
                           ", and LimitNOFILE= for later: systemctl edit %s",
                           d->pid, FILES_MEND_MIN > 2 * d->limit ? FILES_MEND_MIN : 2 * d->limit,
                           d->program)});
}

/* By choice, the path is off without a reason. */
static void check_fastpath(const struct facts *f, struct findings *findings)
{
    const char *reason = facts_text(f->agent, "dataplane_reason");

    if (!f->agent || reason[0] == '\0' || facts_is_dry(f))
        return;
    findings_add(findings,
                 (struct finding){
                     .cause = "fast-path-off",
                     .severity = SEVERITY_NOTE,
                     .what = mem_strdup("packets take the kernel's path, which is right and slower "
                                        "than the eBPF path"),
                     .shows = f->has_bpffs ? mem_strdup(reason)
                                           : mem_printf("%s; no BPF file system is mounted on "
                                                        "/sys/fs/bpf",
                                                        reason),
                     .mend = f->has_bpffs
                                 ? mem_strdup("nothing needs to be done; --dataplane ebpf insists "
                                              "on it and says why it cannot be had")
                                 : mem_strdup("mount -t bpf bpf /sys/fs/bpf")});
}

void check_settings(const struct facts *facts, struct findings *findings)
{
    check_forwarding(facts, findings);
    check_device_forwarding(facts, findings);
    check_conntrack(facts, findings);
    check_neighbours(facts, findings);
    for (size_t i = 0; i < FACTS_DISKS; i++)
        check_disk(&facts->disks[i], findings);
    for (size_t i = 0; i < FACTS_DAEMONS; i++)
        check_daemon_files(&facts->daemons[i], findings);
    check_fastpath(facts, findings);
}
