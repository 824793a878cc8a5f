#!/bin/bash
# Kill anywhere: prepare, train and report are killed at random instants and started again by the same command, as often as it
# takes; what they leave in the end equals what an undisturbed run leaves, bit for bit.
# Environment: RELEARN_KILLS, how many kills that strike (20); RELEARN_KILL_SEED, of the instants (1).
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"
wanted=${RELEARN_KILLS:-20}
RANDOM=${RELEARN_KILL_SEED:-1}

"$RELEARN" synth --quiet --out media --seed 3 --train 1100 --val 1 --test 1 --picture-size 32 --frames 1 >/dev/null
"$RELEARN" synth --quiet --out few --seed 3 --train 64 --val 32 --test 32 >/dev/null
"$RELEARN" prepare manifest --quiet --from few --to few.store >/dev/null

# order WHAT NAME: the command line, in `order`.
order() {
    case $1 in
    prepare) order=("$RELEARN" prepare manifest --quiet --from media --to "$2.store") ;;
    train) order=("$RELEARN" train --quiet --data few.store --out "$2" --resume --set epochs=4 --set batch=16 --set optimizer.lr=0.02
        --set encoder.width=16 --set "encoder.blocks=[1,1]" --set relearn.period=1 --set relearn.times=2 --set relearn.lambda=6
        --set checkpoint_minutes=0.0005) ;;
    report) order=("$RELEARN" report whole --quiet --out "$2.html") ;;
    esac
}
finish() { # WHAT NAME: to the end. A store that is complete is not made again.
    order "$1" "$2"
    if [ "$1" = prepare ] && [ -e "$2.store" ]; then return 0; fi
    "${order[@]}" >out 2>err </dev/null
}
same_as_whole() { # WHAT NAME
    case $1 in
    prepare) cmp whole.store "$2.store" ;;
    train) same whole "$2" ;;
    report) cmp whole.html "$2.html" ;;
    esac &&
        # Nothing half-written is left behind.
        [ -z "$(find . -name "*.tmp" -o -name "*.partial*" -o -name "*-journal")" ]
}

# How long each takes, in milliseconds.
declare -A long
for what in prepare train report; do
    begun=$(date +%s%N)
    finish $what whole
    code=$?
    long[$what]=$((($(date +%s%N) - begun) / 1000000))
    check "$what, undisturbed" [ "$code" -eq 0 ]
done

named() {
    cp whole.store named.store.partial
    finish prepare named && same_as_whole prepare named
}
check "prepare, killed when only the name was missing" named

strike() { # MILLISECONDS WHAT NAME: whether it was still at work when it was killed
    local after
    printf -v after '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
    order "$2" "$3"
    if [ "$2" = prepare ] && [ -e "$3.store" ]; then return 1; fi
    "${order[@]}" >out 2>err </dev/null &
    sleep "$after"
    kill -KILL $! 2>/dev/null
    wait $! 2>/dev/null
    [ $? -eq 137 ]
}

struck=0 chains=0
# Up to four kills, then to the end; WHAT NAME.
chain() {
    local what=$1 name=$2 instants=()
    chains=$((chains + 1))
    while [ ${#instants[@]} -lt 4 ]; do
        instants+=($((RANDOM * (long[$what] + 20) / 32768)))
        strike "${instants[-1]}" "$what" "$name" || break
        struck=$((struck + 1))
    done
    echo "  $what $name: killed after ${instants[*]} ms (the last may have come too late)"
    finish "$what" "$name" && same_as_whole "$what" "$name"
}
while [ $struck -lt "$wanted" ] && [ $chains -lt $((4 * wanted)) ]; do
    for what in train prepare report; do
        check "$what, killed and started again ($((chains + 1)))" chain $what chain$chains
        rm -rf chain*
    done
done
check "$wanted kills struck a process at work" [ $struck -ge "$wanted" ]

# A kill while a file is written leaves it under a name that holds the process's number.
swept() {
    local folder gone
    true & gone=$!
    wait $gone
    for folder in whole whole/checkpoint whole/features whole/projector; do
        : >"$folder/some.file.$gone-1.tmp" || return 1
    done
    finish train whole && [ -z "$(find whole -name '*.tmp')" ]
}
check "half-written files in every folder of a run are removed" swept

# --- at every step of replacing a checkpoint ---
library=$TOOLS/../preload/kill.so
# steps_find NAME [VARIABLE=VALUE]: trains NAME; the numbers of its steps on the checkpoints of the second and third epoch, in `steps`.
small=(--set epochs=3 --set batch=16 --set encoder.width=16 --set "encoder.blocks=[1]" --set relearn.period=1 --set relearn.times=1 --set kernels=fixed)
train_small() { # NAME [VARIABLE=VALUE]...
    local name=$1
    shift
    env "$@" "$RELEARN" train --quiet --data few.store --out "$name" --resume "${small[@]}" >out 2>err </dev/null
}
steps_find() {
    rm -f list
    train_small "$@" LD_PRELOAD="$library" KILL_LIST=list || return 1
    # From the first fsync of a second checkpoint on; RELEARN_KILLS above 20: all that the run does.
    mapfile -t steps < <(awk -v all=$((wanted > 20)) '/last\.safetensors.*tmp$/ { saves++ }
        all || (saves > 1 && /checkpoint/ && !/best/) { print NR }' list)
    [ ${#steps[@]} -ge 8 ]
}
whole_one() { [ -e "$1" ] && "$TOOLS/tensor_get" "$1" head.bias >/dev/null 2>&1; }
# Killed before each of these steps: at least one checkpoint is whole, and where two are, either leads to the same end.
steps_kill() { # [VARIABLE=VALUE]
    local step last=at/checkpoint/last.safetensors previous=at/checkpoint/previous.safetensors both=0
    for step in "${steps[@]}"; do
        rm -rf at other
        train_small at LD_PRELOAD="$library" KILL_AT="$step" "$@" 2>/dev/null
        [ $? -eq 137 ] || { echo "  step $step: was not killed"; return 1; }
        if whole_one $last && whole_one $previous; then
            both=$((both + 1))
            cmp -s $last $previous && { echo "  step $step: twice the same checkpoint"; return 1; }
            cp -r at other && : >other/checkpoint/last.safetensors
            { train_small other && [ "$(grep -c '^relearn: warning: other/checkpoint/last.safetensors: .*other/checkpoint/previous.safetensors' err)" -eq 1 ] &&
                same small other; } || { echo "  step $step: on from the previous one"; cat err; return 1; }
        fi
        { train_small at && same small at; } || { echo "  step $step: $(sed -n "${step}p" list)"; cat err; return 1; }
    done
    echo "  ${#steps[@]} steps, two checkpoints at $both"
    [ $both -gt 0 ]
}
check "the steps of a small training" steps_find small
check "killed before each step on a checkpoint, and its last checkpoint emptied" steps_kill
check "the steps where names cannot be exchanged" steps_find without KILL_NO_EXCHANGE=1
check "the same run" same small without
check "killed before each of them" steps_kill KILL_NO_EXCHANGE=1
