#!/bin/bash
# What `relearn train` says while it trains: on terminals of several widths, on one that changes, on none.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
unset COLUMNS NO_COLOR
export TERM=xterm

relearn synth --out media --train 64 --val 40 --test 8 --classes 4 --picture-size 48 --frames 1 --seed 5
relearn prepare manifest --from media --to store
# An epoch of this takes longer than anybody here waits.
relearn synth --out long-media --train 3000 --val 8 --test 0 --classes 4 --picture-size 48 --frames 1 --seed 5
relearn prepare manifest --from long-media --to long.store
cat >config.yaml <<YAML
method: relearn
batch: 2
encoder:
  width: 48
  blocks: [2, 2]
relearn:
  period: 1
  times: 1
YAML
# shown SIZES FLAG...: the states of all lines in `screen`, those that stay in `kept`, those overwritten in `live`.
shown() {
    local sizes=$1
    shift
    rm -rf run
    "$TOOLS/in_terminal" "$sizes" "$RELEARN" train config.yaml --out run --set epochs=2 "$@" >screen 2>&1 </dev/null
    code=$?
    grep "^kept" screen >kept
    grep "^live" screen >live
    cp screen out
}
whole() { shown "$@" --data store && [ $code -eq 0 ]; }
# While an epoch runs, for some seconds; the sanitizers take their time until it does.
seconds=4
ldd "$RELEARN" | grep -q libasan && seconds=12
half() { # SIZES
    shown "$1,0@$seconds" --data long.store
    [ $code -eq 130 ]
}
# Lines about an epoch leave the last column free. (Ctrl-C is shown by the terminal itself.)
fits() {
    awk '($4 == "epoch" && $5 ~ /\// || $4 == "relearn:" && $5 == "epoch") && !/\^C/ { n++; if ($3 >= $2) { print; bad = 1 } }
        END { exit bad || n == 0 }' screen
}
wide='epoch 1/2 +[0-9]+%  \[#*\.*\]  [0-9]+/1500 steps  [0-9.]+ samples/s  [0-9:]+ left  loss [0-9.]+  accuracy [0-9.]+ %$'

check "trains for a while on a wide terminal" half 160
check "a live line: progress, loss, accuracy, samples a second, time left" grep -Eq "^live 160 [0-9]+ $wide" live
check "it is drawn again and again, on the same line" eval '[ "$(grep -c "epoch 1/2" live)" -ge 5 ]'
check "wide lines fit" fits
check "narrow: what matters fits" eval 'half 44 && fits && grep -Eq "^live 44 [0-9]+ epoch 1/2 +[0-9]+%  [0-9:]+ left  loss [0-9.]+$" live'
check "very narrow" eval 'half 20 && fits && grep -Eq "^live 20 [0-9]+ epoch 1/2 +[0-9]+%$" live'
check "a terminal that becomes narrow" eval 'half 120,50@$((seconds - 1)) && fits && grep -q "^live 120 .*accuracy" live && grep -Eq "^live 50 [0-9]+ epoch 1/2" live'
check "--quiet: no line" eval 'shown 120,0@$seconds --data long.store --quiet; [ $code -eq 130 ] && ! grep -q "epoch 1/2 .*%" screen'

check "trains to the end" whole 120
check "an epoch ends in a line that stays, with each modality" eval '
    [ "$(grep -Ec "^kept .* relearn: epoch [12]/2  loss [0-9.]+  train [0-9.]+ %  validation [0-9.]+ %  audio [0-9.]+ %  visual [0-9.]+ %(  best)?(  [0-9.]+ s)?(  [0-9:]+ left)?$" kept)" -eq 2 ]'
check "a re-initialisation is said" grep -Eq "relearn: epoch 2/2  re-initialised  audio by [0-9.]+ \(gap [0-9.]+\)  visual by [0-9.]+ \(gap" kept
check "what stays agrees with the log" eval '
    loss=$(grep "\"event\":\"epoch\",\"epoch\":2," run/log.jsonl | "$TOOLS/json_get" train loss) &&
    grep -q "epoch 2/2  loss $(printf %.4f "$loss")  " kept'
check "lines that stay fit a narrow terminal" eval 'whole 40 && fits && grep -Eq "relearn: epoch 1/2  loss [0-9.]+$" kept'
check "--quiet: results alone" eval 'whole 120 --quiet && [ ! -s live ] && ! grep -q "relearn:" kept && grep -q "best epoch" kept'
check "--json: the document, and the lines beside it" eval 'whole 120 --json && grep -Eq "^kept [0-9]+ [0-9]+ \{\"" kept && grep -q "epoch 1/2  loss" kept'
check "NO_COLOR, TERM=dumb: no escape codes" eval '
    NO_COLOR=1 TERM=dumb script -qec "\"$RELEARN\" train config.yaml --data store --out dumb --set epochs=1" /dev/null </dev/null >raw 2>&1;
    grep -q "epoch 1/1  loss" raw && ! grep -q "$(printf "\033")" raw && ! grep -q "left  loss" raw'
piped() {
    rm -rf run
    "$RELEARN" train config.yaml --data store --out run --set epochs=1 >out 2>err </dev/null &&
        ! grep -q "$(printf '[\033\r]')" err && [ "$(grep -c "^relearn: epoch 1/1  loss .* s  0:00 left$" err)" -eq 1 ]
}
check "no terminal: plain lines" piped
