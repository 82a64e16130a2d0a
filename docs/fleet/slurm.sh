#!/bin/sh
#SBATCH --job-name=ggraft
#SBATCH --array=0-23
#SBATCH --requeue
#SBATCH --cpus-per-task=4
#SBATCH --mem=1G
#SBATCH --signal=TERM@30
# One entry of the list for each task: sbatch --array=0-$(($(grep -c . jobs.jsonl) - 1)) slurm.sh
# `exec`, so that Slurm's signals reach ggraft and its exit code reaches Slurm.
exec ggraft batch jobs.jsonl --index "$SLURM_ARRAY_TASK_ID" --retry 2 --threads "${SLURM_CPUS_PER_TASK:-1}" \
    --events "events-$SLURM_ARRAY_TASK_ID.jsonl"
