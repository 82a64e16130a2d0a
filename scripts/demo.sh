#!/usr/bin/env bash
# Converts the real SmolLM2-135M-Instruct and lets llama.cpp answer a question with the result.
set -euo pipefail
cd "$(dirname "$0")/.."
model=.work/SmolLM2-135M-Instruct
python=$(scripts/venv.sh)
[ -f "$model/tokenizer_config.json" ] || "$python" scripts/make_smollm2.py "$model"
cargo build --release --quiet

run() { printf '\n$ %s\n' "$*"; "$@"; }
run target/release/ggraft convert "$model" --outfile .work/smollm2.gguf
run "$python" scripts/llama_generate.py .work/smollm2.gguf "The capital of France is" --n-predict 1
