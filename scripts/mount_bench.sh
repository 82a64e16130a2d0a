#!/usr/bin/env bash
# Measures reading the files that `ggraft mount` shows against reading real ones, and prints a table.
#
#     sudo scripts/mount_bench.sh MODEL_DIR WORK_DIR [LLAMA_QUANTIZE]
#
# MODEL_DIR holds a checkpoint, for instance of scripts/make_checkpoint.py; WORK_DIR gets its conversions, of the types in
# GGRAFT_BENCH_TYPES ("bf16 f16 q8_0"), and is on tmpfs, or for the last two rows on any file system. Each row is GGRAFT_BENCH_PAIRS
# (5) pairs, ours and theirs in turns, after one of each to warm up: medians, and the median of the pairs' ratios of speed (of time
# where llama-quantize runs), so that more is better (less).
#   cold    read once from a fresh mount, against bindfs (package bindfs) of the converted file
#   direct  the same with O_DIRECT, against the same
#   again   read a second time, from the page cache, against the converted file itself
#   quantize  to Q4_K_M, against the converted file
#   with    the same through `ggraft with`, mounting and unmounting counted
# Peak memory is that of `ggraft mount` with a cache of 64 MiB, after all of the file was read. GGRAFT_BENCH_ROWS, a regular
# expression, picks rows by label. Needs Python, and memory for the model, its conversions and what is cached of them.
set -euo pipefail
[ $# = 2 ] || [ $# = 3 ] || { sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2; }
model=$(realpath "$1") work=$(realpath "$2")/mount_bench.$$ quantize=${3:-}
cd "$(dirname "$0")/.."
ggraft=${GGRAFT:-target/release/ggraft}
pairs=${GGRAFT_BENCH_PAIRS:-5}
mkdir -p "$work/ours" "$work/theirs" "$work/real"
server=
trap 'umount -l "$work/ours" "$work/theirs" 2>/dev/null || true; rm -rf "$work"' EXIT

mount_ours() {
    rm -f "$work/files"
    "$ggraft" mount "$model" "$work/ours" --outtype "$type" --cache 64M >"$work/files" 2>/dev/null &
    server=$!
    until [ -s "$work/files" ]; do sleep 0.01; done
    shown=$(head -n 1 "$work/files")
}
unmount_ours() {
    awk '/VmHWM/ { print $2 / 1024 }' "/proc/$server/status" >>"$work/peak"
    kill "$server"
    wait "$server" || true
}
mount_theirs() {
    # As bindfs is by default.
    bindfs "$work/real" "$work/theirs"
    shown=$work/theirs/$(basename "$real")
}
unmount_theirs() { umount "$work/theirs"; }

# seconds FILE [direct]: reads all of it, answers how long that took.
seconds() {
    python3 - "$@" <<'PY'
import mmap, os, sys, time
flags = os.O_RDONLY | (os.O_DIRECT if sys.argv[2:] == ["direct"] else 0)
buffer = mmap.mmap(-1, 1 << 20)
buffer.write(bytes(1 << 20))
file = os.open(sys.argv[1], flags)
start = time.monotonic()
while os.readv(file, [buffer]):
    pass
print(time.monotonic() - start)
PY
}

# pair ROW SIDE: one measurement, added to a file.
measure() {
    local row=$1 side=$2 with=()
    case $row-$side in
        again-theirs | quantize-theirs | with-theirs) shown=$real ;;
        with-ours) shown={} with=("$ggraft" with "$model" --outtype "$type" --cache 64M --) ;;
        *) "mount_$side" ;;
    esac
    case $row in
        cold) seconds "$shown" ;;
        direct) seconds "$shown" direct ;;
        again) seconds "$shown" >/dev/null && seconds "$shown" ;;
        quantize | with)
            local start end
            start=$(date +%s.%N)
            "${with[@]}" "$quantize" --allow-requantize "$shown" "$work/quantized.gguf" Q4_K_M >/dev/null 2>&1
            end=$(date +%s.%N)
            python3 -c "print($end - $start)"
            sha256sum <"$work/quantized.gguf" >>"$work/sums" && rm "$work/quantized.gguf"
            ;;
    esac >>"$work/$side.seconds"
    case $row-$side in
        again-theirs | quantize-theirs | with-theirs | with-ours) ;;
        *) "unmount_$side" ;;
    esac
}

compare() {
    local row=$1 i
    [[ "$type $row" =~ ${GGRAFT_BENCH_ROWS:-} ]] || return 0
    rm -f "$work"/*.seconds
    : >"$work/peak"
    for ((i = 0; i <= pairs; i++)); do
        # Each goes first as often as the other.
        [ $((i % 2)) = 0 ] || measure "$row" theirs
        measure "$row" ours
        [ $((i % 2)) = 1 ] || measure "$row" theirs
    done
    python3 - "$type | $row" "$(stat -c %s "$real")" "$work" <<'PY'
import statistics, sys
label, size, work = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ours, theirs, peak = ([float(line) for line in open(f"{work}/{name}")][skip:]
                      for name, skip in (("ours.seconds", 1), ("theirs.seconds", 1), ("peak", 0)))
if "quantize" in label or "with" in label:
    show, ratio = lambda t: f"{t:.2f} s", [a / b for a, b in zip(ours, theirs)]
else:
    show, ratio = lambda t: f"{size / t / 1e9:.2f} GB/s", [b / a for a, b in zip(ours, theirs)]
median = statistics.median
print(f"| {label} | {show(median(ours))} | {show(median(theirs))} | **{median(ratio):.2f}** | {max(peak, default=0):.0f} |", flush=True)
PY
}

echo "$(nproc) processors, Linux $(uname -r), $("$ggraft" --version)"
echo
echo "| type | row | ours | theirs | ratio | peak, MiB |"
echo "|---|---|---|---|---|---|"
for type in ${GGRAFT_BENCH_TYPES:-bf16 f16 q8_0}; do
    "$ggraft" convert "$model" --no-reflink --no-fsync --quiet --outtype "$type" --outfile "$work/real"
    real=$(echo "$work"/real/*.gguf)
    compare cold
    compare direct
    compare again
    if [ -n "$quantize" ]; then
        compare quantize
        compare with
        [ ! -e "$work/sums" ] || [ "$(sort -u "$work/sums" | wc -l)" = 1 ] ||
            { echo "quantized files differ" >&2; exit 1; }
        rm -f "$work/sums"
    fi
    rm "$real"
done
