#!/bin/bash
# Numbers that are none, classes that a split lacks, and files of 0 bytes: one clear error each, or what is promised.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

small=(--quiet --set method=joint --set epochs=1 --set batch=4 --set kernels=fixed --set threads=1)
features() { # FOLDER: two classes, two modalities, three splits
    local split m i
    rm -rf "$1" && mkdir "$1"
    for split in train val test; do
        for m in a b; do for i in {1..8}; do echo "$i.5,$((i * i)),c$((i % 2))"; done >"$1/${m}_$split.csv"; done
    done
}

# --- numbers ---
for number in NaN inf -Inf 1e39 1e400 abc ''; do
    features bad && sed -i "3s/^[^,]*/$number/" bad/a_train.csv
    check "a feature '$number' is named with file, line, sample and column" fails 1 \
        "a_train\.csv:3: sample train_00003: .*column 1: '$number' is no finite number" prepare features --quiet --from bad --to bad.store
    rm -f bad.store*
done
features first
for m in a b; do sed -i "1s/.*/1e39,inf,c1/" first/${m}_train.csv; done
check "a first row of such numbers is no header" fails 1 "a_train\.csv:1: sample train_00001: .*'1e39' is no finite number" prepare features --quiet --from first --to first.store

# --- classes that a split lacks ---
for split in train val; do
    features lacks && sed -i 's/c1/c0/' lacks/?_$split.csv
    "$RELEARN" prepare features --quiet --from lacks --to "lacks-$split" >/dev/null
    allowed=()
    if [ $split = train ]; then
        allowed=(--set allow_absent_classes=true)
        check "a class with validation samples and without one in train: refused, with the way out, and nothing is written" eval '
            fails 1 "lacks-train: 1 of 2 classes have samples in the val split and none in the train split, c1: .*allow_absent_classes=true" train "${small[@]}" --data lacks-train --out none && [ ! -e none ]'
        features tested && sed -i 's/c1/c0/' tested/?_train.csv tested/?_val.csv
        check "the same with test samples alone" eval 'succeeds prepare features --quiet --from tested --to tested.store &&
            fails 1 "1 of 2 classes have samples in the test split and none in the train split, c1: " train "${small[@]}" --data tested.store --out none'
    fi
    check "a class without a sample in $split${allowed:+, allowed}: trained, with one warning that names it" eval '
        relearn train "${small[@]}" --data "lacks-$split" --out "run-$split" "${allowed[@]}" && [ "$code" -eq 0 ] && [ "$(wc -l <err)" -eq 1 ] &&
        grep -q "^relearn: warning: .*lacks-$split: 1 of 2 classes have no sample in the $split split, c1: " err'
done
check "and goes on so, whatever is allowed then" eval 'relearn train "${small[@]}" --data lacks-train --out run-train --resume --set epochs=2 --set allow_absent_classes=true && [ "$code" -eq 0 ]'
features whole
"$RELEARN" prepare features --quiet --from whole --to whole.store >/dev/null
check "with all classes in all splits: no warning" succeeds train "${small[@]}" --data whole.store --out whole

# --- 0 bytes ---
for extension in store csv npy npz pt safetensors wav jpg png mp4; do : >"empty.$extension"; done
check "an empty store" fails 1 'empty\.store: not a store: the file is empty' inspect empty.store
check "an empty store, to train from" fails 1 'empty\.store: not a store: the file is empty' train "${small[@]}" --data empty.store --out x
for extension in csv npy npz pt safetensors; do
    check "empty features, .$extension" fails 1 "empty\.$extension: .*(empty|no rows)" diagnose --train "empty.$extension" --train-labels empty.npy \
        --val "empty.$extension" --val-labels empty.npy
done
"$RELEARN" synth --quiet --out media --seed 5 --train 8 --val 4 --test 4 --classes 2 --picture-size 32 --frames 1 >/dev/null
: >media/audio/train_00001.wav
check "an empty sound" fails 1 'train_00001\.wav: the file is empty' prepare manifest --quiet --from media --to media.store
: >media/manifest.csv
check "an empty manifest" fails 1 'manifest\.csv: empty' prepare manifest --quiet --from media --to media.store
for file in config.yaml data.json kernels.json summary.json log.jsonl process.json events.out.tfevents.relearn checkpoint/last.safetensors checkpoint/best.safetensors; do
    rm -rf damaged && cp -r whole damaged && : >damaged/$file
    check "a run whose $file is empty is not whole" fails 1 "damaged/$file" inspect --verify damaged
done
