#!/bin/bash
# relearn export and import: names, the way out and back, going on from imported weights, what is refused. Logits are compared
# with PyTorch's in tests/oracle/check_exchange.py.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

relearn synth --out media --train 16 --val 8 --test 8 --classes 4 --picture-size 32 --frames 1 --seed 5
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
method: joint
epochs: 1
batch: 8
kernels: fixed
encoder:
  width: 16
  blocks: [1, 1]
YAML
relearn train config.yaml --data store --out run --quiet
tensor() { "$TOOLS/tensor_get" "$1" "$2"; }
b=checkpoint/best.safetensors l=checkpoint/last.safetensors
# shellcheck disable=SC2034  # used in eval
best=run/$b last=run/$l
# is FILE THEIRS CHECKPOINT OURS: the same bytes under another name.
is() { [ "$(tensor "$1" "$2")" = "$(tensor "$3" "$4")" ]; }

check "exports the best weights" eval '
    succeeds export run --to m.safetensors && prints "^m.safetensors: [0-9]+ tensors, [0-9]+ parameters$" &&
    is m.safetensors visual_net.layer1.0.conv1.weight $best visual.layer1.0.conv1.weight &&
    is m.safetensors audio_net.bn1.running_var $best audio.bn1.running_var &&
    is m.safetensors fusion_module.fc_out.bias $best head.bias'
check "--json" eval 'succeeds export run --to m.pth --json && json_is best checkpoint && json_is audio modalities 0 && json_is visual modalities 1'
check "the last ones" eval 'succeeds export run --to l.safetensors --checkpoint last && is l.safetensors audio_net.conv1.weight $last audio.conv1.weight'
check "the initial ones" eval '
    succeeds export run --to i.safetensors --checkpoint initial && is i.safetensors audio_net.conv1.weight $last initial:audio.conv1.weight &&
    ! tensor i.safetensors audio_net.bn1.running_mean 2>err'
check "the store is not needed" eval 'mv store away; succeeds export run --to s.safetensors; mv away store; cmp s.safetensors m.safetensors'
for fusion in sum gated film; do
    check "names of $fusion" eval '
        relearn train config.yaml --data store --out $fusion --quiet --set fusion=$fusion && succeeds export $fusion --to f.safetensors &&
        case $fusion in
        sum) is f.safetensors fusion_module.fc_y.weight sum/$b head.visual.weight ;;
        gated) is f.safetensors fusion_module.fc_x.weight gated/$b head.fc_x.weight ;;
        film) is f.safetensors fusion_module.fc.weight film/$b head.fc.weight ;;
        esac'
done

check "heads beside" eval '
    relearn train config.yaml --data store --out aux --quiet --set method=mmpareto && succeeds export aux --to aux.safetensors &&
    is aux.safetensors auxiliary.audio.weight aux/$b auxiliary.audio.weight'
check "imports them" eval '
    succeeds import m.pth config.yaml --data store --out in --json && json_is m.pth initialised 0 weights && is in/$b audio.layer2.0.bn2.bias $best audio.layer2.0.bn2.bias &&
    is in/$l initial:audio.conv1.weight $best audio.conv1.weight'
check "evaluates as before" eval '
    relearn evaluate run --json && cp out before && relearn evaluate in --json && [ "$(json loss)" = "$("$TOOLS/json_get" loss <before)" ]'
check "can be diagnosed" eval 'relearn diagnose in --json && json_is audio modalities 0 name'
check "trains on" eval '
    relearn train config.yaml --data store --out in --resume --quiet && [ "$code" -eq 0 ] && [ -e in/summary.json ] &&
    is in/$l initial:audio.conv1.weight $best audio.conv1.weight &&
    ! is in/$l audio.conv1.weight $best audio.conv1.weight'
check "with the weights that training began with" eval '
    succeeds import m.safetensors config.yaml --data store --out in2 --initial i.safetensors &&
    is in2/$l initial:audio.conv1.weight $last initial:audio.conv1.weight &&
    is in2/$l audio.conv1.weight $best audio.conv1.weight'
check "a checkpoint of our own" eval '
    succeeds import run/$l config.yaml --data store --out in3 && is in3/$b head.weight $last head.weight'
check "pulled back on the way" eval '
    relearn reinit --weights m.pth --initial i.safetensors --alpha audio_net=1 --out r.pth && succeeds import r.pth config.yaml --data store --out in4 &&
    is in4/$b audio.conv1.weight $last initial:audio.conv1.weight &&
    is in4/$b visual.conv1.weight $best visual.conv1.weight'

check "no run" fails 1 'nothing: is no run' export nothing --to x.pth
check "no format" fails 2 'x.bmp' export run --to x.bmp
check "no --to" fails 2 '--to' export run
mkdir begun && cp run/config.yaml begun
check "no checkpoint yet" fails 1 'begun/checkpoint/best.safetensors' export begun --to x.pth
check "a damaged checkpoint" eval '
    mkdir -p torn/checkpoint && cp run/config.yaml torn && head -c 9999 $best >torn/checkpoint/best.safetensors && fails 1 "torn/checkpoint/best" export torn --to x.pth'
check "import: no such file" fails 1 'none.pth' import none.pth config.yaml --data store --out x
check "import: a file that is none" fails 1 'config.yaml' import config.yaml config.yaml --data store --out x
check "import: another fusion" fails 1 'no tensor "fusion_module.fc_x.weight".*fusion' import m.pth config.yaml --data store --out x --set fusion=gated
check "import: a deeper encoder" fails 1 'no tensor "audio_net.layer1.1' import m.pth config.yaml --data store --out x --set 'encoder.blocks=[2, 1]'
check "import: something left over" fails 1 'has "auxiliary.audio.*which the model has not' import aux.safetensors config.yaml --data store --out x
check "import: a wider encoder" fails 1 'audio_net.conv1.weight" is 16x1x7x7, the model needs 32x1x7x7' import m.pth config.yaml --data store --out x --set encoder.width=32
check "import: fewer modalities" fails 1 'fusion_module.fc_out.weight" is' import m.pth config.yaml --data store --out x --set 'modalities=[visual]'
check "import: initial weights of another network" fails 1 'torch_state.pt: has no tensor' \
    import m.pth config.yaml --data store --out x --initial "$here/golden/data/torch_state.pt"
check "import: into a run that is there" fails 2 'run: already holds a run' import m.pth config.yaml --data store --out run
check "import: weights named twice" fails 2 'init.from' import m.pth config.yaml --data store --out x --set init.from=m.pth
check "nothing is left of what failed" eval '[ ! -e x ] && [ ! -e x.pth ]'
