#!/bin/bash
# relearn compare on run folders written here: text, JSON, errors.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

# run FOLDER METHOD SEED TEST [FINGERPRINT]
run() {
    mkdir -p "$1"
    cat >"$1/summary.json" <<EOF
{"method": "$2", "seed": $3, "modalities": ["audio", "visual"], "data": {"fingerprint": "${5:-f$3}"},
 "protocol": {"name": "default", "train_on": "train", "select": "val", "augment": true, "drop_last": true, "deviations": []},
 "validation": {"accuracy": 0.5},
 "test": {"accuracy": $4, "macro_f1": 0.25,
          "modalities": {"audio": {"accuracy": 0.125, "probe": {"accuracy": 0.875}}, "visual": {"accuracy": 0.375}}},
 "diagnoses": []}
EOF
    cat >"$1/config.yaml" <<EOF
method: $2
seed: $3
epochs: 36
protocol: default
train_on: train
augment: true
select: val
drop_last: true
mask: mean
fusion: concat
encoders:
  audio:
    kind: auto
inputs:
  visual:
    flip: 0.5
EOF
}
run j0 joint 0 0.70
run j1 joint 1 0.60
run r0 relearn 0 0.74
run r1 relearn 1 0.70

check "runs" succeeds compare j0 j1 r0 r1
check "mean and deviation over seeds" prints '^  joint +2 +65\.0 \+- 7\.1 '
check "paired differences" prints '^  relearn +2 +\+7\.0 \+- 4\.2 \[\+4\.0, \+10\.0\] .* \+4\.0 \+10\.0$'
check "one run" eval 'succeeds compare j0 && prints "^  joint +1 +70\.0 "'
check "one JSON document" eval 'succeeds compare j0 r0 --json && json_is "groups warnings bootstrap ceilings" keys'
check "JSON holds the figures" eval 'json_is relearn groups 1 label && json_is 0.125 groups 1 modalities audio mean'
check "groups as given" eval 'succeeds compare j0 j1 -- r0 r1 && prints "^  B: relearn +2 +72\.0 "'
check "flags behind the second group" eval 'succeeds compare j0 -- r0 --json && json_is 1 groups 1 differences test count'
check "interval of the paired difference" eval 'succeeds compare j0 j1 -- r0 r1 --json && json_is 10000 bootstrap resamples && json groups 1 differences test low >/dev/null'
check "Markdown" eval 'succeeds compare j0 r0 --markdown && prints "^[|] joint [|] 1 [|] 70\.0 [|]"'
mkdir many
run many/seed-0 ogm 0 0.5
run many/seed-1 ogm 1 0.7
check "a folder of seeds is all its runs" eval 'succeeds compare j0 j1 many && prints "^  ogm +2 +60\.0 "'
sed -i 's/^epochs: 36/epochs: 9/' many/seed-0/config.yaml many/seed-1/config.yaml
check "warns of other epochs" eval 'succeeds compare j0 j1 -- many && prints "^warning: A: joint epochs=36 and B: ogm epochs=9 differ in epochs: epochs 36 and 9$"'
check "the last table is the same in JSON" eval '
    succeeds compare j0 j1 -- many --json && json_is "A: joint epochs=36 and B: ogm epochs=9 differ in epochs: epochs 36 and 9" warnings 0 &&
    ! json warnings 1 >/dev/null 2>&1'
check "Markdown shows differences and warnings" eval '
    succeeds compare j0 j1 -- many --markdown && prints "^[|] B: ogm epochs=9 [|] 2 [|] -5\.0 .- 21\.2 \[" && prints "^- warning: .* differ in epochs"'
check "no warning for runs that differ in their method alone" eval '
    succeeds compare j0 j1 r0 r1 && ! prints warning && succeeds compare j0 r0 --json && json_is "[]" warnings'

# Whatever makes two rows hard to compare, one at a time: KEY VALUE WHAT
# shellcheck disable=SC2034  # used by eval
while read -r key value what; do
    run odd relearn 0 0.74
    sed -i "s/^\( *$key:\) .*/\1 $value/" odd/config.yaml
    check "warns of another $key" eval '
        succeeds compare j0 odd && [ "$(grep -c "^warning: " out)" -eq 1 ] && prints "^warning: joint .* and relearn .* differ in $what: [a-z.]*$key .* and ${value//+/.}$"'
done <<EOF
epochs 12 epochs
protocol published protocol
train_on train+val data
augment false augmentation
flip 0 augmentation
select test selection of the best epoch
drop_last false samples per epoch
mask zero mask of a modality that is switched off
EOF
run odd relearn 0 0.74 another
check "warns of other data" eval '
    succeeds compare j0 odd && prints "^warning: joint and relearn differ in data: runs of one seed were trained on different stores$"'
run odd relearn 0 0.74

check "says the protocol, once when all have the same" eval '
    succeeds compare j0 r0 && [ "$(grep -c "^protocol " out)" -eq 1 ] && prints "^protocol  default: trained on train, augmented, best epoch by val$"'
sed -i 's/"name": "default", "train_on": "train"/"name": "published", "train_on": "train+val"/' odd/summary.json
check "says the protocol of each row when they differ" eval '
    succeeds compare j0 -- odd && prints "^protocol  of A: joint: default: trained on train, " &&
    prints "^protocol  of B: relearn: published: trained on train\+val, " && succeeds compare j0 odd --markdown && prints "^- protocol  of relearn: published"'
check "JSON says the protocol" eval 'succeeds compare j0 odd --json && json_is published groups 1 protocol name && json_is val groups 0 protocol select'
check "linear probes, where a run has them" eval '
    succeeds compare j0 j1 && prints " audio probe *$" && prints "^  joint .* 87\.5 .- 0\.0$" && ! prints "visual probe" &&
    succeeds compare j0 j1 --json && json_is 0.875 groups 0 probes audio mean'
for ((seed = 0; seed < 140; seed++)); do run "many$((seed % 2))/seed-$((seed / 2))" "method$((seed % 2))" "$((seed / 2))" 0.5; done
check "more than a hundred runs" eval 'succeeds compare many0 -- many1 && prints "^  A: method0 +70 " && prints "^  B: method1 +70 +.0\.0 "'

check "an empty group" fails 2 'group without runs' compare j0 --
check "no run" fails 2 'compare' compare
check "missing run" fails 1 'none: no summary\.json' compare none
check "the same run twice" fails 2 'same configuration and seed' compare j0 j0
check "missing truth" fails 1 'none\.json' compare j0 --truth none.json
