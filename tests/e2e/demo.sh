#!/bin/bash
# The demo's script from end to end, on little data: every row and every diagnosis must be in its table.
# Called by tools/run_tests.sh, which sets RELEARN and TEST_TMP.
set -u
out=$TEST_TMP/demo
table=$TEST_TMP/table
log=$TEST_TMP/log

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@"; then
        echo "ok $name"
    else
        echo "not ok $name"
        cat "$table" "$log"
    fi
}

demo() {
    BUILD=$(dirname "$RELEARN") DEMO_OUT=$out DEMO_SEEDS="${1:-0}" \
        DEMO_SYNTH="--train 64 --val 32 --test 32" \
        DEMO_TRAIN="--set epochs=3 --set encoder.width=16 --set relearn.period=1 --set relearn.times=2" \
        demo/run.sh >"$table" 2>"$log"
}

# Test accuracy of a row is a number in percent.
row() { grep -Eq "^  $1 +[0-9]+ +[0-9.]+ " "$table"; }
diagnoses() { # LAMBDA: epochs 2 and 3, two encoders each
    [ "$(sed -n "/^diagnoses: relearn lambda=$1/,/^$/p" "$table" | grep -Ec '^  +[23] +(audio|visual) +[0-9. ]+$')" -eq 4 ]
}
# The ceilings of the table are those of truth.json, in percent.
ceilings() {
    local expected
    expected=$(awk '/"audio"|"visual"|"joint"/ { name = $1 }
        /"test"/ && !(name in seen) { gsub(/[^0-9.]/, "", $2); seen[name] = sprintf("%.1f", 100 * $2) }
        END { print seen["\"joint\":"], seen["\"audio\":"], seen["\"visual\":"] }' "$out/media-0/truth.json")
    [ "$(grep '^  ceiling' "$table" | grep -Eo '[0-9]+\.[0-9]' | tr '\n' ' ')" = "$expected " ]
}
media() { [ "$(find "$out/media-0/audio" -name '*.wav' | wc -l)" -eq 128 ] && [ "$(find "$out/media-0/visual" -name '*.jpg' | wc -l)" -eq 256 ]; }
refuses_foreign_folder() {
    mkdir -p "$TEST_TMP/foreign"
    touch "$TEST_TMP/foreign/precious"
    ! DEMO_OUT=$TEST_TMP/foreign BUILD=$(dirname "$RELEARN") demo/run.sh >"$table" 2>"$log" && [ -e "$TEST_TMP/foreign/precious" ]
}

check "demo runs" demo
check "demo shows joint training" row joint
check "demo shows relearn with lambda 3" row 'relearn lambda=3'
check "demo shows relearn with lambda 6" row 'relearn lambda=6'
alone() { row 'joint modalities=audio' && row 'joint modalities=visual'; }
check "demo shows each modality alone" alone
check "demo shows the diagnoses of lambda 3" diagnoses 3
check "demo shows the diagnoses of lambda 6" diagnoses 6
check "demo shows the ceilings" ceilings
check "demo wrote the media" media
report() {
    tail -n 1 "$table" | grep -Fq "$out/report.html" && grep -q 'ceiling of these test data' "$out/report.html" &&
        grep -Fq "$(head -n 1 "$out/report.txt")" "$out/report.html"
}
check "demo ends with a report" report
check "demo runs again in its own folder" demo
two_seeds() { demo "0 1" && grep -Eq '^  joint +2 +[0-9.]+ \+- [0-9.]+ ' "$table"; }
check "demo takes several seeds" two_seeds
check "demo leaves other folders alone" refuses_foreign_folder
