#!/bin/bash
# Same seed, same bits: runs that were stopped and resumed, or read by other numbers of threads, equal one that ran through.
# Called by tools/run_tests.sh, which sets RELEARN and TEST_TMP.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$TEST_TMP" || exit 1
log=$TEST_TMP/log
steps=4 # an epoch: 64 samples, batch 16

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >>"$log" 2>&1; then
        echo "ok $name"
    else
        echo "not ok $name"
        tail -20 "$log"
    fi
}

train_here() { # RUN FLAG...: in place of this shell
    local run=$1
    shift
    exec "$RELEARN" train --quiet --data store --out "$run" --set epochs=4 --set batch=16 --set optimizer.lr=0.02 \
        --set encoder.width=16 --set "encoder.blocks=[1,1]" --set relearn.period=1 --set relearn.times=2 \
        --set relearn.lambda=6 "$@"
}
train() { (train_here "$@"); }

# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"
stopped() { # RUN STEPS: stops there with 130, and a checkpoint
    train "$1" --stop-after "$2" --resume
    [ $? -eq 130 ] && [ -e "$1/checkpoint/last.safetensors" ] && [ ! -e "$1/summary.json" ]
}
resumed() { # RUN STEPS...: stops after so many steps each time, then goes to the end
    local run=$1 n
    shift
    for n in "$@"; do stopped "$run" "$n" || return 1; done
    train "$run" --resume && same whole "$run"
}

prepare() {
    "$RELEARN" synth --quiet --out media --seed 3 --train 64 --val 32 --test 32 &&
        "$RELEARN" prepare manifest --quiet --from media --to store
}
check "prepares" prepare
check "trains" train whole
twice() { train again && same whole again; }
check "two runs give the same bits" twice
seeds() { train other --set seed=1 && differ whole other; }
check "another seed gives other bits" seeds
diagnosed() { [ "$(grep -c '"event":"method"' whole/log.jsonl)" -eq 2 ] && grep -q '"alpha"' whole/summary.json; }
check "every diagnosis is in log and summary" diagnosed
check "stopped inside an epoch" resumed inside 2
check "stopped before the first checkpoint of an epoch's end" resumed early 1 1
check "stopped between epochs" resumed between $((2 * steps))
check "stopped five times" resumed often 3 3 3 3 3
# What a killed run had written behind its last checkpoint.
surplus() {
    stopped surplus 6 && cp surplus/$events before && train surplus --resume --stop-after 1
    [ $? -eq 130 ] && cp surplus/$events longer && cp surplus/log.jsonl longer.jsonl && rm -r surplus && stopped surplus 6 &&
        [ "$(wc -c <longer)" -gt "$(wc -c <before)" ] &&
        cp longer surplus/$events && head -c 7 longer >>surplus/$events && cp longer.jsonl surplus/log.jsonl &&
        train surplus --resume && same whole surplus
}
check "lines and events behind the checkpoint are cut off, then written again" surplus
without() {
    stopped without 6 && train without --resume --stop-after 3 --set tensorboard=false
    [ $? -eq 130 ] && train without --resume && cmp whole/checkpoint/best.safetensors without/checkpoint/best.safetensors &&
        "$TOOLS/events_dump" without/$events >dump && [ "$(grep -c "^7 step/loss" dump)" -eq 0 ] && grep -q "^10 step/loss" dump
}
check "TensorBoard off for a while: its events are missing, the result is the same" without
gone() {
    stopped gone 6 && rm gone/$events && train gone --resume 2>message
    [ "$(grep -c "^relearn: warning: gone/$events: has gone" message)" -eq 1 ] && [ -e gone/summary.json ] &&
        "$TOOLS/events_dump" gone/$events | grep -q "^16 train/loss"
}
check "events that have gone begin anew, with a warning" gone
damaged() { stopped damaged 6 && truncate -s 1000 damaged/$events && refuses 1 "damaged/$events" train damaged --resume; }
threads() { train threads4 --set loader_threads=4 && cmp whole/checkpoint/last.safetensors threads4/checkpoint/last.safetensors; }
check "four loader threads give the same bits as two" threads
none() { train threads0 --set loader_threads=0 && cmp whole/checkpoint/last.safetensors threads0/checkpoint/last.safetensors; }
check "no loader thread gives the same bits, too" none

