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
check "evaluate as text" eval 'succeeds evaluate run --quiet && prints "^  visual only +[0-9.]+ +[0-9.]+ "'
check "evaluate as text: measures, classes, confusion" eval '
    prints "^  +accuracy % +macro F1 +weighted F1 +mAP +ECE +loss$" && prints "^  class +precision +recall +F1 +AP +F1 audio +F1 visual +samples$" &&
    prints "^confusion .rows: true class"'
check "summary holds what evaluate measures, for all and per modality" eval '
    succeeds evaluate run --json --quiet && cp out measured &&
    for key in map ece weighted_f1 "confusion 1 2" "classes 3 average_precision" "modalities audio confusion 0 0" "modalities visual classes 0 f1"; do
        [ "$("$TOOLS/json_get" test $key <summary)" = "$("$TOOLS/json_get" $key <measured)" ] || return 1
    done'
relearn train config.yaml --data store --out alone --quiet --set "modalities=[audio]" --set method=joint --set probe=true
check "summary holds the probe, which evaluate finds again" eval '
    succeeds evaluate alone --probe --json --quiet && json_is "$("$TOOLS/json_get" test modalities audio probe accuracy <alone/summary.json)" modalities audio probe accuracy'
check "probe as text" eval 'succeeds evaluate run --probe --quiet && prints "^  visual probe +[0-9.]+ "'
check "one modality alone: one row" eval 'succeeds evaluate alone --quiet && prints "^  audio +[0-9.]+ " && ! prints only'
check "one modality alone: diagnosed" eval 'succeeds diagnose alone --json --quiet && json_is audio modalities 0 name && ! json modalities 1 >/dev/null 2>&1'
check "one modality alone: compared" eval 'succeeds compare alone run && prints "^  joint modalities=audio"'
check "diagnose of the run" eval 'succeeds diagnose run --json --quiet && json_is visual modalities 1 name'
check "diagnose of the run: what it was and what it found while it trained" eval '
    json_is run run && json_is best checkpoint && json_is 2 history 0 epoch && json_is visual history 0 modalities 1 name && ! json history 1 >/dev/null 2>&1 &&
    [ "$(json history 0)" = "$("$TOOLS/json_get" diagnoses 0 <summary)" ]'
check "diagnose of the run as text" eval 'succeeds diagnose run --quiet && prints "^run, checkpoint best: after epoch [12]$" && prints "^  visual +val +" &&
    prints "^while it trained, before each re-learning$" && prints "^  2 +audio +[0-9.]+ +[0-9.]+ +"'
check "diagnose of every checkpoint, in order" eval 'succeeds diagnose run --checkpoint all --json --quiet && json_is 2 checkpoints 1 epoch &&
    json_is last checkpoints 1 checkpoint && cp out all && succeeds diagnose run --checkpoint last --json --quiet &&
    [ "$(json modalities)" = "$("$TOOLS/json_get" checkpoints 1 modalities <all)" ] && [ "$(json epoch)" = 2 ]'
check "diagnose --only of a run" eval 'succeeds diagnose run --only visual --json --quiet && json_is visual modalities 0 name && ! json modalities 1 >/dev/null 2>&1'
check "the first repeat is what training found" eval '
    succeeds train run/config.yaml --out same --quiet --json --set relearn.lambda=0 --set select=last && succeeds diagnose same --checkpoint last --json --quiet &&
    [ "$(json modalities 1 each 0 purity_val)" = "$("$TOOLS/json_get" diagnoses 0 modalities 1 purity_val <same/summary.json)" ]'
relearn train config.yaml --data store --out broken --quiet --set batch=1 --set optimizer.lr=1000 --set optimizer.weight_decay=1
check "numbers that are none end a run: step, layer and samples named" eval '
    [ "$code" -eq 1 ] && grep -Eq "^relearn: epoch [1-9], step [0-9]+: (the gradient of|after the optimiser.s step a weight of|a feature of the encoder) (audio|visual|head)[^ ]* is not a finite number, with the samples train_[0-9]+.*lower optimizer.lr" err'
check "the resolved configuration trains the same" eval '
    succeeds train run/config.yaml --out again --quiet --json && cmp -s run/checkpoint/last.safetensors again/checkpoint/last.safetensors'

# Kernels: --kernels is the configuration's key; what was chosen stands in the run.
export XDG_CACHE_HOME=$TEST_TMP/cache
kernels() { "$TOOLS/json_get" kernels <"$1/kernels.json" | sed 's/},/},\n/g'; }
check "--kernels fixed measures nothing" eval '
    succeeds train config.yaml --data store --out fixed --kernels fixed --set kernels=auto --set epochs=1 --quiet --json &&
    [ ! -e cache ] && grep -q "^kernels: fixed$" fixed/config.yaml'
check "the run says which kernels it used" eval 'kernels fixed | grep -q "kernel 3 stride 1.*\"forward\".*\"backward-weights\".*\"folded"'
check "--kernels auto measures" eval '
    succeeds train config.yaml --data store --out auto --kernels auto --set epochs=1 --quiet --json && [ -s cache/relearn/kernels.json ]'
check "--kernels is checked" fails 2 '--kernels: .*"aut".*"auto"' train config.yaml --data store --out x --kernels aut
check "a run goes on with its kernels, and measures nothing" eval '
    cp auto/kernels.json before && rm -r cache &&
    succeeds train config.yaml --data store --out auto --kernels auto --set epochs=2 --quiet --json --resume &&
    cmp before auto/kernels.json && [ ! -e cache ]'
sed -i 's/"forward": "[a-z]*"/"forward": "of another machine"/' auto/kernels.json
check "a kernel that is not here is a warning" eval '
    relearn train config.yaml --data store --out auto --kernels auto --set epochs=3 --quiet --json --resume
    [ "$code" -eq 0 ] && [ "$(grep -c "^relearn: warning: auto/kernels.json: .*of another machine.*chosen anew" err)" -eq 1 ] &&
    ! grep -q another auto/kernels.json'
rm auto/kernels.json
check "a missing kernels.json is a warning" eval '
    relearn train config.yaml --data store --out auto --kernels auto --set epochs=4 --quiet --json --resume
    [ "$code" -eq 0 ] && grep -q "^relearn: warning: auto: has no kernels.json" err'
echo '{"machine": {}, "kernels": [' >auto/kernels.json
check "a damaged kernels.json is named, by train" fails 1 'auto/kernels.json' train config.yaml --data store --out auto \
    --kernels auto --set epochs=5 --quiet --resume
check "a damaged kernels.json is named, by evaluate" fails 1 'auto/kernels.json' evaluate auto --quiet

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
