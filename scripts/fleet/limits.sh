#!/usr/bin/env bash
# Measures that a batch keeps its limits with a real model: the rate of --io-limit within 10 %, and 256 MiB of memory.
#
#     sudo scripts/fleet/limits.sh MODEL        (SmolLM2-135M-Instruct or another of some hundred megabytes)
#
# The rate is that of the bytes of all outputs between the first `started` and the last
# `finished` event. Memory: a control group (version 2 where it has the controller, else 1) whose limit is 256 MiB and counts the
# page cache; eight jobs are asked for; nothing may be killed, and no job may fail.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
model=$(realpath "$1")
cd "$(dirname "$0")/../.."
ggraft=$(realpath "${GGRAFT:-target/release/ggraft}")
work=$(mktemp -d "${TMPDIR:-/tmp}/limits.XXXXXX")
group=
clean_up() {
    # Nothing is in it any more.
    [ -z "$group" ] || rmdir "$group" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
failed=0

# list TYPES...: a job for each type.
list() {
    for type in "$@"; do
        echo "{\"name\": \"$type\", \"model\": \"$model\", \"outfile\": \"$work/$type.gguf\", \"outtype\": \"${type%%-*}\", \"no_reflink\": true}"
    done
}

# rate JOBS LIMIT TYPES...: bytes a second.
rate() {
    local jobs=$1 limit=$2
    shift 2
    rm -rf "$work"/*.gguf "$work/.ggraft-batch" "$work/events"
    list "$@" >"$work/jobs.jsonl"
    "$ggraft" batch "$work/jobs.jsonl" --jobs "$jobs" --io-limit "$limit" --quiet --events "$work/events"
    python3 - "$work/events" "$limit" "$jobs" <<'PY'
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
limit, time = int(sys.argv[2]), lambda what: [e["time"] for e in events if e["event"] == what]
seconds = max(time("finished")) - min(time("started"))
rate = events[-1]["bytes"] / seconds
print(f"--jobs {sys.argv[3]} --io-limit {limit}: {events[-1]['bytes']} bytes in {seconds:.2f} s, {rate / limit:.1%} of the limit")
sys.exit(not 0.9 <= rate / limit <= 1.1)
PY
}

limit=${LIMIT:-20000000}
rate 1 "$limit" bf16 || failed=1
rate 2 "$limit" bf16-a bf16-b f16 || failed=1
rate 3 "$limit" bf16-a f16-b || failed=1

limit=$((256 << 20))
if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
    group=/sys/fs/cgroup/ggraft-limits-$$
    mkdir "$group"
    echo $limit >"$group/memory.max"
    killed() { sed -n 's/^oom_kill //p' "$group/memory.events"; }
    peak=memory.peak
else
    group=/sys/fs/cgroup/memory/ggraft-limits-$$
    mkdir "$group"
    echo $limit >"$group/memory.limit_in_bytes"
    killed() { sed -n 's/^oom_kill //p' "$group/memory.oom_control"; }
    peak=memory.max_usage_in_bytes
fi
rm -rf "$work"/*.gguf "$work/.ggraft-batch" "$work/events"
list bf16-{a,b,c} f16-{a,b} f32 q8_0-{a,b} >"$work/jobs.jsonl"
code=0
(
    echo "$BASHPID" >"$group/cgroup.procs"
    exec "$ggraft" batch "$work/jobs.jsonl" --jobs 8 --events "$work/events"
) || code=$?
echo "$group: exit code $code, $(killed) killed, peak $(($(cat "$group/$peak") >> 20)) MiB of $((limit >> 20))"
[ "$code" = 0 ] && [ "$(killed)" = 0 ] || failed=1
exit $failed
