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
# A shell without job control starts background commands with Ctrl-C ignored.
set -m
check "Ctrl-C stops cleanly with 130" stopped
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
