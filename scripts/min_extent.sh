#!/usr/bin/env bash
# Measures what short extents cost: --min-extent 4K to 64K on XFS and Btrfs, on a disk that is not the page cache.
#
#     sudo scripts/min_extent.sh MODEL_DIR WORK_DIR
#
# MODEL_DIR holds a checkpoint with real bytes, for instance of scripts/make_checkpoint.py --weights random, which is copied and
# aligned first. WORK_DIR, on a real disk, gets a disk image of three times its size, attached with direct I/O (losetup), so that
# a file system that was mounted afresh has nothing in memory. A row has medians of GGRAFT_BENCH_RUNS (5), sizes taking turns:
# seconds to convert (with fsync), to read the GGUF cold in order (`read`), to load it cold as llama.cpp does, mapped, in order,
# announced (`load`), and to delete it and wait for the disk (`delete`). GGRAFT_BENCH_SIZES names other sizes. Needs Python, xfsprogs and btrfs-progs.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
model=$(realpath "$1") work=$(realpath "$2")/min_extent.$$
cd "$(dirname "$0")/.."
ggraft=$(realpath "${GGRAFT:-target/release/ggraft}")
runs=${GGRAFT_BENCH_RUNS:-5}
read -ra sizes <<<"${GGRAFT_BENCH_SIZES:-4K 8K 16K 32K 64K}"
mkdir -p "$work/mnt"
device=
clean_up() {
    umount "$work/mnt" 2>/dev/null || true
    [ -z "$device" ] || losetup -d "$device" || true
    rm -rf "$work"
}
trap clean_up EXIT

# seconds COMMAND...: runs it quietly, answers how long it took.
seconds() {
    local start end
    start=$(date +%s.%N)
    "$@" >/dev/null 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    end=$(date +%s.%N)
    python3 -c "print($end - $start)"
}
afresh() { umount "$work/mnt" && mount "$device" "$work/mnt"; }
read_it() { dd if="$1" of=/dev/null bs=1M; }
load_it() {
    python3 - "$1" <<'PY'
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(file, 0, 0, os.POSIX_FADV_SEQUENTIAL)
view = mmap.mmap(file, 0, prot=mmap.PROT_READ)
view.madvise(mmap.MADV_WILLNEED)
sum(view[::4096])
PY
}
delete_it() { rm "$1" && sync -f "$work/mnt"; }

# Whole blocks, whatever the size of the model's.
truncate -s $((($(du -sb "$model" | cut -f1) * 3 >> 20) + 1024))M "$work/image"
echo "| file system | --min-extent | extents | new, MB | convert | read | load | delete |"
echo "|---|---|---|---|---|---|---|---|"
for fs in xfs btrfs; do
    wipefs -qa "$work/image"
    "mkfs.$fs" -q "$work/image" >/dev/null 2>&1
    device=$(losetup --find --show --direct-io=on "$work/image")
    mount "$device" "$work/mnt"
    "$ggraft" align "$model" -o "$work/mnt/model" --quiet
    rm -f "$work"/*.seconds
    for ((i = 0; i < runs; i++)); do
        for size in "${sizes[@]}"; do
            afresh
            seconds "$ggraft" convert "$work/mnt/model" --outfile "$work/mnt/out.gguf" --min-extent "$size" --quiet \
                >>"$work/$size.convert.seconds"
            afresh
            seconds read_it "$work/mnt/out.gguf" >>"$work/$size.read.seconds"
            afresh
            seconds load_it "$work/mnt/out.gguf" >>"$work/$size.load.seconds"
            seconds delete_it "$work/mnt/out.gguf" >>"$work/$size.delete.seconds"
        done
    done
    for size in "${sizes[@]}"; do
        "$ggraft" plan "$work/mnt/model" --outfile "$work/mnt/out.gguf" --min-extent "$size" --json >"$work/plan.json"
        python3 - "$fs" "$size" "$work" <<'PY'
import json, statistics, sys
fs, size, work = sys.argv[1:]
plan = json.load(open(f"{work}/plan.json"))
def shared(steps):
    """How many of these steps are shared, each as often as it repeats."""
    inner = lambda p: p["count"] * shared(p["steps"])
    return sum(inner(step["pattern"]) if step["pattern"] else step["action"] == "shared" for step in steps)
extents = sum(shared(output["steps"]) for output in plan["outputs"])
median = lambda name: statistics.median(float(line) for line in open(f"{work}/{size}.{name}.seconds"))
new = plan["bytes"]["total"] - plan["bytes"]["cloned"]
times = " | ".join(f"{median(name):.2f}" for name in ("convert", "read", "load", "delete"))
print(f"| {fs} | {size} | {extents} | {new / 1e6:.1f} | {times} |", flush=True)
PY
    done
    umount "$work/mnt"
    losetup -d "$device"
    device=
done
