#!/usr/bin/env bash
# Runs two batches of one list in two network namespaces, as on two machines that see one directory; fails if a job is done twice,
# not at all, or wrong.
#
#     sudo scripts/fleet/together.sh [DIR]
#
# DIR is where the models and outputs go: a directory of a local file system, or of an NFS mount. Locks are the file system's, so
# what holds for an NFS export is shown only by running it there.
set -euo pipefail
dir=$(realpath "${1:-${TMPDIR:-/tmp}}")
cd "$(dirname "$0")/../.."
ggraft=$(realpath "${GGRAFT:-target/debug/ggraft}")
work=$(mktemp -d "$dir/together.XXXXXX")
trap 'rm -rf "$work"' EXIT
count=40
mkdir "$work/models" "$work/out"
for n in $(seq -w 0 $((count - 1))); do
    cp -r tests/models/tiny-llama "$work/models/m$n"
    echo "{\"name\": \"m$n\", \"model\": \"$work/models/m$n\", \"outfile\": \"$work/out/m$n.gguf\", \"outtype\": \"q8_0\"}"
done >"$work/jobs.jsonl"
pids=()
for machine in a b; do
    unshare --net --uts sh -c 'hostname "$0" && exec "$@"' "$machine" "$ggraft" batch "$work/jobs.jsonl" --jobs 2 --quiet \
        --events "$work/$machine.jsonl" &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
wrong=0
for n in $(seq -w 0 $((count - 1))); do
    times=$(cat "$work"/{a,b}.jsonl | grep -c "\"job\":\"m$n\",\"event\":\"finished\"" || true)
    "$ggraft" convert "$work/models/m$n" --outtype q8_0 --quiet --outfile "$work/expected.gguf"
    { [ "$times" = 1 ] && cmp -s "$work/expected.gguf" "$work/out/m$n.gguf"; } || { echo "m$n: done $times times, or wrong"; wrong=$((wrong + 1)); }
done
shares=$(for machine in a b; do grep -c '"event":"finished"' "$work/$machine.jsonl" || true; done | paste -sd+)
echo "$count jobs on $(stat -f -c %T "$work"): $shares done by the two, $wrong twice, wrong or not at all"
[ "$wrong" = 0 ]
