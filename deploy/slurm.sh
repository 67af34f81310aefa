#!/usr/bin/env bash
# A Ray cluster for the time of one job:
#   sbatch --nodes 8 deploy/slurm.sh fuse /scratch/pairs.parquet -o /scratch/fused --tar
# The words after the script are those of `ivfuse`; --cluster is added. The folders must be seen by all nodes.
#SBATCH --job-name=ivfuse
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=08:00:00
set -euo pipefail

export RAY_USAGE_STATS_ENABLED=0
port=$((20000 + SLURM_JOB_ID % 20000))
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{print $1}'):$port

srun --nodes=1 --ntasks=1 -w "$head" ray start --head --port="$port" --include-dashboard=false --block &
until srun --overlap --nodes=1 --ntasks=1 -w "$head" ray health-check --address "$address" 2>/dev/null; do sleep 2; done
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" \
        ray start --address="$address" --block &
fi
srun --overlap --nodes=1 --ntasks=1 -w "$head" ivfuse "$@" --cluster "$address"
