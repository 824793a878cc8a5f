#!/bin/bash
# relearn reinit on PyTorch's checkpoints: what it reports, what it writes, what it refuses. The numbers themselves are
# compared with PyTorch's in tests/golden/test_reinit_golden.c.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

golden=$here/golden/data
cp "$golden/reinit_trained.pt" w.pt
cp "$golden/reinit_initial.pt" w0.pt
pair=(--weights w.pt --initial w0.pt)
tensor() { "$TOOLS/tensor_get" "$1" "$2"; }
# same FILE FILE TENSOR: both hold equal bytes for it.
same() { [ "$(tensor "$1" "$3")" = "$(tensor "$2" "$3")" ]; }
# shellcheck disable=SC2034  # used in eval
audio=module.audio_net.f32.weight visual=module.visual_net.f16.weight

check "changes two encoders" eval '
    succeeds reinit "${pair[@]}" --alpha audio_net.=0.31 --alpha visual_net.=0.5 --out w1.safetensors &&
    prints "^audio_net\. +alpha 0\.31 +5 changed +2 kept$" && prints "^others +0 changed +1 kept$" &&
    prints "^w1.safetensors: 10 tensors, 924 numbers changed; 5 tensors as they were; the dictionary is model$"'
check "the same without a dot, and with module." eval '
    succeeds reinit "${pair[@]}" --alpha module.audio_net=0.31 --alpha visual_net=0.5 --out w2.safetensors && cmp w1.safetensors w2.safetensors'
check "one encoder: the other is as it was" eval '
    succeeds reinit "${pair[@]}" --alpha "*=0" --out w3.safetensors &&
    succeeds reinit "${pair[@]}" --alpha audio_net.=0.31 --out w4.safetensors &&
    ! same w3.safetensors w4.safetensors $audio && same w1.safetensors w4.safetensors $audio && same w3.safetensors w4.safetensors $visual'
check "the way round: alpha 1 is the initial weights" eval '
    succeeds reinit --weights w0.pt --initial w0.pt --alpha "*=0" --out i.safetensors &&
    succeeds reinit "${pair[@]}" --alpha "*=1" --out w5.safetensors &&
    [ "$(tensor w5.safetensors $audio)" = "$(tensor i.safetensors audio_net.f32.weight)" ]'
check "of several rules the last counts" eval '
    succeeds reinit "${pair[@]}" --alpha "*=1" --alpha audio_net=0.31 --alpha visual_net=0.5 --alpha fusion_module=0 --out w6.safetensors &&
    cmp w1.safetensors w6.safetensors'
check "statistics stay" eval 'same w1.safetensors w3.safetensors module.audio_net.bn.running_mean'
check "--buffers pulls them, not the counter" eval '
    succeeds reinit "${pair[@]}" --alpha audio_net=0.31 --buffers --out w7.safetensors &&
    ! same w7.safetensors w3.safetensors module.audio_net.bn.running_mean &&
    same w7.safetensors w3.safetensors module.audio_net.bn.num_batches_tracked'
check "through .pth, with the same numbers" eval '
    succeeds reinit "${pair[@]}" --alpha audio_net=0.31 --alpha visual_net=0.5 --out w8.pth &&
    succeeds reinit --weights w8.pth --initial w0.pt --alpha "*=0" --out w9.safetensors && cmp w1.safetensors w9.safetensors'
check "in place" eval '
    cp w.pt in.pt && succeeds reinit --weights in.pt --initial w0.pt --alpha audio_net=0.31 --alpha visual_net=0.5 --out in.pt && cmp in.pt w8.pth'
check "--json" eval '
    succeeds reinit "${pair[@]}" --alpha audio_net=0.31 --out w2.safetensors --json && json_is model key && json_is "" initial_key &&
    json_is 5 changed && json_is 10 kept && json_is 5 rules 0 changed && json_is module.audio_net.f32.weight tensors 0 name && json_is F32 tensors 0 dtype'
check "--dry-run writes nothing" eval '
    succeeds reinit "${pair[@]}" --alpha audio_net=0.31 --out dry.safetensors --dry-run && [ ! -e dry.safetensors ] && prints "would change" &&
    succeeds reinit "${pair[@]}" --alpha audio_net=0.31 --dry-run'
