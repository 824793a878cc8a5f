#!/bin/bash
# Ctrl-C, and the progress bar on a terminal, on a pipe and in the quiet.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

# Long enough for every test here; each is stopped before its end.
long=(synth --train 200000 --val 0 --test 0 --jobs 1)

stopped() { # one Ctrl-C: exit code 130, one line, nothing left behind
    "$RELEARN" "${long[@]}" --out stopped >out 2>err </dev/null &
    local pid=$!
    sleep 1
    kill -INT $pid
    wait $pid
    code=$?
    [ "$code" -eq 130 ] && [ ! -s out ] && [ "$(grep -c '^relearn: ' err)" -eq 1 ] &&
        [ -z "$(find . -maxdepth 1 -name '*stopped*')" ]
}
# A run whose first epoch, and first checkpoint, would take minutes: a checkpoint is there only if a signal made it.
"$RELEARN" synth --quiet --out media --seed 3 --train 2000 --val 8 --test 8 --classes 4 --picture-size 16 --frames 1 >/dev/null
"$RELEARN" prepare manifest --quiet --from media --to store >/dev/null
training=("$RELEARN" train --data store --set batch=1 --set inputs.visual.height=128 --set inputs.visual.width=128
    --set encoder.width=16 --set "encoder.blocks=[1,1]" --set method=joint --quiet)
# Lines of the log reach the file now and then; what is written right before the first step does at once.
wait_for_step() { # RUN
    local tries=0
    while [ ! -e "$1/kernels.json" ] && [ $((tries += 1)) -lt 400 ]; do sleep 0.05; done
    sleep 0.5
    [ -e "$1/kernels.json" ] && [ ! -e "$1/checkpoint/last.safetensors" ]
}
# stop RUN SIGNAL...: sends each, 0.1 s apart, after the first step.
stop() {
    local run=$1 pid
    shift
    "${training[@]}" --out "$run" >out 2>err </dev/null &
    pid=$!
    wait_for_step "$run"
    for signal; do
        kill "-$signal" $pid
        sleep 0.1
    done
    wait $pid
    code=$?
}
# saved RUN: a checkpoint with which it goes on.
saved() { [ -e "$1/checkpoint/last.safetensors" ] && { "${training[@]}" --out "$1" --resume --stop-after 1 >/dev/null 2>&1; [ $? -eq 130 ]; }; }
told() { [ "$code" -eq 130 ] && [ "$(grep -c '^relearn: ' err)" -eq 1 ] && grep -q 'go on with --resume' err; }
# A shell without job control starts background commands with Ctrl-C ignored.
set -m
check "Ctrl-C stops cleanly with 130" stopped
for signal in INT TERM HUP; do
    check "SIG$signal while training: one line, a checkpoint, 130" eval 'stop run$signal $signal; told && saved run$signal'
done
check "a terminal that goes away may say so twice" eval 'stop twice HUP HUP; told && saved twice'
# The second signal comes before the step under way can end, whatever the machine does: that takes many seconds.
at_once() {
    RELEARN_ISA=baseline ONEDNN_MAX_CPU_ISA=SSE41 "${training[@]}" --set batch=32 --set encoder.width=64 --out hurry >out 2>err </dev/null &
    local pid=$!
    wait_for_step hurry
    kill -INT $pid
    sleep 0.3
    kill -TERM $pid
    wait $pid
    [ $? -eq 130 ] && [ ! -s err ] && [ ! -s out ] && [ ! -e hurry/checkpoint/last.safetensors ]
}
check "two signals: at once, nothing saved" at_once
on_nohup() {
    nohup "${training[@]}" --out nohup.run >out 2>err </dev/null &
    local pid=$!
    wait_for_step nohup.run
    kill -HUP $pid
    # Steps that follow: the log reaches the file within a second or so.
    local before tries=0
    before=$(grep -c '"event":"step"' nohup.run/log.jsonl)
    while [ "$(grep -c '"event":"step"' nohup.run/log.jsonl)" -le $((before + 3)) ] && [ $((tries += 1)) -lt 400 ]; do sleep 0.05; done
    kill -TERM $pid
    wait $pid
    [ $? -eq 130 ] && [ $tries -lt 400 ]
}
check "nohup is respected" on_nohup
set +m

if ! command -v script >/dev/null || ! script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    skip "progress bar on a terminal" "no script(1) to make a terminal"
    exit
fi

# on_terminal SECONDS COMMAND...: stops it by Ctrl-C after so long; what the terminal got is in `screen`.
on_terminal() {
    local seconds=$1
    shift
    COLUMNS=72 TERM=xterm timeout -s KILL 60 script -qec "timeout --foreground -s INT $seconds $*" /dev/null \
        </dev/null >screen 2>&1
}
rm -rf a b c d
check "bar with per cent, rate and time left on a terminal" eval '
    on_terminal 4 "$RELEARN" "${long[@]}" --out a
    tr "\r" "\n" <screen | grep -Eq "synth +[0-9]+%.*[0-9]/s.* left"'
check "bar fits the terminal" eval 'tr "\r" "\n" <screen | grep "synth " | sed "s/\x1b\[[0-9;]*[A-Za-z]//g" | awk "length(\$0) > 72 { exit 1 }"'
check "bar is taken away at the end" eval '[ "$(tr "\r" "\n" <screen | grep -c "synth .* left")" -ge 2 ] && tr "\r" "\n" <screen | tail -n 1 | grep -qv " left"'
check "colours on a terminal" eval 'grep -q "$(printf "\033\[31m")" screen'
check "NO_COLOR: none" eval 'NO_COLOR=1 on_terminal 1 "$RELEARN" "${long[@]}" --out b; ! grep -q "$(printf "\033\[3")" screen'
check "no bar in the first two seconds" eval '! grep -q " left" screen'
check "--quiet: no bar" eval 'on_terminal 4 "$RELEARN" "${long[@]}" --quiet --out c; ! grep -q " left" screen'
check "no bar and no escape codes on a pipe" eval '
    timeout -s INT 4 "$RELEARN" "${long[@]}" --out d 2>&1 </dev/null | cat >screen; ! grep -q "$(printf "\033")" screen && ! grep -q " left" screen'

# The terminal is closed under a run (its window, or the connection): the kernel says SIGHUP, and writing to it fails from then on.
terminal_lost() {
    local line tries=0
    printf -v line '%q ' exec "${training[@]}" --out lost
    script -qec "echo \$\$ >lost.pid; $line" /dev/null >/dev/null 2>&1 </dev/null &
    local terminal=$!
    wait_for_step lost || return 1
    kill -KILL $terminal # its end of the terminal closes
    wait $terminal 2>/dev/null
    while kill -0 "$(cat lost.pid)" 2>/dev/null && [ $((tries += 1)) -lt 200 ]; do sleep 0.05; done
    [ $tries -lt 200 ] && saved lost
}
check "a lost terminal: a checkpoint, and an end" terminal_lost
