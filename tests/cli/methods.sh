#!/bin/bash
# Every method and every fusion through train, resume and evaluate, and what they refuse. Small enough to run
# under the sanitizers.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"

relearn synth --out media --train 24 --val 16 --test 8 --classes 4 --picture-size 16 --frames 1 --seconds 0.15 --seed 5
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
epochs: 3
batch: 8
threads: 1
encoder:
  width: 16
  blocks: [1]
relearn:
  period: 1
  times: 2
  lambda: 6
YAML

begin() { # RUN FLAG...
    local run=$1
    shift
    relearn train config.yaml --data store --out "$run" --quiet "$@"
    [ "$code" -eq 0 ]
}
# Stopped in the middle of the first epoch and of the last.
resumes() { # NAME FLAG...: the same bits as a run that ran through
    local name=$1 stop
    shift
    succeeds train config.yaml --data store --out "$name" --quiet "$@" || return 1
    for stop in 2 5; do
        begin "$name.resumed" --resume --stop-after "$stop" "$@"
        [ "$code" -eq 130 ] || return 1
    done
    succeeds train config.yaml --data store --out "$name.resumed" --quiet --resume "$@" &&
        cmp "$name/checkpoint/last.safetensors" "$name.resumed/checkpoint/last.safetensors" &&
        cmp "$name/checkpoint/best.safetensors" "$name.resumed/checkpoint/best.safetensors"
}
evaluates() { # RUN: all three measures of the test split
    local both
    succeeds evaluate "$1" --json --quiet && both=$(json accuracy) && [ -n "$both" ] &&
        json modalities audio accuracy >/dev/null && json modalities visual accuracy >/dev/null
}

check "ogm_ge with noise" resumes ogm_ge --set method=ogm_ge
check "ratio and coefficient of every step are in the log" eval '
    [ "$(grep -c "\"method\":{\"audio\":{\"ratio\":[0-9.]*,\"coefficient\":[0-9.]*},\"visual\":" ogm_ge/log.jsonl)" -eq 9 ]'
check "modulation ends" eval 'begin ogm_ends --set method=ogm_ge --set ogm_ge.modulation_starts=1 --set ogm_ge.modulation_ends=1 &&
    [ "$(grep -c "\"coefficient\"" ogm_ends/log.jsonl)" -eq 3 ]'
check "convolutions alone" eval 'begin ogm_conv --set method=ogm_ge --set ogm_ge.parameters=convolutions && differ ogm_ge ogm_conv'
check "mmpareto" resumes mmpareto --set method=mmpareto
check "cosine and share of every step are in the log" eval '
    [ "$(grep -c "\"method\":{\"audio\":{\"cosine\":[-0-9.]*,\"joint_share\":[0-9.]*},\"visual\":" mmpareto/log.jsonl)" -eq 9 ]'
check "it evaluates" evaluates mmpareto

for strategy in random shrink_perturb; do
    check "strategy $strategy" resumes "$strategy" --set method=relearn --set "relearn.strategy=$strategy" --set relearn.reset_momentum=true \
        --set relearn.reset_bn_stats=true
    check "it is in summary and log" eval '"$TOOLS/json_get" diagnoses 1 strategy <$strategy/summary.json | grep -qx $strategy &&
        [ "$(grep -c "\"strategy\":\"$strategy\"" $strategy/log.jsonl)" -eq 2 ]'
done
check "a list of epochs, and a lambda for each modality" eval 'begin listed --set "relearn.epochs=[0,2]" --set "relearn.lambda=[0,4]" &&
    [ "$("$TOOLS/json_get" diagnoses 0 epoch <listed/summary.json) $("$TOOLS/json_get" diagnoses 1 epoch <listed/summary.json)" = "1 3" ] &&
    prints "^epoch 3 +audio .*alpha 0\.0000$" && prints "^epoch 3 +visual .*alpha 0\.[0-9]*[1-9][0-9]*$"'
check "what was applied is printed where it is not alpha" eval 'begin hard --set relearn.strategy=hard --set relearn.times=1 && prints "alpha 0\.[0-9]*; applied 1\.0000$"'

for fusion in sum gated film; do
    check "fusion $fusion" begin "$fusion" --set "fusion=$fusion" --set method=relearn
    check "it evaluates, also with a modality masked" evaluates "$fusion"
done
check "a fusion resumes" resumes film_too --set fusion=film --set method=relearn
check "ogm_ge of the sum fusion" begin ogm_sum --set method=ogm_ge --set fusion=sum

check "ogm_ge refuses a fusion without partial logits" fails 2 'fusion film.*concat or sum' train config.yaml --data store --out x --set method=ogm_ge --set fusion=film
check "ogm_ge refuses a single modality" fails 2 'only one' train config.yaml --data store --out x --set method=ogm_ge --set 'modalities=[audio]'
check "the other modality may act: another model" eval '
    begin by_visual --set fusion=film --set fusion_by=visual --set method=relearn && grep -q "^fusion_by: visual$" by_visual/config.yaml &&
    differ by_visual film'
check "a modality that is none cannot act" fails 2 'fusion_by: .*visul.*visual' train config.yaml --data store --out x --set fusion=film --set fusion_by=visul
check "gated refuses a single modality" fails 2 'fusion gated joins two' train config.yaml --data store --out x --set fusion=gated --set 'modalities=[audio]'
check "an unknown fusion gets the nearest one" fails 2 'concat' train config.yaml --data store --out x --set fusion=conkat
check "a wrong option of a method that was not chosen" fails 2 'alpha' train config.yaml --data store --out x --set ogm_ge.alpha=-1
check "an unknown option of a method gets the nearest one" fails 2 'modulation_ends' train config.yaml --data store --out x --set ogm_ge.modulation_end=3
check "lambda for two modalities, of one" fails 2 'relearn\.lambda' train config.yaml --data store --out x --set 'modalities=[audio]' --set 'relearn.lambda=[1,2]'
check "an unknown strategy gets the nearest one" fails 2 'random' train config.yaml --data store --out x --set relearn.strategy=randon
check "nothing is left of a run that did not begin" test ! -e x
