#!/usr/bin/env bash
# Fuzzes what reads strangers' files, and the planner (tests/fuzz), with libFuzzer and the stable toolchain.
#
#     scripts/fuzz.sh SECONDS [TARGET...]
#
# Each target runs for SECONDS, one for each processor at once; without names all of them do (GGRAFT_FUZZ=? lists them). A panic, five
# seconds of processor time for one input, or 256 MiB for one allocation is a finding: it is kept in target/fuzz/found and the exit
# code is 1. What was learnt stays in target/fuzz/corpus. Needs a C++ compiler and Python. Prints executions a target.
# GGRAFT_FUZZ_ONLY_BUILD=1 builds and runs nothing.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
seconds=$1
shift
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- card config gguf header index pickle plan sentencepiece tekken tiktoken tokenizer wordpiece

work=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
# What cargo-fuzz sets, but for the sanitizers, which need another toolchain.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
host=$(rustc -vV | sed -n 's/^host: //p')
# With a target given, build scripts and macros are compiled without these.
RUSTFLAGS=$flags CARGO_TARGET_DIR=$work cargo build --quiet --locked --release --target "$host" --manifest-path tests/fuzz/Cargo.toml
fuzz=$work/$host/release/ggraft-fuzz
python3 tests/fuzz/seeds.py "$work/seeds"
mkdir -p "$work/found"
[ -z "${GGRAFT_FUZZ_ONLY_BUILD:-}" ] || exit 0

# Whether an input that took long by the clock takes long by itself: on a busy machine everything does.
is_slow() {
    ! (ulimit -t 5 && GGRAFT_FUZZ=$1 "$fuzz" -rss_limit_mb=2048 -malloc_limit_mb=256 "$2") >/dev/null 2>&1
}

one() {
    local target=$1 words=() corpus=$work/corpus/$1 failed=0
    mkdir -p "$corpus"
    [ ! -f "tests/fuzz/words/$target.txt" ] || words=("-dict=tests/fuzz/words/$target.txt")
    GGRAFT_FUZZ=$target "$fuzz" "$corpus" "$work/seeds/$target" "${words[@]}" -max_total_time="$seconds" -timeout=120 -report_slow_units=5 \
        -malloc_limit_mb=256 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 -artifact_prefix="$work/found/$target-" \
        >"$work/$target.log" 2>&1 || failed=1
    for slow in "$work/found/$target-slow-unit-"*; do
        [ -f "$slow" ] || continue
        if is_slow "$target" "$slow"; then failed=1; else rm "$slow"; fi
    done
    if [ $failed != 0 ]; then
        tail -40 "$work/$target.log" >&2
        echo "$target: found something, see $work/found" >&2
        return 1
    fi
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log") executions, $(find "$corpus" -type f | wc -l) inputs kept"
}
export -f is_slow
export -f one
export work fuzz seconds
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c 'one {}'