# Kernels that were measured are the run's: what the cache says by the time it goes on does not matter.
export XDG_CACHE_HOME=$TEST_TMP/cache
cache=cache/relearn/kernels.json
measured() { train auto --kernels auto && [ -s $cache ] && grep -q '"forward"' auto/kernels.json; }
check "trains with measured kernels" measured
begun() { train moved --kernels auto --stop-after 2; [ $? -eq 130 ]; }
check "a second run begins with the same kernels" begun
others() { sed -i 's/"winograd"/"direct"/; t; s/"\(direct\|library\)"/"winograd"/' $cache && train others --kernels auto && differ auto others; }
check "a cache that says otherwise gives other bits" others
gone_on() { train moved --kernels auto --resume --stop-after 3; [ $? -eq 130 ] && rm -r cache && train moved --kernels auto --resume && same auto moved; }
check "the second run goes on with its own, and gives the same bits" gone_on
nothing_measured() { [ ! -e $cache ]; }
check "and measures nothing" nothing_measured

# A real signal, somewhere in the middle. With job control on, or the shell would have it ignored.
interrupted() {
    set -m
    train_here signal --set epochs=400 &
    local pid=$! tries=0
    while [ ! -e signal/checkpoint/last.safetensors ] && [ $((tries += 1)) -lt 600 ]; do sleep 0.1; done
    kill -INT $pid
    wait $pid
    [ $? -eq 130 ] && grep -q '"event":"epoch"' signal/log.jsonl
}
check "Ctrl-C writes a checkpoint and ends with 130" interrupted
going_on() { train signal --set epochs=400 --resume --stop-after 1; [ $? -eq 130 ]; }
check "the interrupted run goes on" going_on

refuses() { # CODE WORD COMMAND...: fails with that code and one line that has the word
    local code=$1 word=$2 status
    shift 2
    "$@" 2>message
    status=$?
    cat message
    [ $status -eq "$code" ] && [ "$(wc -l <message)" -eq 1 ] && grep -q -- "$word" message
}
check "a finished run is not overwritten" refuses 2 --resume train whole
check "a resumed run keeps its configuration" refuses 2 batch train whole --resume --set batch=8
torn() {
    stopped torn 5 && stopped torn 1 && truncate -s 100000 torn/checkpoint/last.safetensors && train torn --resume 2>message &&
        [ "$(grep -c "warning: torn/checkpoint/last.safetensors.*previous.safetensors, of epoch 2 after step" message)" -eq 1 ] && same whole torn
}
check "a torn checkpoint: on from the one before, inside an epoch" torn
check "events that are shorter than the checkpoint says are named" damaged
no_val() {
    sed -i '/,val,/d' media/manifest.csv && "$RELEARN" prepare manifest --quiet --from media --to no-val &&
        refuses 1 val-fraction "$RELEARN" train --quiet --data no-val --out no-val-run
}
check "relearn without validation names the way out" no_val
check "an unknown key gets the nearest one" refuses 2 optimizer.momentum train x --set optimizer.momentun=1
check "an unknown method gets the nearest one" refuses 2 relearn train x --set method=relearm
check "a missing store is named" refuses 1 nowhere "$RELEARN" train --data nowhere --out x

evaluated() {
    "$RELEARN" evaluate whole --json >evaluation.json &&
        [ "$(sed -E 's/.*"accuracy":([0-9.]+).*"run".*/\1/; s/^\{"samples":[0-9]+,"loss":[^,]*,"accuracy":([0-9.]+).*/\1/' evaluation.json)" != "" ]
}
check "evaluates" evaluated
agrees() { # the accuracy that training measured on test stands in the evaluation as well
    local accuracy
    accuracy=$(sed -n '/"test": {/,/"modalities"/s/.*"accuracy": \([0-9.]*\).*/\1/p' whole/summary.json | head -1)
    [ -n "$accuracy" ] && grep -q "\"accuracy\":$accuracy," evaluation.json
}
check "evaluation repeats the summary" agrees

# Of the last epoch's weights no re-initialisation came since; the same numbers must be there each time it is asked.
diagnosed_run() {
    "$RELEARN" diagnose whole --checkpoint last --json >diagnosis.json && "$RELEARN" diagnose whole --checkpoint last --json >again.json &&
        cmp diagnosis.json again.json && grep -q '^{"modalities":\[{"name":"audio","purity_train":[0-9.]*,.*{"name":"visual",' diagnosis.json
}
check "diagnoses a run" diagnosed_run
check "a run and files do not go together" refuses 2 features "$RELEARN" diagnose whole --train x.npy
check "neither a run nor files" refuses 2 "val FILE is missing" "$RELEARN" diagnose --train x.npy
