#!/usr/bin/env bash
# Runs a command with real file systems to test on, and takes them away afterwards.
#
#     sudo scripts/with-test-filesystems.sh cargo test --workspace
#
# Needs root, loop devices, xfsprogs, btrfs-progs and e2fsprogs. The command finds the mounted
# directories in GGRAFT_TEST_XFS, _XFS_1K (1 KiB blocks), _XFS_NOREFLINK, _BTRFS, _EXT4 and _TMPFS.
# Images are sparse: GGRAFT_TEST_FS_SIZE (8G) is what they may grow to, not what they take.
set -euo pipefail

[ $# -gt 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "$0: must be root to mount file systems" >&2; exit 1; }
missing=()
for tool in mkfs.xfs mkfs.btrfs btrfs mkfs.ext4 chattr losetup findmnt mount umount; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "$0: missing: ${missing[*]} (packages xfsprogs, btrfs-progs, e2fsprogs, mount)" >&2
    exit 1
fi

size=${GGRAFT_TEST_FS_SIZE:-8G}
root=$(mktemp -d "${TMPDIR:-/tmp}/ggraft-fs.XXXXXX")
mounted=()
clean_up() {
    for dir in "${mounted[@]}"; do
        ! mountpoint -q "$dir" || umount "$dir" || umount --lazy "$dir" || true
    done
    rm -rf --one-file-system "$root"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# attach VARIABLE NAME MOUNT-ARGUMENTS...: mounts on a new directory, exports the variable.
attach() {
    local variable=$1 dir=$root/$2
    shift 2
    mkdir "$dir"
    mounted+=("$dir")
    mount "$@" "$dir" || { echo "$0: cannot mount for $variable: does the kernel have loop devices and this file system?" >&2; exit 1; }
    export "$variable=$dir"
}

# provide VARIABLE NAME MKFS...: makes a sparse image, mounts it, exports the variable.
provide() {
    local variable=$1 name=$2
    shift 2
    truncate -s "$size" "$root/$name.img"
    "$@" "$root/$name.img" >/dev/null
    attach "$variable" "$name" -o loop "$root/$name.img"
    # Or everything would be in the page cache twice, which takes time that no disk takes. Not every file can do it.
    losetup --direct-io=on "$(findmnt --noheadings --output SOURCE "$root/$name")" 2>/dev/null || true
}

provide GGRAFT_TEST_XFS xfs mkfs.xfs -q -m reflink=1
provide GGRAFT_TEST_XFS_1K xfs-1k mkfs.xfs -q -m reflink=1 -b size=1024
provide GGRAFT_TEST_XFS_NOREFLINK xfs-noreflink mkfs.xfs -q -m reflink=0
provide GGRAFT_TEST_BTRFS btrfs mkfs.btrfs -q
provide GGRAFT_TEST_EXT4 ext4 mkfs.ext4 -q
attach GGRAFT_TEST_TMPFS tmpfs -t tmpfs -o "size=$size" tmpfs

"$@"
