/* Where programs and maps stay when nobody has them open: the BPF file system. */
#pragma once

#define BPFFS_ROOT "/sys/fs/bpf"
#define BPFFS_DIR BPFFS_ROOT "/quilt"

/* Mounts the file system where it is missing and makes a directory of ours (0700) below BPFFS_DIR.
 */
int bpffs_ensure_dir(const char *dir);
/* Removes a directory of pins with all in it; not there is fine. */
int bpffs_remove_dir(const char *dir);
