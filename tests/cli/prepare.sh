#!/bin/bash
# synth, prepare, inspect: the way from nothing to a store, and every input that must be refused with one
# clear error, the right exit code and no store under the final name.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

# --- the way that works ---

check "synth" succeeds synth --out media --train 24 --val 8 --test 8 --seed 3 --json
check "synth says how many" json_is 24 samples train
check "synth knows its ceilings" json_is 0.75 ceilings audio theory
check "synth refuses a folder that is not empty" fails 2 'media' synth --out media --train 8 --val 8 --test 8
check "synth refuses impossible shares" fails 2 'audio' synth --out m2 --audio-wrong 0.7 --audio-empty 0.7
check "synth leaves nothing behind then" test ! -e m2

check "prepare" succeeds prepare manifest --from media --to media.store --json
check "final account: samples" eval 'json_is 24 samples train && json_is 8 samples val && json_is 8 samples test'
check "final account: classes, frames, bytes" eval 'json_is 8 classes && json_is 80 frames && json_is "$(stat -c %s media.store)" bytes'
check "final account as text" eval 'succeeds prepare manifest --from media --to text.store && prints "^text.store: 40 samples of 8 classes"'
check "unknown recipe, near one" fails 2 'manifets: .*did you mean .manifest' prepare manifets --from media --to x.store
check "help lists each recipe's flags" eval 'succeeds help prepare && prints "^More flags of the recipe cremad:" && prints "^  --splits published.by-actor"'
check "a flag of another recipe" fails 2 '--splits: no such option' prepare manifest --from media --to x.store --splits by-actor
check "a recipe behind its flags" fails 1 'media/my_train.txt: no such list' prepare --from media --to x.store --incomplete keep kinetics-sounds
check "--set changes a modality" eval 'succeeds prepare manifest --from media --to set.store --set audio.mel_bins=20 --json &&
    succeeds inspect set.store --json && json_is "[1,1,64,20]" modalities 0 shape'
check "--set of no modality" fails 2 'sound' prepare manifest --from media --to x.store --set sound.mel_bins=20
check "--val-fraction where there is a val split" fails 2 'val' prepare manifest --from media --to x.store --val-fraction 0.1

check "inspect" succeeds inspect media.store --json
check "shapes" eval 'json_is "[1,1,64,64]" modalities 0 shape && json_is "[2,3,64,64]" modalities 1 shape'
check "kinds" eval 'json_is logmel modalities 0 kind && json_is frames modalities 1 kind'
check "classes add up to the samples" eval '
    sum=0; for c in 0 1 2 3 4 5 6 7; do sum=$((sum + $(json classes $c train))); done; [ $sum -eq 24 ] && json_is 24 samples train'
check "statistics are over the training split" eval 'json_is train modalities 1 statistics split && json_is 24 modalities 1 statistics samples'
check "inspect as text" eval 'succeeds inspect media.store && prints "^visual +frames +2 x 3 x 64 x 64 " && prints "^all +24 +8 +8$"'
check "a sample as pictures" succeeds inspect media.store --sample train_00002 --png png
is_png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ]; }
check "one PNG per spectrogram and frame" eval 'is_png png/train_00002.audio.png && is_png png/train_00002.visual.1.png && is_png png/train_00002.visual.2.png'
check "--augmented changes the picture" eval '
    succeeds inspect media.store --sample train_00002 --png augmented --augmented &&
    ! cmp -s png/train_00002.visual.1.png augmented/train_00002.visual.1.png'
check "the waveform, where the media are" eval '
    succeeds inspect media.store --sample train_00002 --png wave --from media &&
    is_png wave/train_00002.audio.waveform.png && [ ! -e png/train_00002.audio.waveform.png ] &&
    relearn inspect media.store --sample train_00002 --png wave --from nowhere &&
    [ "$code" -eq 0 ] && grep -q "no waveform of audio: nowhere" err'
check "unknown sample" fails 1 'nobody: .*no such sample' inspect media.store --sample nobody
check "--png without --sample" fails 2 'sample' inspect media.store --png png
check "inspect without a store" fails 1 'none\.store: no such store' inspect none.store

# --- what must be refused; each case on a fresh copy ---

# refused CODE PATTERN [FLAG...]: preparing `broken` fails so, and leaves no store.
refused() {
    local code=$1 pattern=$2
    shift 2
    fails "$code" "$pattern" prepare manifest --from broken --to broken.store "$@" && [ ! -e broken.store ]
}
broken() {
    rm -rf broken broken.store
    cp -R media broken
}

