#!/bin/bash
# No memory: the n-th allocation of the program or of FFmpeg fails, alone or with all that follow, for n spread over prepare,
# train, report and the commands that read a run. Each ends with one error that says so, or went on without and made or said
# the same; then the same command, with memory, makes what it always makes.
# Environment: RELEARN_FAILURES, how many a command and way (6, and the last 20), or "all", with one worker a processor.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"
failures=${RELEARN_FAILURES:-6}
library=$TOOLS/../preload/fail.so
export OMP_WAIT_POLICY=passive # threads that wait by spinning would keep the other worker from working

"$RELEARN" synth --quiet --out media --seed 5 --train 24 --val 8 --test 8 --classes 4 --picture-size 32 --frames 1 >/dev/null

# order WHAT NAME: the command line, in `order`; one thread each, so that allocations come in the same order.
order() {
    case $1 in
    prepare) order=("$RELEARN" prepare manifest --quiet --jobs 1 --from media --to "$2.store") ;;
    train) order=("$RELEARN" train --quiet --resume --data whole.store --out "$2" --set batch=8 --set epochs=2 --set encoder.width=16
        --set "encoder.blocks=[1]" --set relearn.period=1 --set relearn.times=1 --set threads=1 --set loader_threads=1
        --set kernels=fixed) ;;
    report) order=("$RELEARN" report whole --quiet --out "$2.html") ;;
    export) order=("$RELEARN" export whole --quiet --to "$2.pth") ;;
    evaluate | diagnose) order=("$RELEARN" "$1" whole --quiet --json) ;;
    predict) order=("$RELEARN" predict whole --quiet --json --audio media/audio/test_00001.wav --visual media/visual/test_00001) ;;
    compare | runs) order=("$RELEARN" "$1" whole --json) ;;
    verify) order=("$RELEARN" inspect whole --verify --quiet --json) ;;
    store) order=("$RELEARN" inspect whole.store --verify --quiet --json) ;;
    esac
}
finish() { # WHAT NAME
    order "$1" "$2"
    if [ "$1" = prepare ] && [ -e "$2.store" ]; then return 0; fi
    "${order[@]}" >"$2.out" 2>"$2.err" </dev/null
}
# Where SQLite puts what depends on when it was committed; what is in it, on nothing but the media.
same_store() { diff <("$RELEARN" inspect whole.store --json) <("$RELEARN" inspect "$1" --json); }
same_as_whole() { # WHAT NAME
    case $1 in
    prepare) same_store "$2.store" ;;
    train) same whole "$2" ;;
    report) cmp whole.html "$2.html" ;;
    export) cmp whole.pth "$2.pth" ;;
    *) cmp "$1.whole" "$2.out" ;;
    esac
}
# One error, which says that memory was missing. Of a single failure inside FFmpeg FFmpeg may say anything about the file.
fails_well() { # WAY NAME
    if [ "$code" -eq 99 ]; then return 0; fi # inside FFmpeg: see tests/preload/fail.c
    [ "$code" -eq 1 ] && [ "$(grep '^relearn: ' "$2.err" | grep -vc '^relearn: warning: ')" -eq 1 ] || return 1
    if [ -z "$1" ] && tail -n 1 "$2.err" | grep -q 'mend it\|could be decoded'; then return 0; fi
    tail -n 1 "$2.err" | grep -q memory
}
fail_at() { # N WAY WHAT NAME
    order "$3" "$4"
    env FAIL_MEMORY="$1" ${2:+FAIL_FOR_GOOD=1} LD_PRELOAD="$library" "${order[@]}" >"$4.out" 2>"$4.err" </dev/null
    code=$?
    if [ "$code" -ne 0 ]; then
        fails_well "$2" "$4" || return 1
        # A sample that cannot be read is remembered.
        if grep -q 'mend it' "$4.err"; then rm -f "$4.store.partial"; fi
        finish "$3" "$4" || return 1
    fi
    same_as_whole "$3" "$4"
}
# Every STEP-th allocation from FIRST to LAST.
fail_each() { # WHAT WAY LAST FIRST STEP
    local n name=try-$4 bad=0
    for ((n = $4; n <= $3; n += $5)); do
        if ! fail_at "$n" "$2" "$1" "$name"; then
            echo "  allocation $n of $1, code $code: $(tail -n 1 "$name.err")"
            bad=$((bad + 1))
        fi
        rm -rf "$name" "$name".*
    done
    [ $bad -eq 0 ]
}
fail_often() { # WHAT WAY COUNT
    local step=1 workers=1 k pids=() bad=0
    if [ "$failures" = all ]; then
        workers=$(nproc)
    elif [ "$3" -gt "$failures" ]; then
        step=$(($3 / failures))
    fi
    for ((k = 0; k < workers; k++)); do
        fail_each "$1" "$2" "$3" $((1 + step / 2 + k * step)) $((step * workers)) &
        pids+=($!)
    done
    for k in "${pids[@]}"; do wait "$k" || bad=1; done
    [ $bad -eq 0 ]
}

# What is composed when all is done: nothing behind it would notice that a part is missing.
fail_last() { # WHAT COUNT
    [ "$failures" = all ] || fail_each "$1" "" "$2" $(($2 > 20 ? $2 - 19 : 1)) 1
}

for what in prepare train report export evaluate diagnose predict compare runs verify store; do
    order $what whole
    FAIL_COUNT=counts LD_PRELOAD=$library "${order[@]}" >out 2>err </dev/null
    check "$what, with memory" [ $? -eq 0 ]
    read -r count _ <counts
    cp out $what.whole
    check "$what, one of $count allocations fails" fail_often $what "" "$count"
    check "$what, each of the last allocations fails" fail_last $what "$count"
    check "$what, all from one of $count allocations on fail" fail_often $what for-good "$count"
done
