#!/usr/bin/env bash
# Runs a command with real file systems to test on, and takes them away afterwards.
#
#     sudo scripts/with-test-filesystems.sh cargo test --workspace
#
# Needs root, loop devices, xfsprogs, btrfs-progs and e2fsprogs. The command finds the mounted
# directories in GGRAFT_TEST_XFS, _XFS_1K (1 KiB blocks), _XFS_NOREFLINK, _BTRFS, _EXT4 and _TMPFS.
set -euo pipefail

[ $# -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "$0: must be root to mount file systems" >&2; exit 1; }
for tool in mkfs.xfs mkfs.btrfs mkfs.ext4 losetup; do
    command -v "$tool" >/dev/null || { echo "$0: $tool is missing (packages xfsprogs, btrfs-progs, e2fsprogs)" >&2; exit 1; }
done

size=${GGRAFT_TEST_FS_SIZE:-8G}
root=$(mktemp -d "${TMPDIR:-/tmp}/ggraft-fs.XXXXXX")
mounted=()
clean_up() {
    for dir in "${mounted[@]}"; do umount "$dir" || umount --lazy "$dir" || true; done
    rm -rf "$root"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# provide VARIABLE NAME MKFS...: makes a sparse image, mounts it, exports the variable.
provide() {
    local variable=$1 name=$2
    shift 2
    truncate -s "$size" "$root/$name.img"
    "$@" "$root/$name.img" >/dev/null
    mkdir "$root/$name"
    mount -o loop "$root/$name.img" "$root/$name"
    mounted+=("$root/$name")
    export "$variable=$root/$name"
}

provide GGRAFT_TEST_XFS xfs mkfs.xfs -q -m reflink=1
provide GGRAFT_TEST_XFS_1K xfs-1k mkfs.xfs -q -m reflink=1 -b size=1024
provide GGRAFT_TEST_XFS_NOREFLINK xfs-noreflink mkfs.xfs -q -m reflink=0
provide GGRAFT_TEST_BTRFS btrfs mkfs.btrfs -q
provide GGRAFT_TEST_EXT4 ext4 mkfs.ext4 -q
mkdir "$root/tmpfs"
mount -t tmpfs -o "size=$size" tmpfs "$root/tmpfs"
mounted+=("$root/tmpfs")
export GGRAFT_TEST_TMPFS="$root/tmpfs"

"$@"
