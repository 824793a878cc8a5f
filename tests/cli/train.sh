#!/bin/bash
# A tiny training run through train, evaluate and diagnose, and what train refuses. Small enough to run
# under the sanitizers.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

relearn synth --out media --train 24 --val 16 --test 8 --classes 4 --picture-size 32 --frames 1 --seed 5
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
method: relearn
epochs: 2
batch: 8
encoder:
  width: 16
  blocks: [1]
relearn:
  period: 1
  times: 1
YAML

check "trains" succeeds train config.yaml --data store --out run --json --quiet
check "summary holds the test split, by modality" eval 'json test modalities audio accuracy >/dev/null && json test modalities visual accuracy >/dev/null'
check "summary holds the one diagnosis, of both modalities" eval '
    json_is audio diagnoses 0 modalities 0 name && json_is visual diagnoses 0 modalities 1 name && ! json diagnoses 1 >/dev/null 2>&1'
cp out summary
check "a run folder is complete" eval '[ -s run/config.yaml ] && [ -s run/log.jsonl ] && [ -s run/checkpoint/last.safetensors ] && [ -s run/summary.json ]'
check "every line of the log is a JSON document" eval 'while IFS= read -r l; do printf "%s" "$l" | "$TOOLS/json_get" || exit 1; done <run/log.jsonl'
check "evaluate finds the accuracy of the summary" eval '
    a=$("$TOOLS/json_get" test accuracy <summary); succeeds evaluate run --json --quiet && json_is "$a" accuracy'
check "evaluate as text" eval 'succeeds evaluate run --quiet && prints "^visual +[0-9.]+ +[0-9.]+ "'
check "diagnose of the run" eval 'succeeds diagnose run --json --quiet && json_is visual modalities 1 name'
check "the resolved configuration trains the same" eval '
    succeeds train run/config.yaml --out again --quiet --json && cmp -s run/checkpoint/last.safetensors again/checkpoint/last.safetensors'

check "a run is not overwritten" fails 2 'run' train config.yaml --data store --out run
check "unknown key in --set, near one" fails 2 'epochz.*epochs' train config.yaml --data store --out x --set epochz=3
sed 's/^epochs/epochz/' config.yaml >wrong.yaml
check "unknown key in the file, near one" fails 2 'wrong\.yaml:2: .*epochz.*epochs' train wrong.yaml --data store --out x
check "unknown method, near one" fails 2 'relern.*relearn' train config.yaml --data store --out x --set method=relern
check "value out of range" fails 2 'batch' train config.yaml --data store --out x --set batch=0
check "missing store" fails 1 'none' train config.yaml --data none --out x
check "missing configuration" fails 1 'none\.yaml' train none.yaml --data store --out x
relearn synth --out plain --train 16 --val 0 --test 8 --classes 4 --picture-size 32 --frames 1
relearn prepare manifest --from plain --to plain.store
check "relearn without a validation split names --val-fraction" fails 1 'val-fraction' train config.yaml --data plain.store --out x
check "nothing is left of a run that did not begin" test ! -e x
