#!/bin/bash
# Optimisers and schedules in a run: they change what is learnt, and a run that was stopped goes on bit for bit.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"

relearn synth --out media --train 32 --val 8 --test 8 --classes 4 --picture-size 32 --frames 1 --seed 5
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
method: relearn
modalities: [visual]
epochs: 3
batch: 8
encoder:
  width: 16
  blocks: [1]
relearn:
  period: 1
  times: 1
YAML
train() { # OUT FLAG...
    local out=$1
    shift
    relearn train config.yaml --data store --out "$out" --quiet --json "$@"
    [ "$code" -eq 0 ] || [ "$code" -eq 130 ]
}
same() { cmp -s "$1/checkpoint/last.safetensors" "$2/checkpoint/last.safetensors" && cmp -s "$1/checkpoint/best.safetensors" "$2/checkpoint/best.safetensors"; }
rates() { # of every epoch's last step
    grep '"event": *"epoch"' "$1/log.jsonl" | while IFS= read -r line; do
        printf '%.6g ' "$(printf '%s' "$line" | "$TOOLS/json_get" learning_rate)"
    done
}

check "sgd is the default" eval 'train plain && train named --set optimizer.name=sgd && same plain named'
for kind in adam adamw; do
    all=(--set "optimizer.name=$kind" --set optimizer.lr=0.001 --set optimizer.weight_decay=0.1 --set schedule.kind=cosine
        --set schedule.warmup_epochs=1 --set clip_norm=0.5 --set label_smoothing=0.1)
    check "$kind trains" eval 'train $kind "${all[@]}" && differ plain $kind'
    # In the warm-up, in the middle of an epoch, and after the re-initialisation.
    check "$kind, stopped twice and resumed, has the same bits" eval '
        train $kind.stopped "${all[@]}" --stop-after 2 && [ "$code" -eq 130 ] &&
        train $kind.stopped "${all[@]}" --resume --stop-after 7 && [ "$code" -eq 130 ] &&
        train $kind.stopped "${all[@]}" --resume && [ "$code" -eq 0 ] && same $kind $kind.stopped'
done
check "adam and adamw differ" differ adam adamw
check "cosine behind a warm-up: the rates of the log" eval '[ "$(rates adam)" = "0.000775 0.001 0.0005 " ]'
check "step: the rates of the log" eval '
    train step --set schedule.kind=step --set schedule.step_epochs=2 --set schedule.gamma=0.5 --set optimizer.lr=0.004 &&
    [ "$(rates step)" = "0.004 0.004 0.002 " ]'
check "gradients are clipped, and their norm logged" eval '
    train clipped --set clip_norm=0.01 && differ plain clipped && grep -q gradient_norm clipped/log.jsonl && ! grep -q gradient_norm plain/log.jsonl'
check "a limit that nothing reaches changes nothing" eval 'train loose --set clip_norm=1e9 && ! differ plain loose && cmp -s plain/checkpoint/best.safetensors loose/checkpoint/best.safetensors'
check "label smoothing changes the training loss alone" eval 'train smooth --set label_smoothing=0.2 && differ plain smooth'
check "no smoothing is none" eval 'train rough --set label_smoothing=0 && same plain rough'
check "a constant rate: more epochs may be asked for on resume" eval 'train plain --set epochs=4 --resume && [ "$code" -eq 0 ]'
check "a cosine spans the epochs: their number is kept" fails 2 'epochs: 3.*epochs: 4' train config.yaml --data store --out adam \
    --quiet --json "${all[@]}" --set optimizer.name=adam --set epochs=4 --resume
check "an optimiser that is none" fails 2 'optimizer.name.*adagrad' train config.yaml --data store --out x --set optimizer.name=adagrad
check "a warm-up as long as the run" fails 2 'schedule.warmup_epochs: 3' train config.yaml --data store --out x --set schedule.warmup_epochs=3
check "smoothing beyond 1" fails 2 'label_smoothing' train config.yaml --data store --out x --set label_smoothing=1.5
check "a decay of the moments that never forgets" fails 2 'beta2' train config.yaml --data store --out x --set optimizer.beta2=1
