#!/usr/bin/env bash
# Plans conversions of three giants by their published shapes, and prints what they would share, in one table.
#
#     sudo scripts/with-test-filesystems.sh scripts/giants_sharing.sh TOKENIZER [MODEL...]
#
# TOKENIZER is a directory with a tokenizer.json of about 130,000 tokens; the models' own do not matter to what is shared. The
# checkpoints are made on the file system of GGRAFT_TEST_XFS, of holes: 1.9 TB that take some 200 MB. Seconds are processor time
# of `ggraft plan`, the least of three runs (PLANS); "aligned" is what `ggraft align --check` says of the checkpoint after aligning.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
tokenizer=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
export GGRAFT=${GGRAFT:-$PWD/target/release/ggraft}
work=$(mktemp -d "$GGRAFT_TEST_XFS/giants.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "| checkpoint | tensors | output, GB | as published | aligned | not shared when aligned | plan, s | memory, MB |"
echo "|---|---|---|---|---|---|---|---|"
[ $# -gt 0 ] || set -- deepseek-v4-flash kimi-k3 minimax-m2 minimax-m2-bf16
for model in "$@"; do
    python3 scripts/make_checkpoint.py "$model" "$work/model" --tokenizer "$tokenizer"
    python3 - "$model" "$work/model" <<'PY'
import json, os, resource, subprocess, sys
label, model = sys.argv[1:]
ggraft = os.environ["GGRAFT"]

def run(*words):
    """Its report, seconds of processor time, and memory in MB."""
    child = subprocess.Popen([ggraft, *words, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    said = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, f"{words} ends with {status}"
    return json.loads(said), used.ru_utime + used.ru_stime, used.ru_maxrss / 1000

plans = [run("plan", model) for _ in range(int(os.environ.get("PLANS", "3")))]
report = plans[0][0]
check = run("align", model, "--check")[0]
tensors = len(json.load(open(f"{model}/model.safetensors.index.json"))["weight_map"])
found = check["conversion"]
share = lambda when: f"{found[when]['shared'] / 1e9:.1f} GB, {found[when]['percent']:.1f} %"
why = ", ".join(f"{r['reason']} {r['bytes'] / 1e9:.1f}" for r in found["reasons"][:3])
print(f"| {label} | {tensors} | {report['bytes']['total'] / 1e9:.1f} | {share('today')} | {share('aligned')} | {why} "
      f"| {min(p[1] for p in plans):.2f} | {max(p[2] for p in plans):.0f} |", flush=True)
PY
    rm -rf "$work/model"
done
