#!/usr/bin/env bash
# Feeds everything that reads strangers' files with what nobody would write (tests/fuzz), each for some seconds.
#
#     scripts/fuzz.sh SECONDS [TARGET]...
#
# Needs a C++ compiler, python3, and the stable toolchain. Ends with 1 after the first finding; the input that does it
# stays in target/fuzz/findings. What was found interesting stays in target/fuzz/corpus, for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
seconds=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] ||
    mapfile -t targets < <(sed -n 's/.*Target { name: "\([a-z_]*\)".*/\1/p' tests/fuzz/src/targets.rs)

# What libFuzzer wants of the compiler; of build scripts it wants nothing, hence --target.
triple=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cdebug-assertions -Coverflow-checks
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS=$(echo $RUSTFLAGS)
fuzz=$PWD/target/fuzz
CARGO_TARGET_DIR=$fuzz cargo build --quiet --release --target "$triple" --manifest-path tests/fuzz/Cargo.toml
tests/fuzz/seeds.py "$fuzz/seeds"

mkdir -p "$fuzz/findings"
for target in "${targets[@]}"; do
    mkdir -p "$fuzz/corpus/$target"
    log=$fuzz/$target.log
    if ! GGRAFT_FUZZ_TARGET=$target "$fuzz/$triple/release/ggraft-fuzz" \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -max_len=100000 -len_control=20 -print_final_stats=1 \
        -artifact_prefix="$fuzz/findings/$target-" "$fuzz/corpus/$target" "$fuzz/seeds/$target" >"$log" 2>&1
    then
        grep -E "^panic|^more than|ERROR|Test unit" "$log" >&2 || tail -20 "$log" >&2
        echo "$target: see $log" >&2
        exit 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$target: $runs executions in $seconds s, nothing found"
done
