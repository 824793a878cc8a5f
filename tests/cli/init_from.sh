#!/bin/bash
# train --init-from: weights of PyTorch's and of a run's own files, and what is refused before a run begins.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

relearn synth --out media --train 16 --val 8 --test 8 --classes 4 --picture-size 32 --frames 1 --seed 5
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
method: joint
epochs: 1
batch: 8
encoder:
  width: 16
  blocks: [1, 1]
YAML
weights=$here/golden/data/init_resnet.pt
train() { # OUT FLAG...
    local out=$1
    shift
    relearn train config.yaml --data store --out "$out" --json --quiet "$@"
    [ "$code" -eq 0 ]
}
start() { head -n 1 "$1/log.jsonl" | "$TOOLS/json_get" initialised "${@:2}"; }
# A tensor's bytes in a checkpoint, wherever it lies.
tensor() { "$TOOLS/tensor_get" "$1/checkpoint/last.safetensors" "$2"; }

check "plain" train plain
check "visual begins with PyTorch's weights" eval '
    train pretrained --init-from "$weights" --only visual &&
    [ "$(start pretrained 0 modality)" = visual ] && [ "$(start pretrained 0 prefix)" = state_dict.module.encoder. ]'
check "they are the initial ones, and audio is drawn as ever" eval '
    [ "$(tensor pretrained initial:audio.conv1.weight)" = "$(tensor plain initial:audio.conv1.weight)" ] &&
    [ "$(tensor pretrained initial:visual.conv1.weight)" != "$(tensor plain initial:visual.conv1.weight)" ]'
check "the run says where from, by an absolute path" grep -q "^  from: \"\?/.*init_resnet.pt" pretrained/config.yaml
check "the same by keys" eval '
    train keys --set init.from="$weights" --set init.only=[visual] && cmp -s pretrained/checkpoint/last.safetensors keys/checkpoint/last.safetensors'
check "a run's checkpoint, both encoders" eval '
    train second --init-from plain/checkpoint/best.safetensors && [ "$(start second 1 prefix)" = visual. ] &&
    [ "$(tensor second initial:visual.conv1.weight)" = "$(tensor plain visual.conv1.weight)" ] &&
    [ "$(tensor second initial:audio.layer2.0.bn2.bias)" = "$(tensor plain audio.layer2.0.bn2.bias)" ]'
check "resumed, it needs the file no more" eval '
    cp "$weights" gone.pt && ! train stopped --init-from "$PWD/gone.pt" --only visual --stop-after 1 && [ "$code" -eq 130 ] && rm gone.pt &&
    train stopped --init-from "$PWD/gone.pt" --only visual --resume &&
    [ "$(tensor stopped visual.conv1.weight)" = "$(tensor pretrained visual.conv1.weight)" ]'

# Running statistics are no parameters: re-initialisation leaves the loaded ones alone, and reset_bn_stats means 0 and 1.
pulled_back() { # OUT FLAG...
    train "$1" --init-from "$weights" --only visual --set method=relearn --set epochs=2 --set relearn.period=1 --set relearn.strategy=hard "${@:2}"
}
check "re-initialisation goes back to what was loaded" eval '
    pulled_back hard && [ "$(tensor hard visual.layer1.0.conv2.weight)" = "$(tensor pretrained initial:visual.layer1.0.conv2.weight)" ]'
check "... and reset_bn_stats forgets the loaded statistics: every layer has the same ones, as if drawn" eval '
    pulled_back reset --set relearn.reset_bn_stats=true &&
    for which in mean var; do
        [ "$(tensor reset visual.bn1.running_$which)" = "$(tensor reset visual.layer1.0.bn2.running_$which)" ] &&
        [ "$(tensor reset visual.bn1.running_$which)" = "$(tensor reset audio.bn1.running_$which)" ] &&
        [ "$(tensor hard visual.bn1.running_$which)" != "$(tensor reset visual.bn1.running_$which)" ] || return 1
    done && [ "$(tensor reset visual.bn1.running_mean)" != "$(tensor reset visual.bn1.running_var)" ]'

check "another number of channels" fails 1 'conv1.weight. is 16x3x7x7, the encoder of audio needs 16x1x7x7' \
    train config.yaml --data store --out x --init-from "$weights" --only audio
check "a shallower encoder" fails 1 'layer2.*which the encoder of visual has not.*encoder.blocks' \
    train config.yaml --data store --out x --init-from "$weights" --only visual --set 'encoder.blocks=[1]'
check "a deeper encoder" fails 1 'no .*layer1.1.conv1.weight.*encoder.blocks' \
    train config.yaml --data store --out x --init-from "$weights" --only visual --set 'encoder.blocks=[2, 1]'
check "a modality that is none" fails 2 'init.only.*visul.*visual' train config.yaml --data store --out x --init-from "$weights" --only visul
check "--only alone" fails 2 'init-from' train config.yaml --data store --out x --only visual
check "no such file" fails 1 'none.pt' train config.yaml --data store --out x --init-from none.pt
check "a file that is none" fails 1 'config.yaml' train config.yaml --data store --out x --init-from config.yaml --only visual
check "a pickled module" fails 1 'Sequential' train config.yaml --data store --out x --init-from "$here/golden/data/torch_module.pt" --only visual
check "nothing is left of a run that did not begin" test ! -e x
