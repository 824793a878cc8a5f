#!/bin/bash
# relearn compare on run folders written here: text, JSON, errors.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

# run FOLDER METHOD SEED TEST
run() {
    mkdir -p "$1"
    cat >"$1/summary.json" <<EOF
{"method": "$2", "seed": $3, "modalities": ["audio", "visual"], "data": {"fingerprint": "f$3"},
 "validation": {"accuracy": 0.5},
 "test": {"accuracy": $4, "macro_f1": 0.25,
          "modalities": {"audio": {"accuracy": 0.125}, "visual": {"accuracy": 0.375}}},
 "diagnoses": []}
EOF
    printf 'method: %s\nseed: %s\nepochs: 36\n' "$2" "$3" >"$1/config.yaml"
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
check "an empty group" fails 2 'group without runs' compare j0 --
check "no run" fails 2 'compare' compare
check "missing run" fails 1 'none: no summary\.json' compare none
check "the same run twice" fails 2 'same configuration and seed' compare j0 j0
check "missing truth" fails 1 'none\.json' compare j0 --truth none.json
