#!/bin/bash
# train --seeds: a run per seed, resumed as a whole, and what they have in common last.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

relearn synth --out media --train 16 --val 8 --test 8 --classes 4 --picture-size 32 --frames 1 --seed 5
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
modalities: [visual]
epochs: 2
batch: 8
encoder:
  width: 16
  blocks: [1]
relearn:
  period: 1
YAML
train() { relearn train config.yaml --data store --quiet "$@"; }
same() { cmp -s "$1/checkpoint/last.safetensors" "$2/checkpoint/last.safetensors"; }

check "a run per seed" eval '
    train --out series --seeds 0-1,7 && [ "$code" -eq 0 ] && [ ! -s err ] && ls series | tr "\n" " " | grep -qx "seed-0 seed-1 seed-7 "'
check "one row of three runs" prints '\b3\b.*%?.*\+-'
check "each is the run that --set seed makes" eval 'train --out alone --set seed=7 && same series/seed-7 alone'
check "seeds differ" eval '! same series/seed-0 series/seed-1'
check "--json: one group" eval '
    train --out series --seeds 0-1,7 --resume --json && json groups 0 >/dev/null && ! json groups 1 >/dev/null 2>&1'
check "finished runs are kept" eval '
    cp -p series/seed-0/checkpoint/last.safetensors before && train --out series --seeds 0-1,7 --resume && [ "$code" -eq 0 ] &&
    [ ! before -ot series/seed-0/checkpoint/last.safetensors ]'
check "interrupted, the whole ends with 130" eval '
    train --out broken --seeds 0,1,7 --stop-after 3 && [ "$code" -eq 130 ] && [ ! -e broken/seed-1 ] && grep -q "seed 0: " err'
check "resumed, finished, interrupted and missing ones come together" eval '
    train --out broken --seeds 0,1,7 --resume --stop-after 2; [ "$code" -eq 130 ] && [ -e broken/seed-0/summary.json ] && [ ! -e broken/seed-7 ] &&
    train --out broken --seeds 0,1,7 --resume && [ "$code" -eq 0 ] &&
    same broken/seed-0 series/seed-0 && same broken/seed-1 series/seed-1 && same broken/seed-7 series/seed-7'
# Killed outright while the second seed trains, wherever in it that is.
kill_series() {
    "$RELEARN" train config.yaml --data store --quiet --out killed --seeds 0,1,7 --set epochs=40 >/dev/null 2>&1 </dev/null &
    local process=$!
    while [ ! -e killed/seed-1/log.jsonl ] && kill -0 "$process" 2>/dev/null; do sleep 0.02; done
    kill -9 "$process"
    wait "$process" 2>/dev/null
    [ $? -eq 137 ] && [ -e killed/seed-0/summary.json ] && [ ! -e killed/seed-1/summary.json ] && [ ! -e killed/seed-7 ]
}
check "killed" kill_series
check "resumed after a kill, it ends as a series that ran through" eval '
    train --out killed --seeds 0,1,7 --set epochs=40 --resume && [ "$code" -eq 0 ] && cp out after &&
    train --out through --seeds 0,1,7 --set epochs=40 && cmp out after &&
    same killed/seed-0 through/seed-0 && same killed/seed-1 through/seed-1 && same killed/seed-7 through/seed-7'
check "without --resume nothing is overwritten, and nothing begins" eval '
    fails 2 "broken/seed-7: already holds a run" train config.yaml --data store --quiet --out broken --seeds 9,7 && [ ! -e broken/seed-9 ]'
check "another configuration is not mixed in" fails 2 'seed 0: .*optimizer|seed 0: .*lr' \
    train config.yaml --data store --quiet --out broken --seeds 0 --resume --set optimizer.lr=0.5
check "not into a single run" fails 2 'alone: holds a single run' train config.yaml --data store --quiet --out alone --seeds 0-1
for list in "" a 3- 3-1 1,,2 1,1 0-1,1 4294967296 -1 0-99999; do
    check "--seeds '$list'" fails 2 'seeds' train config.yaml --data store --quiet --out x --seeds="$list"
done
check "nothing is left of a series that did not begin" test ! -e x
