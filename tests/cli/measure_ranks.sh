#!/bin/bash
# evaluate and diagnose by several processes: what one prints, byte for byte.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

names=("evaluate --json" "evaluate --probe" "diagnose --json" "diagnose of files" "training with sync_bn: the losses of one process, and not without"
    "an error is told once")
why=
command -v mpirun >/dev/null || why="mpirun is not installed"
[ -e "${RELEARN%/*}/relearn-mpi.so" ] || why=${why:-"relearn-mpi.so was not built: MPI is not installed"}
if readelf -d "$RELEARN" | grep -q libasan; then why=${why:-"the sanitizers find fault with MPI itself"}; fi
if [ -n "$why" ]; then
    for name in "${names[@]}"; do skip "$name" "$why"; done
    exit 0
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_WAIT_POLICY=passive

ranks() { # N ARGUMENT...
    mpirun --oversubscribe --bind-to none -n "$1" "$RELEARN" "${@:2}" >out 2>err </dev/null
    code=$?
}

relearn synth --out media --train 45 --val 22 --test 14 --classes 4 --picture-size 32 --frames 1 --seed 5
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
epochs: 2
batch: 8
evaluation_batch: 4
threads: 1
encoder: {width: 16, blocks: [1]}
relearn: {period: 1, times: 1}
YAML
relearn train config.yaml --data store --out run --quiet

# same N ARGUMENT...: N processes print what one does, and it is not nothing.
same() {
    relearn "${@:2}" && cp out one.txt && [ "$code" -eq 0 ] && [ -s one.txt ] && ranks "$@" && [ "$code" -eq 0 ] &&
        cmp one.txt out
}
both() { same 2 "$@" && same 3 "$@"; }

check "${names[0]}" both evaluate run --json
check "${names[1]}" same 2 evaluate run --split val --probe
check "${names[2]}" both diagnose run --repeats 2 --json
features=run/features/after.safetensors
check "${names[3]}" same 3 diagnose --train "$features" --val "$features" --label labels: --repeats 1

# Losses of the steps of two runs: the largest difference, when there are at least 10.
losses() { grep '"event": *"step"' "$1/log.jsonl" | grep -o '"loss": *[0-9.e-]*' | grep -o '[0-9.e-]*$'; }
apart() {
    paste <(losses "$1") <(losses "$2") | awk '
        NF == 2 { d = $1 - $2; if (d < 0) d = -d; if (d > most) most = d; n++ } END { print (n >= 10 ? most + 0 : "nothing") }'
}
below() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a ~ /^[0-9]/ && a + 0 < b + 0) }'; }

check "${names[4]}" eval '
    ranks 3 train config.yaml --data store --out shared --quiet --set sync_bn=true && [ "$code" -eq 0 ] &&
    ranks 3 train config.yaml --data store --out own --quiet && [ "$code" -eq 0 ] &&
    below "$(apart run shared)" 1e-4 && below 1e-3 "$(apart run own)"'
check "${names[5]}" eval 'ranks 2 evaluate nothing; [ "$code" -eq 1 ] && [ "$(grep -c "nothing: is no run" err)" -eq 1 ]'
