#!/bin/bash
# The three data sets, laid out as their archives are (tests/support/lay_out.sh): prepared, and trained for one
# reduced epoch with their configurations.
here=$(cd "$(dirname "$0")/.." && pwd)
configs=$(cd "$here/../configs" && pwd)
data=$(cd "$here/../.." && pwd)/shared/data
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

if [ ! -d "$data/lists" ]; then
    skip "cremad, kinetics-sounds, ucf101: from archive to accuracy" "the lists and clips in ../shared/data are not here"
    exit 0
fi

lay_out() { clips=$(bash "$here/support/lay_out.sh" "$1" "$data" "$TEST_TMP/$1" "$2" 2>err) && [ "$clips" -gt 100 ]; }
sum() { echo $(($(json samples train) + $(json samples val) + $(json samples test))); }
# One epoch of a network small enough for a test.
train() { # NAME METHOD [FLAG]...
    local name=$1 method=$2
    shift 2
    succeeds train "$configs/$name.yaml" --data "$name.store" --out "run-$name-$method" --set method="$method" --quiet --json \
        --set epochs=1 --set batch=16 --set encoder.width=16 --set "encoder.blocks=[1,1]" --set threads=2 "$@"
}
small="--set inputs.visual.height=32 --set inputs.visual.width=32"

# --- CREMA-D ---
check "cremad: laid out" lay_out cremad 16
check "cremad: prepared" succeeds prepare cremad --from cremad --to cremad.store --json --set audio.mel_bins=32 --set audio.frames=64
check "cremad: every clip, every class in every split" eval 'json_is 96 samples train && json_is 24 samples val && json_is 24 samples test &&
    json_is 6 split_classes train && json_is 6 split_classes val && json_is 6 split_classes test && [ "$(json frames)" -ge 288 ]'
# shellcheck disable=SC2086
check "cremad: joint" train cremad joint $small
check "cremad: test accuracy" eval 'json test accuracy | grep -Eq "^[01](\.[0-9]+)?$" && json_is 24 test samples'
# shellcheck disable=SC2086
check "cremad: relearn diagnoses" train cremad relearn $small --set epochs=2 --set relearn.period=1
check "cremad: both encoders were diagnosed" eval 'json_is audio diagnoses 0 modalities 0 name && json_is visual diagnoses 0 modalities 1 name'
# The published protocol, each flaw of it: see also tests/cli/protocol.sh.
published() { # METHOD
    # shellcheck disable=SC2086
    succeeds train "$configs/cremad.yaml" --data cremad.store --out "published-$1" --set method="$1" --set protocol=published --quiet \
        --json --set epochs=2 --set batch=16 --set encoder.width=16 --set "encoder.blocks=[1,1]" --set threads=2 --set relearn.period=1 $small &&
        cp out "published-$1.json"
}
trained_on() { grep -m 1 '"event": *"epoch"' "published-$1/log.jsonl" | "$TOOLS/json_get" train samples; }
check "cremad: published, joint: trained on my_train and val, augmented, the best epoch by test" eval 'published joint &&
    [ "$(trained_on joint)" -eq 120 ] && json_is true protocol augment && json_is test protocol select && grep -q "\"test\":" published-joint/log.jsonl'
check "cremad: published, relearn: my_train alone, not augmented, all batches, one k-means" eval 'published relearn &&
    [ "$(trained_on relearn)" -eq 96 ] && json_is false protocol augment && json_is test protocol select && json_is false protocol drop_last &&
    json_is "[]" protocol deviations && grep -q "^  n_init: 1$" published-relearn/config.yaml && json_is visual diagnoses 0 modalities 1 name'
check "cremad: splits by actor, OGM's STFT" eval '
    succeeds prepare cremad --from cremad --to actor.store --json --splits by-actor --test-fraction 0.2 --val-fraction 0.2 --audio stft &&
    [ "$(sum)" -eq 144 ] && succeeds inspect actor.store --json && json_is "[1,1,257,188]" modalities 0 shape'

# --- Kinetics-Sounds ---
check "kinetics-sounds: laid out" lay_out kinetics-sounds 5
for clip in silent blind; do
    file=$(find kinetics-sounds/test -name '*.mp4' | sort | sed -n "$([ $clip = silent ] && echo 3 || echo 5)p")
    rm "$file" && "$TOOLS/make_clip" "$file" 1 1 3 $clip
done
kinetics() { succeeds prepare kinetics-sounds --from kinetics-sounds --to "$1.store" --json --quiet --val-fraction 0.2 \
    --set audio.frames=128 --set audio.mel_bins=64 --set visual.stored_side=64 "${@:2}"; }
# Warnings name the clips that are left out.
check "kinetics-sounds: prepared, two incomplete clips dropped" eval 'kinetics kinetics-sounds >/dev/null; [ "$code" -eq 0 ] &&
    grep -q "warning: left out: .*has no sound stream" err && grep -q "warning: left out: .*has no video stream" err &&
    json_is 2 notes dropped && [ "$(sum)" -eq $((clips - 2)) ] && json_is 31 split_classes train && json_is 31 split_classes val'
check "kinetics-sounds: or kept" eval 'kinetics kept --incomplete keep && json_is 2 notes filled && json_is 0 missing && [ "$(sum)" -eq "$clips" ]'
check "kinetics-sounds: or an error that lists both" eval '
    fails 1 "2 samples cannot be read: .*no (sound|video) stream.*; .*no (sound|video) stream" prepare kinetics-sounds \
        --from kinetics-sounds --to never.store --incomplete fail && [ ! -e never.store ]'
# shellcheck disable=SC2086
check "kinetics-sounds: an epoch" train kinetics-sounds relearn $small
check "kinetics-sounds: the summary repeats what was left out" json_is 2 data missing

# --- UCF-101 ---
check "ucf101: laid out" lay_out ucf101 2
check "ucf101: prepared, with flow" succeeds prepare ucf101 --from ucf101 --to ucf101.store --json --quiet --val-fraction 0.3 \
    --set flow.pairs_per_clip=2 --set flow.side=64 --set visual.stored_side=64
check "ucf101: every clip, two pictures of flow each" eval '[ "$(sum)" -eq "$clips" ] && json_is 101 classes && json_is 101 split_classes train'
flow="--set inputs.flow.height=32 --set inputs.flow.width=32"
# shellcheck disable=SC2086
check "ucf101: an epoch" train ucf101 relearn $small $flow
