#!/bin/bash
# Training by several processes: mpirun -n N relearn train.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
build=$(dirname "$RELEARN")

refused() { # started as two, without the plug-in: one line of rank 0, and no run
    cp "$RELEARN" alone
    code=0
    for rank in 0 1; do
        OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=$rank RELEARN_MPI='' ./alone train --data store --out run >out$rank 2>err$rank || code=$?
    done
    rm -f alone
    [ "$code" -eq 1 ] && [ ! -s out0 ] && [ ! -s out1 ] && [ ! -s err1 ] && [ "$(wc -l <err0)" -eq 1 ] && [ ! -e run ] &&
        grep -q '^relearn: started as one of 2 ranks, but relearn-mpi.so is not beside the program' err0
}
check "started as two without the plug-in: one line" refused
batch() { # a batch script of Slurm that asks for four tasks is one process
    SLURM_NTASKS=4 SLURM_PROCID=0 relearn train --data nothing --out run
    [ "$code" -ne 0 ] && grep -q '^relearn: nothing: cannot open' err
}
check "Slurm's number of tasks alone starts no ranks" batch

if ! command -v mpirun >/dev/null || [ ! -e "$build/relearn-mpi.so" ]; then
    skip "training by several processes" "no mpirun, or built without MPI (tools/deps.sh build installs both)"
    exit 0
fi
# In a container, on few cores.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 \
    OMPI_MCA_hwloc_base_binding_policy=none OMP_WAIT_POLICY=passive RELEARN_MPI=$build/relearn-mpi.so
# What Open MPI never gives back is not ours.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
if [ "$(id -u)" -ne 0 ]; then unset OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM; fi
ranks() { # N ARGUMENT...
    local n=$1
    shift
    mpirun -n "$n" "$RELEARN" "$@" >out 2>err </dev/null
    code=$?
}
check "collectives over MPI: 2 ranks" eval 'mpirun -n 2 "$build/tests/unit/test_comm" ranks >out 2>err && [ "$(cat out)" = "2 ranks" ]'
check "collectives over MPI: 3 ranks" eval 'mpirun -n 3 "$build/tests/unit/test_comm" ranks >out 2>err && [ "$(cat out)" = "3 ranks" ]'

# Two modalities of vectors, without batch norm: 61 training samples, so that a last batch of one leaves ranks without any.
mkdir features
for split in "train 61 1" "val 24 2" "test 24 3"; do
    read -r name samples stream <<<"$split"
    "$TOOLS/make_features" "features/near_$name.npy" "features/labels_$name.npy" "$samples" 12 3 4 "$stream" &&
        "$TOOLS/make_features" "features/far_$name.npy" "features/labels_$name.npy" "$samples" 7 3 4 "1$stream"
done
"$RELEARN" prepare features --quiet --from features --to vectors >/dev/null
"$RELEARN" synth --quiet --out media --seed 3 --train 45 --val 12 --test 12 --classes 3 --picture-size 32 --frames 1 >/dev/null
"$RELEARN" prepare manifest --quiet --from media --to pictures >/dev/null
vectors=(train --data vectors --quiet --set batch=10 --set drop_last=false --set threads=1)
pictures=(train --data pictures --quiet --kernels fixed --set threads=1 --set batch=8 --set epochs=3 --set method=relearn --set relearn.period=1
    --set encoder.width=16 --set "encoder.blocks=[1]" --set encoder.stem=small)

losses() { grep '"event":"epoch"' "$1/log.jsonl" | sed -E 's/.*"train":\{[^}]*"loss":([^,}]*).*/\1/'; }
near() { # RUN RUN EPOCHS: training losses that agree to five digits
    paste <(losses "$1") <(losses "$2") | awk -v want="$3" '
        { d = $1 - $2; if (d < 0) d = -d; if (d > 1e-5 * $1) bad = 1; rows++ } END { exit bad || rows != want }'
}
curve() { # N METHOD: as one rank's
    [ -e "one-$2" ] || "$RELEARN" "${vectors[@]}" --out "one-$2" --set epochs=4 --set method="$2" --set clip_norm=1 >/dev/null
    ranks "$1" "${vectors[@]}" --out "$2-$1" --set epochs=4 --set method="$2" --set clip_norm=1
    [ "$code" -eq 0 ] && [ ! -s err ] && grep -q '^best epoch' out && near "one-$2" "$2-$1" 4
}
for n in 2 3; do
    for method in joint ogm_ge mmpareto; do
        check "$n ranks follow one rank's losses: $method" curve "$n" "$method"
    done
done

# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"
twice() { # decoded media, batch norm, shares of 3, 3 and 2 samples, diagnosing
    ranks 3 "${pictures[@]}" --out whole && [ "$code" -eq 0 ] && ranks 3 "${pictures[@]}" --out again && [ "$code" -eq 0 ] &&
        [ "$(grep -c '"event":"method"' whole/log.jsonl)" -eq 2 ] && same whole again
}
check "3 ranks twice: the same bits" twice
sliced() { # stopped in the middle of the second epoch
    ranks 3 "${pictures[@]}" --out parts --stop-after 7
    [ "$code" -eq 130 ] && [ "$(grep -c '^relearn: ' err)" -eq 1 ] && grep -q 'go on with --resume' err || return 1
    ranks 3 "${pictures[@]}" --out parts --resume
    [ "$code" -eq 0 ] && same whole parts
}
check "3 ranks, stopped and resumed: the same bits" sliced
measured() { # by rank 0 alone, for its share of 3; rank 2 has 2, and takes the same kernels
    export XDG_CACHE_HOME=$PWD/cache
    local auto=("${pictures[@]/fixed/auto}")
    ranks 3 "${auto[@]}" --out first --stop-after 1
    [ "$code" -eq 130 ] && grep -q '"3x' cache/relearn/kernels.json && ! grep -q '"2x' cache/relearn/kernels.json &&
        cp -r first second && rm -r cache || return 1
    for run in first second; do ranks 3 "${auto[@]}" --out "$run" --resume && [ "$code" -eq 0 ] || return 1; done
    [ ! -e cache ] && ! grep -q '"2x' first/kernels.json && same first second
}
check "kernels that rank 0 measured are those of unequal shares too: the same bits" measured
unset XDG_CACHE_HOME
others() { # begun by three, gone on by two, ended by one
    ranks 3 "${vectors[@]}" --out mixed --set epochs=4 --set method=joint --set clip_norm=1 --stop-after 9
    [ "$code" -eq 130 ] || return 1
    ranks 2 "${vectors[@]}" --out mixed --set epochs=4 --set method=joint --set clip_norm=1 --resume --stop-after 9
    [ "$code" -eq 130 ] || return 1
    relearn "${vectors[@]}" --out mixed --set epochs=4 --set method=joint --set clip_norm=1 --resume
    [ "$code" -eq 0 ] && near one-joint mixed 4
}
check "begun by 3 ranks, gone on by 2, ended by 1" others

damaged() { # the last checkpoint: rank 0 goes on from the one before, and all with it
    cp -r whole torn && rm torn/summary.json && truncate -s 4096 torn/checkpoint/last.safetensors
    ranks 3 "${pictures[@]}" --out torn --resume
    [ "$code" -eq 0 ] && [ "$(grep -c '^relearn: ' err)" -eq 1 ] &&
        grep -q "^relearn: warning: torn/checkpoint/last.safetensors: .*going on from the checkpoint before it, torn/checkpoint/previous.safetensors" err && same whole torn
}
check "3 ranks, the last checkpoint is damaged: on from the one before, to the same bits" damaged
neither() {
    cp -r whole gone && rm gone/summary.json && : >gone/checkpoint/last.safetensors && rm gone/checkpoint/previous.safetensors
    ranks 3 "${pictures[@]}" --out gone --resume
    once 1 'gone/checkpoint/previous.safetensors is not there: there is nothing to go on from'
}
restored() { # best.safetensors is lost, and one of the others was written right behind its epoch
    cp -r one-joint best && truncate -s 100 best/checkpoint/best.safetensors && cp -r best alone
    relearn "${vectors[@]}" --out alone --set epochs=4 --set method=joint --set clip_norm=1 --resume
    [ "$code" -eq 0 ] && cmp one-joint/checkpoint/best.safetensors alone/checkpoint/best.safetensors || return 1
    ranks 2 "${vectors[@]}" --out best --set epochs=4 --set method=joint --set clip_norm=1 --resume
    [ "$code" -eq 0 ] && "$RELEARN" inspect --verify best >/dev/null
}
memory() { # the activations of a batch are shared out, the weights are not; evaluation batches are whole
    local of=("${pictures[@]}" --set method=joint --set epochs=1 --set batch=40 --set evaluation_batch=1 --stop-after 1)
    relearn "${of[@]}" --out share-1
    ranks 2 "${of[@]}" --out share-2
    local name one two
    for name in activations loader weights; do
        one=$(head -n 1 share-1/log.jsonl | "$TOOLS/json_get" memory $name) two=$(head -n 1 share-2/log.jsonl | "$TOOLS/json_get" memory $name)
        [ $name != loader ] || one=$((one - (12 << 20))) two=$((two - (12 << 20))) # two loaders' two readers each
        echo "  $name: $one, as one of two $two"
        case $name in
        weights) [ "$one" -eq "$two" ] ;;
        *) [ $((100 * two / one)) -lt 70 ] && [ $((100 * two / one)) -gt 40 ] ;;
        esac || return 1
    done
    ranks 2 "${of[@]/--quiet/--json}" --out share-3
    grep -Eq '^relearn: needs about [0-9.]+ MiB a rank: weights' err
}
check "best.safetensors is lost: restored where another checkpoint has it, by ranks as well" restored
check "memory is that of a rank's share" memory

