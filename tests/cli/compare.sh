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
check "paired differences" prints '^  relearn - joint: \+7\.0 \+- 4\.2 \(\+4\.0 \+10\.0\)$'
check "one run" eval 'succeeds compare j0 && prints "^  joint +1 +70\.0 "'
check "one JSON document" eval 'succeeds compare j0 r0 --json && json_is "groups same_data ceilings" keys'
check "JSON holds the figures" eval 'json_is relearn groups 1 label && json_is 0.125 groups 1 modalities audio mean'
check "no run" fails 2 'compare' compare
check "missing run" fails 1 'none: no summary\.json' compare none
check "the same run twice" fails 2 'same configuration and seed' compare j0 j0
check "missing truth" fails 1 'none\.json' compare j0 --truth none.json
