#!/usr/bin/env bash
# Plants faults in the code, one at a time, and says which of them no test notices.
#
#     scripts/mutants.sh [FILE...]           of these files; without, of all that have tests named below
#     scripts/mutants.sh --in-diff DIFF      of what a change touches
#     scripts/mutants.sh --list [FILE...]    only says which faults there would be
#
# A fault is caught if a test fails, or hangs. Only those test binaries run that are about the file, because all of them would
# take minutes for each of thousands of faults. Results are in target/mutants/GROUP/mutants.out (caught, missed, unviable,
# timeout); the exit code is 1 if any was missed. Needs cargo-mutants (cargo install cargo-mutants); as root, tests that need
# file systems get them. GGRAFT_MUTANTS_FLAGS has further flags for cargo-mutants, such as `--shard 0/8`.
set -euo pipefail
cd "$(dirname "$0")/.."

# What code, and the test binaries that are about it.
groups=(
    "plan|src/plan/*.rs src/plan/layout/*.rs|plan_check plan_choices plan_properties verified surgery mistaken_files"
    "reports|src/advice.rs src/explain/*.rs src/write/report.rs src/write/refusals.rs src/cli/report.rs|figures plan_command clone_refusals first_use pull"
    "write|src/write/[!r]*.rs|pipeline clone_refusals reflink publication"
    "evaluate|src/evaluate/*.rs|pipeline evaluate calls"
    "compare|src/compare/*.rs src/verify/*.rs src/verify/structure/*.rs|verify verified structure"
    "align|src/align/*.rs|align verified first_use publication pull"
    "gguf|src/gguf/*.rs src/inspect/*.rs|gguf_read inspect"
    "source|src/source/*.rs src/checkpoint/*.rs|checkpoint hostile_checkpoint one_state calls"
)

list=() diff=() files=() more=()
while [ $# -gt 0 ]; do
    case $1 in
        --list) list=(--list) ;;
        --in-diff) diff=(--in-diff "$2") && shift ;;
        -*) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
        *) files+=("$1") ;;
    esac
    shift
done

prefix=()
[ "$(id -u)" != 0 ] || prefix=(scripts/with-test-filesystems.sh)
failed=0

# NAME, PACKAGE, files, and what is given to `cargo test`.
mutate() {
    local name=$1 package=$2 chosen=$3
    shift 3
    local arguments=()
    for file in $chosen; do arguments+=(--file "$file"); done
    if [ ${#list[@]} -gt 0 ]; then
        cargo mutants --package "$package" "${list[@]}" "${diff[@]}" "${arguments[@]}"
        return
    fi
    rm -rf "target/mutants/$name"
    mkdir -p "target/mutants/$name"
    # A test that takes five times as long as without a fault hangs.
    # shellcheck disable=SC2086
    "${prefix[@]}" cargo mutants --package "$package" --output "target/mutants/$name" --in-place --timeout-multiplier 5 \
        --minimum-test-timeout 60 --no-shuffle "${diff[@]}" "${more[@]}" "${arguments[@]}" ${GGRAFT_MUTANTS_FLAGS:-} -- "$@" || {
        status=$?
        # 2 and 3: missed and timed out; anything else is no verdict.
        [ $status -eq 2 ] || [ $status -eq 3 ] || exit $status
        failed=1
    }
    # A change may touch nothing of it.
    [ -f "target/mutants/$name/mutants.out/missed.txt" ] || return 0
    for verdict in caught timeout missed unviable; do
        echo "$name: $(wc -l <"target/mutants/$name/mutants.out/$verdict.txt") $verdict"
    done
    cat "target/mutants/$name/mutants.out/missed.txt"
}

for group in "${groups[@]}"; do
    IFS='|' read -r name patterns binaries <<<"$group"
    chosen=()
    for file in $patterns; do
        if [ ${#files[@]} -eq 0 ] || printf '%s\n' "${files[@]}" | grep -qx "$file"; then chosen+=("$file"); fi
    done
    [ ${#chosen[@]} -gt 0 ] || continue
    tests=(--lib)
    for binary in $binaries; do tests+=(--test "$binary"); done
    mutate "$name" ggraft "${chosen[*]}" "${tests[@]}"
done
chosen=()
for file in platform/src/*.rs platform/src/atomic/*.rs; do
    if [ ${#files[@]} -eq 0 ] || printf '%s\n' "${files[@]}" | grep -qx "$file"; then chosen+=("$file"); fi
done
# What it does for processes and names shows only in what is built on it.
if [ ${#chosen[@]} -gt 0 ]; then
    tests=(--lib)
    for binary in atomic filesystems interrupt publication calls clone_refusals batch_lists mount mount_places; do
        tests+=(--test "$binary")
    done
    more=(--test-package ggraft-platform --test-package ggraft)
    mutate platform ggraft-platform "${chosen[*]}" "${tests[@]}"
fi
exit $failed
