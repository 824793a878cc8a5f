#!/bin/bash
# Two at once: on one store, on one run folder, on one store that is being prepared; and a store that is replaced while it is read.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"

make_media() { "$RELEARN" synth --quiet --out "$1" --seed "$2" --train 24 --val 8 --test 8 --classes 4 --picture-size 32 --frames 1 >/dev/null; }
make_media media 5 && make_media other 6
"$RELEARN" prepare manifest --quiet --from media --to store >/dev/null
tiny=(train --quiet --data store --set batch=8 --set encoder.width=16 --set "encoder.blocks=[1]" --set relearn.period=1
    --set relearn.times=1 --set kernels=fixed --set threads=1)
tiny() { # OUT FLAG...: in place of this shell
    local out=$1
    shift
    exec "$RELEARN" "${tiny[@]}" --out "$out" "$@" >"$out.out" 2>"$out.err" </dev/null
}
until_begun() { # RUN: its first checkpoint
    local tries=0
    while [ ! -e "$1/checkpoint/last.safetensors" ] && [ $((tries += 1)) -lt 600 ]; do sleep 0.05; done
}

(tiny alone1 --set epochs=4 --set seed=1)
(tiny alone2 --set epochs=4 --set seed=2)
both() {
    (tiny both1 --set epochs=4 --set seed=1) &
    local first=$!
    (tiny both2 --set epochs=4 --set seed=2) && wait $first && same alone1 both1 && same alone2 both2
}
check "two trainings read one store: each as alone" both

second() {
    (tiny long --set epochs=3000) &
    local pid=$!
    until_begun long
    fails 1 "long: process [0-9]+ on .* trains it since .*kill -INT" "${tiny[@]}" --set epochs=3000 --out long --resume
    local refused=$?
    kill -INT $pid
    wait $pid
    [ $? -eq 130 ] && [ $refused -eq 0 ]
}
set -m # or the shell would have Ctrl-C ignored
check "a second process on one run folder is refused, the first goes on" second
set +m

# What a training is writing at this moment is no damage.
verified() {
    (tiny busy --set epochs=60) &
    local pid=$! times=0 wrong=0
    until_begun busy
    while kill -0 $pid 2>/dev/null; do
        succeeds inspect busy --verify || { cat err; wrong=$((wrong + 1)); }
        times=$((times + 1))
    done
    wait $pid && [ $wrong -eq 0 ] && echo "  verified $times times" && [ $times -gt 0 ] && succeeds inspect busy --verify
}
check "a run is verified while it is trained" verified

# The first is stopped in the middle.
preparing() {
    "$RELEARN" synth --quiet --out many --seed 5 --train 600 --val 0 --test 0 --classes 4 --picture-size 32 --frames 1 >/dev/null
    "$RELEARN" prepare manifest --quiet --from many --to shared --jobs 1 >first.out 2>first.err </dev/null &
    local pid=$! tries=0
    while [ ! -s shared.partial ] && [ $((tries += 1)) -lt 6000 ]; do sleep 0.005; done
    kill -STOP $pid
    fails 1 "shared: in use by another process" prepare manifest --quiet --from many --to shared
    local refused=$?
    kill -CONT $pid
    wait $pid && [ $refused -eq 0 ] && succeeds inspect --verify shared
}
check "a second preparation of one store is refused" preparing

# The readers of a run keep the file that they opened, and a connection that comes later looks whether it is that one.
replaced() { # MEDIA RUN: the store is replaced by one of these while the run reads it; its exit code
    (tiny "$2" --set epochs=400) &
    local pid=$!
    until_begun "$2"
    "$RELEARN" prepare manifest --quiet --force --from "$1" --to store >/dev/null || return 99
    wait $pid
}
again() { replaced media kept && [ ! -s kept.err ] && (tiny whole --set epochs=400) && same whole kept; }
check "a store is prepared again while a run reads it: the same" again
another() {
    replaced other moved
    local code=$?
    if [ $code -eq 0 ]; then same whole moved; else
        [ $code -eq 1 ] && grep -q "^relearn: .*store: another store was put in its place while it was being read (begin again)" moved.err
    fi
}
check "another store is put in its place: the run's own to the end, or one error, never a mixture" another
check "going on with another store is refused" eval '(tiny stopped --set epochs=3 --stop-after 4)
    "$RELEARN" prepare manifest --quiet --force --from media --to store >/dev/null && fails 1 "store" "${tiny[@]}" --set epochs=3 --out stopped --resume'
