#!/bin/bash
# The batch script for Slurm, with Slurm's commands played by stubs: what it starts, and what it makes of how that ends.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

relearn synth --out media --train 16 --val 8 --test 8 --classes 4 --picture-size 32 --frames 1 --seed 5
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
method: joint
modalities: [visual]
epochs: 1
batch: 8
encoder:
  width: 16
  blocks: [1]
YAML

# srun runs the program once; SRUN_CODE makes it end with that instead.
mkdir bin copies
cat >bin/srun <<'STUB'
#!/bin/bash
echo "$@" >srun.txt
[ -z "${SRUN_CODE:-}" ] || exit "$SRUN_CODE"
while case $1 in --*) true ;; *) false ;; esac; do shift; done
exec "$@"
STUB
cat >bin/sbcast <<'STUB'
#!/bin/bash
cp "${@: -2:1}" "${@: -1}"
STUB
cat >bin/scontrol <<'STUB'
#!/bin/bash
echo "$@" >scontrol.txt
STUB
chmod +x bin/*

batch() { # VARIABLE=VALUE...
    rm -f srun.txt scontrol.txt
    env PATH="$PWD/bin:$PATH" SLURM_JOB_ID=7 SLURM_CPUS_PER_TASK=1 CONFIG=config.yaml STORE=store RUN=run "$@" \
        "$here/../examples/slurm_train.sh" >out 2>err
    code=$?
}

check "it trains" eval 'batch && [ "$code" -eq 0 ] && [ -s run/summary.json ] && grep -q "^threads: 1$" run/config.yaml'
check "by tasks that Slurm connects and ends together" grep -q -- "--mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=1" srun.txt
check "a finished run is left as it is" eval 'batch && [ "$code" -eq 0 ] && [ ! -e scontrol.txt ]'
check "one more setting, on a copy of the store" eval '
    batch RUN=other LOCAL="$PWD/copies" SET=epochs=2 && [ "$code" -eq 0 ] && cmp store copies/store &&
    grep -q "^epochs: 2$" other/config.yaml && grep -q "^data: .*copies/store$" other/config.yaml'
check "stopped with a checkpoint it is queued again" eval '
    batch SRUN_CODE=130 && [ "$code" -eq 0 ] && grep -qx "requeue 7" scontrol.txt'
check "a failure stays one" eval 'batch SRUN_CODE=1; [ "$code" -eq 1 ] && [ ! -e scontrol.txt ]'
check "nothing is guessed" eval 'batch STORE=; [ "$code" -ne 0 ] && grep -q "what relearn prepare wrote" err && [ ! -e srun.txt ]'
