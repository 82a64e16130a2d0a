#!/usr/bin/env bash
# Runs docs/fleet/slurm.sh as an array of 24 on a Slurm of one node while tasks are killed at random, and fails unless each
# model was converted once and right.
#
#     sudo scripts/fleet/slurm.sh        (apt-get install slurm-wlm munge; needs neither systemd nor a configured Slurm)
#
# A third of the kills each: the process of a task gets SIGKILL; Slurm is told to requeue a running task; the node fails
# (slurmd, its step daemons and all tasks get SIGKILL at once, and slurmd comes back).
set -euo pipefail
cd "$(dirname "$0")/../.."
ggraft=$(realpath "${GGRAFT:-target/debug/ggraft}")
tasks=24 kills=${KILLS:-18}
work=$(mktemp -d "${TMPDIR:-/tmp}/slurm.XXXXXX")
daemons=()
clean_up() {
    [ -z "${job:-}" ] || scancel "$job" 2>/dev/null || true
    sleep 1
    kill_node
    kill "${daemons[@]}" 2>/dev/null || true
    rm -rf "$work"
}

# Processes of this Slurm: those whose environment or command line names its directory.
ours() { grep -lFz -e "$work" "/proc/"[0-9]*"/environ" "/proc/"[0-9]*"/cmdline" 2>/dev/null | cut -d/ -f3 | sort -un; }
kill_node() {
    for pid in $(ours); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in slurmd | slurmstepd | ggraft | slurm_script) kill -9 "$pid" 2>/dev/null || true ;; esac
    done
}
trap clean_up EXIT

mkdir "$work"/{munge,state,spool,log,models,out,bin}
chmod 755 "$work"
ln -s "$ggraft" "$work/bin/ggraft"
dd if=/dev/urandom of="$work/munge/key" bs=1024 count=1 status=none
chmod 400 "$work/munge/key"
munged --foreground --force --key-file "$work/munge/key" --socket "$work/munge/socket" --pid-file "$work/munge/pid" \
    --log-file "$work/munge/log" --seed-file "$work/munge/seed" >"$work/log/munged" 2>&1 &
daemons+=($!)
host=$(hostname -s)
cat >"$work/slurm.conf" <<CONF
ClusterName=ggraft
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
ReturnToService=2
KillWait=2
SlurmdTimeout=10
MinJobAge=3600
SchedulerParameters=sched_interval=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 RealMemory=8000 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/slurm.conf PATH="$work/bin:$PATH"
# Nobody sees the cluster's own configuration, and none is needed.
slurmctld -D -f "$SLURM_CONF" >"$work/log/slurmctld" 2>&1 &
daemons+=($!)
start_node() { slurmd -D -f "$SLURM_CONF" >>"$work/log/slurmd" 2>&1 & }
start_node
for _ in $(seq 60); do sinfo -h -o %T 2>/dev/null | grep -q idle && break || sleep 1; done
sinfo -h -o '%N %T %C' || { tail "$work"/log/*; exit 1; }

# Slow enough to be killed midway: 252,192 bytes at 60 kB/s.
for n in $(seq -w 0 $((tasks - 1))); do
    cp -r tests/models/tiny-llama "$work/models/m$n"
    echo "{\"name\": \"m$n\", \"model\": \"models/m$n\", \"outfile\": \"out/m$n.gguf\", \"outtype\": \"f16\", \"io_limit\": \"60K\"}"
done >"$work/jobs.jsonl"
cp docs/fleet/slurm.sh "$work/"
job=$(cd "$work" && sbatch --parsable --array=0-$((tasks - 1)) --output=log/task-%a slurm.sh)

state() { squeue -h -r -j "$job" -t "$1" -o %K 2>/dev/null; }
killed=0 requeued=0 failed=0
for _ in $(seq "$kills"); do
    sleep "1.$((RANDOM % 10))"
    case $((RANDOM % 3)) in
    0)
        pid=$(for pid in $(ours); do [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = ggraft ] && echo "$pid"; done | shuf -n 1) || true
        [ -z "$pid" ] || { kill -9 "$pid" 2>/dev/null && killed=$((killed + 1)); } || true
        ;;
    1)
        task=$(state RUNNING | shuf -n 1)
        [ -z "$task" ] || { scontrol requeue "${job}_$task" 2>/dev/null && requeued=$((requeued + 1)); } || true
        ;;
    2)
        [ -n "$(state RUNNING)" ] || continue
        kill_node
        sleep 1
        start_node
        failed=$((failed + 1))
        ;;
    esac
done

# What was killed itself, an operator requeues; Slurm does so with the tasks of a node that failed.
for _ in $(seq 300); do
    for id in $(scontrol -o show job "$job" | grep -E 'JobState=(FAILED|NODE_FAIL|CANCELLED|TIMEOUT)' | grep -oE '^JobId=[0-9]+' | cut -d= -f2); do
        scontrol requeue "$id" || true
    done
    states=$(scontrol -o show job "$job" | grep -oE 'JobState=[A-Z_]+' | sort | uniq -c | tr -s ' \n' ' ')
    [ "$states" = " $tasks JobState=COMPLETED " ] && break
    sleep 1
done
echo "tasks:$states; $killed processes killed, $requeued requeued while they ran, the node failed $failed times"

wrong=0
for n in $(seq -w 0 $((tasks - 1))); do
    # The last line of a killed task may have been cut off.
    times=$(cat "$work"/events-*.jsonl | grep -c "\"job\":\"m$n\",\"event\":\"finished\"" || true)
    ggraft convert "$work/models/m$n" --outtype f16 --quiet --outfile "$work/expected.gguf"
    cmp -s "$work/expected.gguf" "$work/out/m$n.gguf" || { echo "m$n: wrong or missing"; wrong=$((wrong + 1)); }
    [ "$times" -le 1 ] || { echo "m$n: converted $times times"; wrong=$((wrong + 1)); }
done
started=$(cat "$work"/events-*.jsonl | grep -c '"event":"started"' || true)
left=$(find "$work/out" -name '.*.tmp' | wc -l)
echo "$tasks models: $wrong wrong or converted twice; $started conversions begun; $left leftovers"
[ "$wrong" = 0 ] && [ "$left" = 0 ] && [ "$states" = " $tasks JobState=COMPLETED " ]