broken && rm broken/audio/train_00003.wav
check "missing file" refused 1 'train_00003\.wav'
check "missing file, allowed" eval 'succeeds prepare manifest --from broken --to broken.store --allow-missing --json --quiet && json_is 1 missing && json_is 23 samples train'
check "training says that a sample is missing" eval '
    relearn train "$here/../demo/train.yaml" --data broken.store --out broken-run --set epochs=1 --set batch=4 --set encoder.width=16 --set method=joint --stop-after 1
    grep -q "^relearn: 1 samples were left out" err'
broken && : >broken/audio/train_00004.wav && : >broken/audio/train_00007.wav
check "two empty files: one list" refused 1 '2 samples cannot be read: .*train_00004\.wav.*; .*train_00007\.wav'
broken && : >broken/audio/train_00004.wav
check "empty file" refused 1 'train_00004\.wav.*empty'
broken && echo "this is no sound, whatever its name says" >broken/audio/val_00001.wav
check "text file called .wav" refused 1 'val_00001\.wav'
broken && rm broken/visual/test_00001/*
check "folder without frames" refused 1 'test_00001'
broken && head -c 400 media/visual/train_00001/frame_00001.jpg >broken/visual/train_00001/frame_00001.jpg
check "truncated picture" refused 1 'frame_00001\.jpg'
broken && printf 'classes: [disc, ring]\n' >>broken/manifest.yaml
check "label not in the class list" refused 1 'manifest\.csv:2: .*label'
broken && sed -i '5s/,[^,]*$//' broken/manifest.csv
check "a column too few" refused 1 'manifest\.csv:5: '
broken && sed -i '7s/,train,/,training,/' broken/manifest.csv
check "unknown split" refused 1 'manifest\.csv:7: .*training'
broken && sed -i '3p' broken/manifest.csv
check "an id twice" refused 1 'manifest\.csv:4: .*is on line 3 too'
broken && sed -i 's/^id,/key,/' broken/manifest.csv
check "header without id" refused 1 'manifest\.csv'
broken && sed -i 's/mel_bins/mel_bind/' broken/manifest.yaml
check "unknown key in YAML, near one" refused 2 'manifest\.yaml:[0-9]+: .*mel_bind.*mel_bins'
broken && sed -i 's/mel_bins: .*/mel_bins: many/' broken/manifest.yaml
check "value of the wrong type in YAML" refused 2 'manifest\.yaml:[0-9]+: .*mel_bins'
broken && printf 'modalities: [\n' >broken/manifest.yaml
check "malformed YAML" refused 2 'manifest\.yaml:'
broken && rm broken/manifest.yaml
check "no manifest.yaml" refused 1 'manifest\.yaml'
broken && rm broken/manifest.csv
check "no manifest.csv" refused 1 'manifest\.csv'
check "no source folder" fails 1 'nowhere' prepare manifest --from nowhere --to broken.store
broken
check "a file where the store's folder should be" fails 1 'manifest\.csv' prepare manifest --from broken --to media/manifest.csv/all.store

limited() { # the disk ends after 100 KiB, for the files of this process
    (ulimit -f 100 && trap '' XFSZ && fails 1 'broken\.store' prepare manifest --from broken --to broken.store) &&
        [ ! -e broken.store ]
}
check "file size limit during prepare" limited

full_disk() {
    mkdir -p small && mount -t tmpfs -o size=64k none small 2>/dev/null || return 2
    fails 1 'full\.store' prepare manifest --from broken --to small/full.store
    local result=$?
    [ -e small/full.store ] && result=1
    umount small
    return $result
}
if mkdir -p small && mount -t tmpfs -o size=64k none small 2>/dev/null; then
    umount small
    check "full disk during prepare" full_disk
else
    skip "full disk during prepare" "cannot mount a small file system here"
fi

# --- stores that are no stores ---

"$TOOLS/set_store_version" media.store other.store 999 || exit 1
check "store of another version" fails 1 'other\.store: .*version' inspect other.store
head -c 20000 media.store >cut.store
check "truncated store" fails 1 'cut\.store' inspect cut.store
echo "not a database, though it has the name of one" >text.store
check "text called .store" fails 1 'text\.store' inspect text.store
: >empty.store
check "empty store" fails 1 'empty\.store' inspect empty.store
check "a folder as store" fails 1 'media' inspect media
