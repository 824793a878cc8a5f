#!/bin/bash
# The two protocols: what each trains on, how it chooses, and where that is said, on the layout that the published
# code reads. docs/train.md lists the flaws of the published code and their checks.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"

# The folders and lists that the published code reads, of generated media: sounds as tensors of torch.save, frames as
# JPEG, stat.csv with a byte-order mark, lists with and without a header line and carriage returns. One clip of my_train
# is missing.
relearn synth --out media --train 24 --val 8 --test 12 --classes 4 --picture-size 32 --frames 3 --seed 5
mkdir -p published/audio published/visual
emotions=(NEU HAP SAD FEA)
printf '\xef\xbb\xbfNEU\r\nHAP\r\nSAD\r\nFEA\r\n' >published/stat.csv
echo "name,label" | tee published/train.csv >published/test.csv
number=1000
classes=$(sed 1d media/manifest.csv | cut -d, -f3 | sort -u | tr '\n' ' ')
while IFS=, read -r id split class _; do
    number=$((number + 1)) before=${classes%%"$class"*}
    emotion=${emotions[$(wc -w <<<"$before")]}
    name=${number}_IEO_${emotion}_XX
    case $split in
    train) printf '%s,%s\n' "$name" "$emotion" >>published/my_train.csv ;;
    val) printf '%s,%s\n' "$name" "$emotion" >>published/val.csv ;;
    test) printf '%s,%s\n' "$name" "$emotion" >>published/test.csv ;;
    esac
    [ "$split" = test ] || printf '%s,%s\r\n' "$name" "$emotion" >>published/train.csv
    cp "$here/golden/data/recipe_sound.pt" "published/audio/$name.pt"
    cp -r "media/visual/$id" "published/visual/$name"
done < <(sed 1d media/manifest.csv)
echo "1999_IEO_SAD_XX,SAD" >>published/my_train.csv
check "a missing clip is an error that names it" fails 1 'published: 2 missing files: my_train.csv line 25: audio/1999_IEO_SAD_XX.*--allow-missing' \
    prepare cremad --from published --to store
check "published: missing clips are left out, which the store says" eval '
    succeeds prepare cremad --from published --to store --allow-missing --json --quiet && json_is 1 missing &&
    json_is 24 samples train && json_is 8 samples val && json_is 12 samples test'
cat >config.yaml <<YAML
modalities: [visual]
epochs: 3
batch: 16
optimizer:
  lr: 0.02
encoder:
  width: 16
  blocks: [1]
inputs:
  visual:
    clip_frames: 1
    height: 32
    width: 32
relearn:
  period: 1
  times: 1
YAML
run() { # OUT KEY=VALUE...
    local out=$1 sets=() key
    shift
    for key; do sets+=(--set "$key"); done
    rm -rf "$out"
    succeeds train config.yaml --data store --out "$out" --quiet --json "${sets[@]}" && cp out "$out.json"
}
value() { # RUN PATH...
    local run=$1
    shift
    "$TOOLS/json_get" "$@" <"$run.json"
}
samples() { grep -m 1 '"event": *"epoch"' "$1/log.jsonl" | "$TOOLS/json_get" train samples; }
same() { cmp -s "$1/checkpoint/last.safetensors" "$2/checkpoint/last.safetensors"; }
# The epoch (from 1) whose measures in the log are best, under this key.
best_of() {
    local number=0 best=0 top=-1 low=0 accuracy loss line
    while IFS= read -r line; do
        case "$line" in *'"event"'*'"epoch"'*'"train"'*) ;; *) continue ;; esac
        number=$((number + 1))
        accuracy=$(printf '%s' "$line" | "$TOOLS/json_get" "$2" accuracy) || return 1
        loss=$(printf '%s' "$line" | "$TOOLS/json_get" "$2" loss) || return 1
        if awk "BEGIN { exit !($accuracy > $top || ($accuracy == $top && $loss < $low)) }"; then
            best=$number top=$accuracy low=$loss
        fi
    done <"$1/log.jsonl"
    echo "$best"
}

check "default: both sides train on the training split, whole batches only" eval '
    run joint method=joint && run relearn method=relearn && [ "$(samples joint)" = 16 ] && [ "$(samples relearn)" = 16 ]'
check "default: validation chooses" eval '[ "$(value joint best_epoch)" = "$(best_of joint validation)" ] && ! best_of joint test'
check "default: both sides augment" eval '
    run flat method=relearn inputs.visual.flip=0 && differ flat relearn'

check "published: the baseline trains on train and val" eval '
    run pjoint protocol=published method=joint && [ "$(samples pjoint)" = 32 ]'
check "published: the method trains on train alone, its last batch included" eval '
    run prelearn protocol=published method=relearn && [ "$(samples prelearn)" = 24 ] && grep -q "^drop_last: false" prelearn/config.yaml'
