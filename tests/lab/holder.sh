#!/bin/sh
# Process 1 of a host: makes the new namespaces a host of their own, then holds them. It ignores
# SIGCHLD, so that the kernel reaps orphans, and ends only when it is killed.
#
#   holder.sh NAME HOSTDIR KEEP...     KEEP: directories that stay visible below masked ones
set -eu
name=$1
dir=$2

if [ ! -e "$dir/private" ]; then
    : >"$dir/private"
    if ! mount --make-rprivate / 2>/dev/null; then
        # A plain chroot: its / is no mount point, so no propagation can be set there. Take a bind
        # mount of it as the root instead.
        mkdir "$dir/root"
        mount --rbind / "$dir/root"
        mount --make-rprivate "$dir/root"
        exec chroot "$dir/root" /bin/sh "$0" "$@"
    fi
fi
shift 2

# What is to stay visible, parked where nothing is masked.
count=0
for path; do
    count=$((count + 1))
    mkdir -p "$dir/keep$count"
    mount --rbind "$path" "$dir/keep$count"
done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
[ ! -d /sys/fs/bpf ] || mount -t bpf -o mode=700 bpf /sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir /run/netns /run/lock
count=0
for path; do
    count=$((count + 1))
    mkdir -p "$path"
    mount --move "$dir/keep$count" "$path"
done
# IPv6 addresses are final at once, so that two looks at the kernel can be compared.
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
hostname "$name"
ip link set lo up
: >"$dir/ready"
trap '' CHLD
exec sleep infinity