check "--key" eval 'succeeds reinit "${pair[@]}" --alpha exp_avg=0 --key optimizer.state.0 --initial-key . --initial w.pt --initial-key optimizer.state.0 --out k.pth'
check "the help says which way round" eval 'succeeds reinit --help && tr "\n" " " <out | grep -q "alpha \* initial + (1 - alpha) \* trained"'

check "a name that is none" fails 2 'no tensor is called "audio_nt.".*did you mean "audio_net."' reinit "${pair[@]}" --alpha audio_nt.=0.3 --out x.pth
check "part of a name is none" fails 2 'no tensor is called "audio".*audio_net\., visual_net\., fusion_module\.' reinit "${pair[@]}" --alpha audio=0.3 --out x.pth
check "a pattern without a match" fails 2 'no tensor is called' reinit "${pair[@]}" --alpha '*.layer9.*=0.3' --out x.pth
check "alpha above 1" fails 2 'audio_net=1.5.*0 \.\. 1' reinit "${pair[@]}" --alpha audio_net=1.5 --out x.pth
check "alpha below 0" fails 2 'audio_net=-0.1.*0 \.\. 1' reinit "${pair[@]}" --alpha audio_net=-0.1 --out x.pth
check "alpha nan" fails 2 'audio_net=nan' reinit "${pair[@]}" --alpha audio_net=nan --out x.pth
check "no alpha" fails 2 'NAME=A' reinit "${pair[@]}" --alpha audio_net --out x.pth
check "no rule" fails 2 'alpha' reinit "${pair[@]}" --out x.pth
check "no out" fails 2 '--out' reinit "${pair[@]}" --alpha audio_net=0.3
check "a format that is none" fails 2 'x.npz.*safetensors' reinit "${pair[@]}" --alpha audio_net=0.3 --out x.npz
check "a key that is none" fails 2 'no dictionary "modl".*"model"' reinit "${pair[@]}" --alpha audio_net=0.3 --key modl --out x.pth
check "several dictionaries" fails 1 'student.*teacher.*--key' reinit --weights "$golden/torch_two.pt" --initial w0.pt --alpha w=0.3 --out x.pth
check "missing in W0" fails 1 'torch_state.pt: has no tensor "audio_net.f32.weight"' reinit --weights w.pt --initial "$golden/torch_state.pt" --alpha audio_net=0.3 --out x.pth
check "another type and shape in W0" fails 1 'torch_stored.*"torch_state.pt:0.bias" is U8 8, in .*torch_values.* it is F32 2' \
    reinit --weights "$golden/torch_values.safetensors" --initial "$golden/torch_stored.safetensors" --alpha torch_state.pt:0.bias=0.3 --out x.pth
check "no such file" fails 1 'none.pt' reinit --weights none.pt --initial w0.pt --alpha a=0.3 --out x.pth
: >empty.pt
check "an empty file" fails 1 'empty.pt' reinit --weights empty.pt --initial w0.pt --alpha a=0.3 --out x.pth
head -c 5000 w.pt >short.pt
check "a truncated file" fails 1 'short.pt' reinit --weights short.pt --initial w0.pt --alpha audio_net=0.3 --out x.pth
head -c 5000 w0.pt >short0.pt
check "a truncated W0" fails 1 'short0.pt' reinit --weights w.pt --initial short0.pt --alpha audio_net=0.3 --out x.pth
check "a pickled module" fails 1 'Sequential' reinit --weights "$golden/torch_module.pt" --initial w0.pt --alpha a=0.3 --out x.pth
mkfifo pipe.pt
check "a pipe" fails 1 'pipe.pt: not a regular file' reinit --weights pipe.pt --initial w0.pt --alpha a=0.3 --out x.pth
check "a folder" fails 1 'not a regular file' reinit --weights . --initial w0.pt --alpha a=0.3 --out x.pth
mkdir folder.pth
check "a folder as out" fails 1 'folder.pth' reinit "${pair[@]}" --alpha audio_net=0.3 --out folder.pth
check "nothing is left of what failed" eval '[ ! -e x.pth ] && [ -z "$(ls | grep tmp)" ]'
