#!/bin/bash
# relearn evaluate: the tables against the JSON, and what the figures of one run must have in common.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

relearn synth --out media --train 48 --val 16 --test 24 --classes 4 --picture-size 32 --frames 1 --seed 5 --visual-empty 0
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
method: joint
epochs: 4
batch: 8
optimizer:
  lr: 0.02
encoder:
  width: 16
  blocks: [1]
probe: true
YAML
relearn train config.yaml --data store --out run --quiet --json
check "without --probe there are no probes" eval '
    succeeds evaluate run --json --quiet && json modalities audio accuracy >/dev/null && ! json modalities audio probe >/dev/null 2>&1 &&
    succeeds evaluate run --quiet && ! prints " probe "'
check "with it" succeeds evaluate run --probe --json --quiet
cp out all.json
value() { "$TOOLS/json_get" "$@" <all.json; }
# The six measures of a row, as the table rounds them: PATH...
row() {
    local key
    printf '%.2f' "$(value "$@" accuracy | awk '{ print 100 * $1 }')"
    for key in macro_f1 weighted_f1 map ece loss; do printf ' +%.4f' "$(value "$@" "$key")"; done
}
relearn evaluate run --probe --quiet
cp out all.txt
check "overall: all measures, of all modalities" eval 'prints "^  all modalities +$(row)$"'
for modality in audio visual; do
    check "overall: $modality with the other masked" eval 'prints "^  $modality only +$(row modalities "$modality")$"'
    check "overall: linear probe of $modality" eval 'prints "^  $modality probe +$(row modalities "$modality" probe)$"'
    check "$modality alone, its probe and the whole are different things" eval '
        [ "$(row)" != "$(row modalities $modality)" ] && [ "$(row modalities $modality)" != "$(row modalities $modality probe)" ]'
done
check "the probes are the summary's" eval '
    for modality in audio visual; do
        [ "$(value modalities $modality probe loss)" = "$("$TOOLS/json_get" test modalities $modality probe loss <run/summary.json)" ] || return 1
    done'
check "by class: precision, recall, F1, average precision, F1 of each modality, samples" eval '
    for class in 0 1 2 3; do
        line=$(grep -m 1 -A 9 "^by class" all.txt | sed -n "$((class + 3))p")
        expected=$(for key in precision recall f1 average_precision; do printf "%.4f " "$(value classes $class $key)"; done
                   for modality in audio visual; do printf "%.4f " "$(value modalities $modality classes $class f1)"; done
                   value classes $class support)
        [ "$(echo "$line" | awk "{ print \$2, \$3, \$4, \$5, \$6, \$7, \$8 }")" = "$expected" ] || return 1
    done'
check "confusion: rows add up to the classes' samples, the diagonal to the accuracy" eval '
    total=0 right=0
    for i in 0 1 2 3; do
        sum=0
        for j in 0 1 2 3; do
            count=$(value confusion $i $j) sum=$((sum + count))
            [ $i -ne $j ] || right=$((right + count))
            [ "$(grep -A 6 "^confusion" all.txt | sed -n "$((i + 3))p" | awk "{ print \$$((j + 2)) }" | tr . 0)" = "$count" ] || return 1
        done
        [ "$sum" = "$(value classes $i support)" ] || return 1
        total=$((total + sum))
    done
    [ "$total" -eq 24 ] && awk "BEGIN { d = $right / $total - $(value accuracy); exit !(d < 1e-9 && d > -1e-9) }"'
check "macro F1 is the classes' mean, weighted F1 weighs them" eval '
    for i in 0 1 2 3; do echo "$(value classes $i f1) $(value classes $i support)"; done |
        awk -v macro="$(value macro_f1)" -v weighted="$(value weighted_f1)" "
            { sum += \$1; product += \$1 * \$2; samples += \$2 }
            END { a = sum / 4 - macro; b = product / samples - weighted; exit !(a * a < 1e-12 && b * b < 1e-12) }"'
check "another mask, other figures of a modality, the same of all" eval '
    relearn train config.yaml --data store --out zero --quiet --set mask=zero && succeeds evaluate zero --json --quiet && json_is zero mask &&
    json_is "$(value loss)" loss && [ "$(json modalities audio loss)" != "$(value modalities audio loss)" ] &&
    succeeds evaluate zero --quiet && prints "only: the features of the others are replaced by zero"'
check "another split" eval '
    succeeds evaluate run --split val --json --quiet && json_is val split &&
    awk "BEGIN { d = $(json loss) / $("$TOOLS/json_get" validation loss <run/summary.json) - 1; exit !(d < 1e-8 && d > -1e-8) }" && # nine digits
    succeeds evaluate run --split val --quiet && prints "^run: val, 16 samples$"'
check "the last epoch's weights" eval 'succeeds evaluate run --checkpoint last --json --quiet && json loss >/dev/null'
check "says the protocol" eval 'succeeds evaluate run --quiet && prints "^protocol  default: trained on train, augmented, best epoch by val$"'

check "train says the protocol as well" eval 'succeeds train run/config.yaml --out other --quiet && prints "^protocol +default: trained on train, augmented, best epoch by val$"'
check "no run" fails 1 'none' evaluate none
check "a split that is none" fails 2 'split.*tset.*test' evaluate run --split tset
check "another store, of other classes" eval '
    relearn synth --out five --train 10 --val 5 --test 5 --classes 5 --picture-size 32 --frames 1 && relearn prepare manifest --from five --to five.store &&
    fails 1 "head.weight. is F32 4x32, the model needs F32 5x32" evaluate run --data five.store --quiet'
