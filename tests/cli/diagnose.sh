#!/bin/bash
# relearn diagnose on .npy files: known purities, the exact shape of the JSON, errors.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

# 4 far-apart clusters: every clustering finds them. Every 5th training label is wrong (purity 0.8),
# every 2nd validation label (0.5): gap 0.3.
"$TOOLS/make_features" f.npy l.npy 400 8 4 5 1 || exit 1
"$TOOLS/make_features" g.npy m.npy 200 8 4 2 2 || exit 1
arguments=(--train f.npy --train-labels l.npy --val g.npy --val-labels m.npy)
near() { awk -v a="$(json modalities 0 "$2")" -v b="$1" 'BEGIN { exit !(a - b < 1e-9 && b - a < 1e-9) }'; }

check "runs" succeeds diagnose "${arguments[@]}" --classes 4 --lambda 3 --seed 0 --json
check "one document, one modality" json_is modalities keys
check "exactly the promised keys, in order" \
    json_is "name purity_train purity_val inertia_train inertia_val gap alpha" modalities 0 keys
check "purity of training" near 0.8 purity_train
check "purity of validation" near 0.5 purity_val
check "gap" near 0.3 gap
check "alpha = tanh(3 * 0.3)" near 0.716297870199 alpha
check "default name" json_is features modalities 0 name
cp out first
check "same seed, same bits" eval 'succeeds diagnose "${arguments[@]}" --classes 4 --seed 0 --json && cmp -s out first'
check "same bits on one thread" eval 'succeeds diagnose "${arguments[@]}" --classes 4 --threads 1 --json && cmp -s out first'
check "classes from the labels" eval 'succeeds diagnose "${arguments[@]}" --json && cmp -s out first'
check "--lambda" eval 'succeeds diagnose "${arguments[@]}" --lambda 6 --json && near 0.946806012846 alpha'
check "--name" eval 'succeeds diagnose "${arguments[@]}" --name audio --json && json_is audio modalities 0 name'
check "table" eval 'succeeds diagnose "${arguments[@]}" && prints "^features +0\.8000 +0\.5000 .* 0\.3000 +0\.7163$"'

check "missing file" fails 1 'none\.npy: .*No such file' diagnose --train none.npy --train-labels l.npy --val g.npy --val-labels m.npy
: >empty.npy
check "empty file" fails 1 'empty\.npy' diagnose --train empty.npy --train-labels l.npy --val g.npy --val-labels m.npy
head -c 3000 f.npy >short.npy
check "truncated file" fails 1 'short\.npy' diagnose --train short.npy --train-labels l.npy --val g.npy --val-labels m.npy
echo "not an array" >text.npy
check "text called .npy" fails 1 'text\.npy' diagnose --train f.npy --train-labels text.npy --val g.npy --val-labels m.npy
check "features as labels" fails 1 'f\.npy' diagnose --train f.npy --train-labels f.npy --val g.npy --val-labels m.npy
check "labels of the other split" fails 1 'm\.npy: 200 labels for the 400 samples' diagnose --train f.npy --train-labels m.npy --val g.npy --val-labels m.npy
"$TOOLS/make_features" narrow.npy n.npy 200 7 4 0 3
check "other dimensions" fails 1 'narrow\.npy: 7 dimensions' diagnose --train f.npy --train-labels l.npy --val narrow.npy --val-labels n.npy
check "label out of range" fails 1 'label' diagnose "${arguments[@]}" --classes 3
"$TOOLS/make_features" few.npy few_l.npy 3 8 3 0 4
check "fewer samples than classes" fails 2 'few\.npy' diagnose --train f.npy --train-labels l.npy --val few.npy --val-labels few_l.npy --classes 4