check "published: the baseline augments" eval '
    run pflat protocol=published method=joint inputs.visual.flip=0 && differ pflat pjoint'
check "published: the method does not, and its frames are fixed" eval '
    run pfixed protocol=published method=relearn inputs.visual.flip=1 inputs.visual.crop_scale=[0.1,0.2] && same pfixed prelearn &&
    run pmoving protocol=published method=relearn augment=true inputs.visual.flip=0 inputs.visual.crop=none && differ pmoving prelearn'
check "published: test chooses the best epoch, on both sides" eval '
    [ "$(value pjoint best_epoch)" = "$(best_of pjoint test)" ] && [ "$(value prelearn best_epoch)" = "$(best_of prelearn test)" ] &&
    ! best_of prelearn validation'
check "published: seed 0, k-means starts once, the published purity, statistics and momentum stay" eval '
    grep -q "^seed: 0$" prelearn/config.yaml && grep -q "^  n_init: 1$" prelearn/config.yaml &&
    grep -q "^  match_size: false$" prelearn/config.yaml && grep -q "^  reset_bn_stats: false$" prelearn/config.yaml &&
    grep -q "^  reset_momentum: false$" prelearn/config.yaml && grep -q "^  n_init: 10$" relearn/config.yaml'
check "published: the summary says that a clip is missing" eval '[ "$(value prelearn data missing)" = 1 ] && [ "$(value pjoint data missing)" = 1 ]'
check "published: purities are of whole splits, whatever their sizes" eval '
    awk "BEGIN { a = 24 * $(value prelearn diagnoses 0 modalities 0 purity_train) + 1e-6; b = 8 * $(value prelearn diagnoses 0 modalities 0 purity_val) + 1e-6
        exit !(a - int(a) < 2e-6 && b - int(b) < 2e-6) }" &&
    run matched protocol=published method=relearn relearn.match_size=true &&
    [ "$(value matched diagnoses 0 modalities 0 purity_train)" != "$(value prelearn diagnoses 0 modalities 0 purity_train)" ]'
check "published: statistics and momentum survive, which resets change" eval '
    run bn protocol=published method=relearn relearn.reset_bn_stats=true && differ bn prelearn &&
    run momentum protocol=published method=relearn relearn.reset_momentum=true && differ momentum prelearn'
check "published: the method trains on a last batch that is smaller" eval '
    run whole protocol=published method=relearn drop_last=true && [ "$(samples whole)" = 16 ] && differ whole prelearn'
check "published: the baseline still has no validation measures" eval '[ "$(value pjoint validation)" = null ] && value pjoint test accuracy'

check "explicit keys come before the preset, and are named" eval '
    run mixed protocol=published method=relearn select=val relearn.n_init=4 drop_last=false &&
    [ "$(value mixed protocol select)" = val ] && [ "$(value mixed protocol deviations)" = "[\"select\",\"relearn.n_init\"]" ] &&
    [ "$(value prelearn protocol deviations)" = "[]" ]'
check "the summary says the protocol" eval '
    [ "$(value pjoint protocol name)" = published ] && [ "$(value pjoint protocol train_on)" = train+val ] &&
    [ "$(value pjoint protocol augment)" = true ] && [ "$(value prelearn protocol augment)" = false ] && [ "$(value joint protocol name)" = default ]'
check "a resolved configuration resolves to itself" eval '
    succeeds train prelearn/config.yaml --out again --quiet --json && cmp prelearn/config.yaml again/config.yaml && same prelearn again'
check "evaluate says it" eval '
    relearn evaluate pjoint --quiet; [ "$code" -eq 0 ] && grep -q "warning: .*chosen on the test split" err && prints "^protocol +published: trained on train\+val, augmented, best epoch by test"'
check "evaluate --json says it" eval 'succeeds evaluate prelearn --quiet --json && json_is test protocol select'
check "select: last keeps the last epoch" eval 'run last method=joint select=last && [ "$(value last best_epoch)" = 3 ]'

check "train+val cannot validate" fails 2 'select: val.*train\+val' train config.yaml --data store --out x --set method=joint --set train_on=train+val
check "train+val cannot diagnose" fails 2 'relearn needs a validation split' train config.yaml --data store --out x \
    --set train_on=train+val --set select=last
check "select: test needs a test split" eval '
    relearn synth --out notest --train 24 --val 8 --test 0 --classes 4 --picture-size 32 --frames 1 &&
    relearn prepare manifest --from notest --to notest.store &&
    fails 1 "select: test" train config.yaml --data notest.store --out x --set select=test'
check "an unknown protocol" fails 2 'protocol.*publishd' train config.yaml --data store --out x --set protocol=publishd
