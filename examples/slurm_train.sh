#!/bin/bash
# Trains one model on several machines under Slurm (docs/scaling.md):
#   CONFIG=cremad.yaml STORE=/shared/cremad.store RUN=/shared/runs/relearn sbatch --nodes=4 examples/slurm_train.sh
# One process (rank) a machine, a thread a core; `batch` of the configuration is that of all machines together. Five minutes
# before the time limit the run saves a checkpoint, and the job queues itself again and goes on from there, on as many
# machines as it then gets. LOCAL=/scratch copies the store to every machine first; SET=KEY=VALUE is one more setting.
#SBATCH --job-name=relearn
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --hint=nomultithread
#SBATCH --time=08:00:00
#SBATCH --signal=INT@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=relearn-%j.log
set -eu

: "${CONFIG:?the YAML file of the run}" "${STORE:?what relearn prepare wrote}" "${RUN:?the folder of the run, seen by all machines}"
program=${RELEARN:-relearn}
threads=${SLURM_CPUS_PER_TASK:-1}
loaders=$((threads > 8 ? 4 : 2))

if [ -n "${LOCAL:-}" ]; then
    sbcast --force "$STORE" "$LOCAL/${STORE##*/}"
    STORE=$LOCAL/${STORE##*/}
fi

# srun of some versions does not pass --cpus-per-task on to the step by itself.
code=0
srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task="$threads" --cpu-bind=cores \
    "$program" train "$CONFIG" --data "$STORE" --out "$RUN" --resume --quiet \
    --set "threads=$threads" --set "loader_threads=$loaders" ${SET:+--set "$SET"} || code=$?

if [ "$code" -eq 130 ]; then
    echo "stopped with a checkpoint; queued again"
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
fi
exit "$code"
