#!/usr/bin/env bash
# Checks what docs/fleet/ has for systemd, Kubernetes, containers, Snakemake and Ray with these tools themselves.
#
#     sudo scripts/fleet/engines.sh VENVS [systemd kubernetes container snakemake ray]
#
# VENVS is a directory for Python environments with kubernetes-validate, snakemake and ray, which are installed there if they
# are missing. Units and manifests are also given with a planted mistake, which has to be found. The container's root is made
# in a directory (debootstrap) with the binary of this machine in it; its first command (apt-get) runs there, and then what a
# pod of the Job would run, for one index. (Slurm has a script of its own, slurm.sh.)
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
venvs=$(realpath "$1")
shift
cd "$(dirname "$0")/../.."
repository=$PWD
ggraft=$(realpath "${GGRAFT:-target/debug/ggraft}")
work=$(mktemp -d "${TMPDIR:-/tmp}/engines.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
mkdir "$work/bin"
ln -s "$ggraft" "$work/bin/ggraft"
export PATH="$work/bin:$PATH"

# venv NAME PACKAGES...
venv() {
    local name=$1
    shift
    [ -x "$venvs/$name/bin/python" ] || python3 -m venv "$venvs/$name"
    "$venvs/$name/bin/pip" install --quiet "$@"
}

# site DIR COUNT: models, a list of them, and room for outputs.
site() {
    mkdir -p "$1/models" "$1/out"
    for n in $(seq 0 $(($2 - 1))); do
        cp -r tests/models/tiny-llama "$1/models/m$n"
        echo "{\"name\": \"m$n\", \"model\": \"models/m$n\", \"outfile\": \"out/m$n.gguf\", \"outtype\": \"q8_0\"}"
    done >"$1/jobs.jsonl"
}

# right DIR NAME TYPE FILE: whether FILE is what becomes of the model NAME.
right() {
    ggraft convert "$1/models/$2" --outtype "$3" --quiet --outfile "$work/expected.gguf"
    cmp "$work/expected.gguf" "$1/$4"
}

# refused COMMAND...: the planted mistake is found.
refused() { ! "$@" >"$work/said" 2>&1 || { echo "a planted mistake was not found: $*" >&2; exit 1; }; }

systemd() {
    systemd-analyze verify docs/fleet/ggraft-batch.service docs/fleet/ggraft-batch.timer
    mkdir "$work/units"
    sed 's/^OnCalendar=.*/OnCalendar=every night/' docs/fleet/ggraft-batch.timer >"$work/units/ggraft-batch.timer"
    cp docs/fleet/ggraft-batch.service "$work/units/"
    refused systemd-analyze verify "$work/units/ggraft-batch.timer"
}

kubernetes() {
    venv kubernetes kubernetes-validate
    "$venvs/kubernetes/bin/kubernetes-validate" --strict docs/fleet/kubernetes.yaml
    sed s/completionMode/completionMood/ docs/fleet/kubernetes.yaml >"$work/wrong.yaml"
    refused "$venvs/kubernetes/bin/kubernetes-validate" --strict "$work/wrong.yaml"
}

container() {
    venv kubernetes kubernetes-validate
    local root=$work/root
    debootstrap --variant=minbase bookworm "$root" >"$work/debootstrap" || { tail "$work/debootstrap" >&2; exit 1; }
    cp /etc/resolv.conf "$root/etc/" 2>/dev/null || true
    cp -r /etc/apt/apt.conf.d "$root/etc/apt/" 2>/dev/null || true
    # inside COMMAND...: runs it in the root, which has a /proc of its own.
    inside() { unshare --mount --pid --fork sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$root" "$@"; }
    local first
    first=$(sed -n 's/^RUN \(apt-get .*\)/\1/p' docs/fleet/Containerfile)
    inside sh -c "$first" >"$work/apt" 2>&1 || { tail "$work/apt" >&2; exit 1; }
    cp "$ggraft" "$root/usr/local/bin/ggraft"
    inside ggraft --version
    site "$root/models" 2
    "$venvs/kubernetes/bin/python" - docs/fleet/kubernetes.yaml >"$work/command" <<'PY'
import sys, yaml
container = yaml.safe_load(open(sys.argv[1]))["spec"]["template"]["spec"]["containers"][0]
assert container["workingDir"] == container["volumeMounts"][0]["mountPath"] == "/models"
print("\0".join(container["command"] + container["args"]), end="")
PY
    local command
    mapfile -d '' command <"$work/command"
    inside env --chdir=/models JOB_COMPLETION_INDEX=1 "${command[@]}" | grep -c finished
    right "$root/models" m1 q8_0 out/m1.gguf
    [ ! -e "$root/models/out/m0.gguf" ]
}

snakemake() {
    venv snakemake snakemake
    site "$work/snakemake" 3
    (cd "$work/snakemake" && "$venvs/snakemake/bin/snakemake" --quiet all --cores 2 --snakefile "$repository/docs/fleet/Snakefile")
    for n in 0 1 2; do
        for type in bf16 q8_0; do right "$work/snakemake" m$n $type out/m$n-$type.gguf; done
    done
}

ray() {
    venv ray ray
    site "$work/ray" 6
    (cd "$work/ray" && RAY_AUTH_MODE=disabled timeout 300 "$venvs/ray/bin/python" "$repository/docs/fleet/ray_batch.py" jobs.jsonl)
    for n in 0 1 2 3 4 5; do right "$work/ray" m$n q8_0 out/m$n.gguf; done
}

[ $# -gt 0 ] || set -- systemd kubernetes container snakemake ray
for engine in "$@"; do
    "$engine"
    echo "$engine: ok"
done