# --- what is refused, and errors ---

once() { # CODE PATTERN: one line of ours, whoever failed
    [ "$code" -eq "$1" ] && [ ! -s out ] && [ "$(grep -c '^relearn: ' err)" -eq 1 ] && grep -Eq "^relearn: .*$2" err
}
check "both checkpoints are gone: told once" neither
check "a wrong key: told once, 2" eval 'ranks 3 "${vectors[@]}" --out wrong --set bach=3; once 2 "unknown key"'
check "fewer samples in a batch than ranks: told once, 2" eval 'ranks 3 "${vectors[@]}" --out wrong --set batch=2; once 2 "2 samples for 3 processes"'
one_fails() { # rank 1 alone has no data
    mpirun -n 1 "$RELEARN" "${vectors[@]}" --out lonely : -n 1 "$RELEARN" "${vectors[@]}" --data absent --out lonely >out 2>err </dev/null
    code=$?
    once 1 'rank 1 .*absent: cannot open'
}
check "an error on one rank ends all and is told once" one_fails

# --- ranks that die, hang or are stopped ---

long=("${vectors[@]}" --set method=joint --set epochs=1000000)
begin() { # RUN ARGUMENT...: in the background, until there is a checkpoint; $job is mpirun's
    local run=$1 tries=0
    shift
    mpirun -n 3 "$RELEARN" "${long[@]}" --out "$run" "$@" >out 2>err </dev/null &
    job=$!
    while [ ! -e "$run/checkpoint/last.safetensors" ] && [ $((tries += 1)) -lt 600 ]; do sleep 0.05; done
    [ -e "$run/checkpoint/last.safetensors" ]
}
process_of() { # RANK: of the job
    local process
    for process in $(pgrep -P "$job"); do
        tr '\0' '\n' <"/proc/$process/environ" | grep -qx "OMPI_COMM_WORLD_RANK=$1" && echo "$process"
    done
}
ended() { # SECONDS: waits for mpirun, not for ever
    local tries=0
    while kill -0 "$job" 2>/dev/null && [ $((tries += 1)) -lt $(($1 * 10)) ]; do sleep 0.1; done
    if kill -0 "$job" 2>/dev/null; then
        pkill -KILL -P "$job"
        kill -KILL "$job"
        return 1
    fi
    wait "$job"
    code=$?
}
good() { relearn "${long[@]}" --out "$1" --resume --stop-after 1; [ "$code" -eq 130 ]; }
killed() {
    begin killed || return 1
    kill -KILL "$(process_of 1)"
    ended 60 && [ "$code" -ne 0 ] && grep -q 'rank 1' err && [ -z "$(pgrep -P "$job")" ] && good killed
}
check "a killed rank ends the job within a minute; its checkpoint is good" killed
hangs() { # N SECONDS: the rank N
    begin "hung$1" --rank-timeout "$2" || return 1
    kill -STOP "$(process_of "$1")"
    ended 60 && [ "$code" -eq 1 ] && [ "$(grep -c '^relearn: ' err)" -eq 1 ] &&
        grep -Eq "^relearn: rank $1 \(process [0-9]+ on .*no sign of life for" err && good "hung$1"
}
check "a stopped rank ends the job within its time, and is named" hangs 1 2
check "rank 0 stopped: another one tells" hangs 0 2
stopped() { # SIGNAL CODE: to mpirun, which gives its ranks time to save (and itself waits as long, twice)
    OMPI_MCA_odls_base_sigkill_timeout=4 begin "stopped$1" || return 1
    kill "-$1" "$job"
    ended 60 && [ "$code" -eq "$2" ] && [ "$(grep -c '^relearn: ' err)" -eq 1 ] && grep -Eq 'go on with --resume|: interrupted' err && good "stopped$1"
}
set -m
check "SIGUSR1 to mpirun: saved, told once, 130" stopped USR1 130
# mpirun itself ends with 1, whatever its processes end with.
check "Ctrl-C to mpirun: saved, told once" stopped INT 1
check "SIGTERM to mpirun: saved, told once" stopped TERM 1
