#!/bin/bash
# relearn runs: every state that a run can be in; and one process per run.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

relearn synth --out media --train 16 --val 8 --test 8 --classes 4 --picture-size 32 --frames 1 --seed 5
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
method: joint
modalities: [visual]
epochs: 2
batch: 8
encoder:
  width: 16
  blocks: [1]
YAML
train() { "$RELEARN" train config.yaml --data store --quiet "$@" >train.out 2>train.err </dev/null; }
# what RUN KEY...: of the run whose path ends so, from the last --json.
what() {
    local name=$1 i=0
    shift
    while json runs $i run >path 2>/dev/null; do
        if [ "$(cat path)" = "all/$name" ]; then
            json runs $i "$@"
            return
        fi
        i=$((i + 1))
    done
    return 1
}
is() { # RUN VALUE KEY...
    local run=$1 value=$2
    shift 2
    [ "$(what "$run" "$@")" = "$value" ]
}
listed() { succeeds runs all --json; }

check "no runs: a heading and nothing else" eval 'mkdir none && succeeds runs none && [ "$(wc -l <out)" -eq 1 ] && succeeds runs none --json && [ "$(cat out)" = "{\"runs\":[]}" ]'
check "no folder" fails 1 'nowhere: is no folder' runs nowhere

mkdir -p all/deep/er
train --out all/finished
train --out all/deep/er/series --seeds 10,2 --set epochs=1
train --out all/stopped --stop-after 3
train --out all/diverged --set optimizer.lr=1000 --set epochs=50
check "finished" eval 'listed && is finished finished state && is finished 2 epochs_done && is finished joint method && is finished "$PWD/store" data && is finished 0 seed'
check "best accuracy is the log's" eval '
    is finished "$(what finished best epoch)" best epoch && epoch=$(what finished best epoch) &&
    [ "$(what finished best accuracy)" = "$(grep "\"event\":\"epoch\",\"epoch\":$epoch," all/finished/log.jsonl | "$TOOLS/json_get" validation accuracy)" ]'
check "series are found, seed 2 before seed 10" eval '
    json runs 0 run >first && json runs 1 run >second && is deep/er/series/seed-2 2 seed && is deep/er/series/seed-10 finished state &&
    json runs | grep -o "series/seed-[0-9]*" | tr "\n" " " | grep -qx "series/seed-2 series/seed-10 "'
check "stopped, with an epoch done" eval 'is stopped stopped state && is stopped 1 epochs_done && is stopped 2 epochs'
check "diverged, with the error" eval 'is diverged diverged state && what diverged reason | grep -q "is not a number"'

# Running: alive, its lock held.
set -m
"$RELEARN" train config.yaml --data store --quiet --out all/running --set epochs=100000 >train.out 2>train.err </dev/null &
pid=$!
wait_for() { # FILE PATTERN
    local tries=0
    until grep -q "$2" "$1" 2>/dev/null; do
        [ $((tries += 1)) -lt 300 ] || return 1
        sleep 0.1
    done
}
wait_for all/running/log.jsonl '"epoch":3,"train"'
check "running, with its process and the time left" eval '
    listed && is running running state && is running $pid pid && is running "$(uname -n)" host &&
    [ "$(what running epochs_done)" -ge 2 ] && what running seconds_left | grep -Eq "^[0-9]+\.?[0-9]*$"'
check "running in the table" eval 'succeeds runs all && prints "^all/running +joint +store +0 +[0-9]+/100000 +[0-9.]+ +running +[0-9]+:[0-9:]+$"'
check "a second process is refused and names the first" fails 1 \
    "all/running: process $pid on $(uname -n) trains it since [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]+Z .*kill -INT $pid" \
    train config.yaml --data store --quiet --out all/running --set epochs=100000 --resume
check "a second process that does not resume, too" fails 1 "process $pid on" train config.yaml --data store --quiet --out all/running --set epochs=100000
check "another run is free" eval 'train --out all/other --stop-after 1; [ $? -eq 130 ]'
check "the first goes on undisturbed" kill -0 $pid
kill -9 $pid
wait $pid 2>/dev/null
set +m
check "killed" eval 'listed && is running killed state && ! what running pid'
check "what was killed can go on" eval '
    train --out all/running --set epochs=100000 --resume --stop-after 1; [ $? -eq 130 ] && listed && is running stopped state'

# Two that begin in one folder at the same moment: one trains, the other is refused.
twice() {
    local first second
    "$RELEARN" train config.yaml --data store --quiet --out race >first.out 2>first.err </dev/null &
    first=$!
    "$RELEARN" train config.yaml --data store --quiet --out race >second.out 2>second.err </dev/null
    second=$?
    wait $first
    first=$?
    [ $first -eq 0 ] || [ $second -eq 0 ] || return 1
    [ $first -ne 0 ] || [ $second -ne 0 ] || return 1
    cat first.err second.err | grep -Eq "race: (process [0-9]+ on .* trains it|another process|already holds a run)" && [ -e race/summary.json ]
}
check "two at the same moment" twice

# Damage.
cp -r all/finished all/torn && truncate -s 100 all/torn/checkpoint/last.safetensors
cp -r all/finished all/wordless && rm all/wordless/config.yaml
cp -r all/finished all/garbled && head -c 300 /dev/urandom >all/garbled/config.yaml
cp -r all/finished all/foreign && printf 'answer: 42\n' >all/foreign/config.yaml
cp -r all/finished all/cut && printf '{"pid": 3' >all/cut/process.json
cp -r all/finished all/old && rm all/old/process.json
cp -r all/stopped all/older && rm all/older/process.json
cp -r all/finished all/young && rm -r all/young/checkpoint/* all/young/log.jsonl all/young/summary.json
ln -s .. all/loop
check "a torn checkpoint is unreadable, and named" eval 'listed && is torn unreadable state && what torn reason | grep -q all/torn/checkpoint/last.safetensors'
check "a missing configuration is unreadable" eval 'is wordless unreadable state && what wordless reason | grep -q config.yaml'
check "a garbled configuration is unreadable" eval 'is garbled unreadable state && what garbled reason | grep -q garbled/config.yaml'
check "somebody else's configuration is unreadable" eval 'is foreign unreadable state && what foreign reason | grep -q foreign/config.yaml'
check "a cut process.json is unreadable" eval 'is cut unreadable state && what cut reason | grep -q cut/process.json'
check "runs of before process.json: finished or stopped" eval 'is old finished state && is older stopped state'
check "a run without a checkpoint yet" eval 'is young 0 epochs_done && is young null best'
check "the others are as they were" eval 'is finished finished state && is stopped stopped state'
check "reasons stand below the table" eval 'succeeds runs all && prints "^unreadable: all/torn/checkpoint" && prints "^diverged: .*not a number" && prints "^all/torn +- +- +- +- +- +unreadable +-$"'
check "a resume that fails says so" eval 'truncate -s 100 all/torn/checkpoint/previous.safetensors && train --out all/torn --resume; [ $? -eq 1 ] && [ "$("$TOOLS/json_get" state <all/torn/process.json)" = failed ]'
check "one run, named itself" eval 'succeeds runs all/finished --json && json_is all/finished runs 0 run && ! json runs 1 2>/dev/null'
check "twice the same" eval 'succeeds runs all && cp out once && succeeds runs all && cmp -s once out'
check "one that goes back to the checkpoint before it mends the run" eval 'cp all/finished/checkpoint/previous.safetensors all/torn/checkpoint && train --out all/torn --resume && listed && is torn finished state'
