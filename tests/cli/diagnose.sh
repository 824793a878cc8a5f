#!/bin/bash
# relearn diagnose on files: known purities, the shape of the JSON, every kind of file, several modalities, errors. (Of runs: train.sh.)
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

# 4 far-apart clusters: every clustering finds them. Every 5th training label is wrong (purity 0.8),
# every 2nd validation label (0.5): gap 0.3.
"$TOOLS/make_features" f.npy l.npy 400 8 4 5 1 || exit 1
"$TOOLS/make_features" g.npy m.npy 200 8 4 2 2 || exit 1
arguments=(--train f.npy --train-labels l.npy --val g.npy --val-labels m.npy)
near() { awk -v a="$(json modalities "${3:-0}" "$2")" -v b="$1" 'BEGIN { exit !(a - b < 1e-9 && b - a < 1e-9) }'; }

check "runs" succeeds diagnose "${arguments[@]}" --classes 4 --lambda 3 --seed 0 --json
check "one document, one modality" json_is modalities keys
check "the promised keys first, in order" eval '
    [[ $(json modalities 0 keys) == "name purity_train purity_val inertia_train inertia_val gap alpha "* ]]'
check "then the other measures, their spread, classes and repeats" eval '
    [[ $(json modalities 0 keys) == *" nmi_train nmi_val ari_train ari_val silhouette_train silhouette_val spread classes each" ]]'
check "purity of training" near 0.8 purity_train
check "purity of validation" near 0.5 purity_val
check "gap" near 0.3 gap
check "alpha = tanh(3 * 0.3)" near 0.716297870199 alpha
check "default name" json_is features modalities 0 name
check "five seeds, which agree" eval '
    json_is 4 modalities 0 each 4 seed && ! json modalities 0 each 5 >/dev/null 2>&1 && json_is 0.0 modalities 0 spread alpha'
check "purity of a class" eval 'json_is 2 modalities 0 classes 2 class && json_is 100 modalities 0 classes 2 samples_train &&
    json_is 0.5 modalities 0 classes 2 purity_val'
cp out first
check "same seed, same bits" eval 'succeeds diagnose "${arguments[@]}" --classes 4 --seed 0 --json && cmp -s out first'
check "same bits on one thread" eval 'succeeds diagnose "${arguments[@]}" --classes 4 --threads 1 --json && cmp -s out first'
check "classes from the labels" eval 'succeeds diagnose "${arguments[@]}" --json && cmp -s out first'
check "--lambda" eval 'succeeds diagnose "${arguments[@]}" --lambda 6 --json && near 0.946806012846 alpha'
check "--name" eval 'succeeds diagnose "${arguments[@]}" --name audio --json && json_is audio modalities 0 name'
check "--repeats" eval 'succeeds diagnose "${arguments[@]}" --repeats 2 --seed 3 --json && json_is 4 modalities 0 each 1 seed && ! json modalities 0 each 2 >/dev/null 2>&1'
check "--clusters" eval 'succeeds diagnose "${arguments[@]}" --clusters 1 --json && near 0.25 purity_train && json_is null modalities 0 silhouette_train'
check "--silhouette-samples" eval 'succeeds diagnose "${arguments[@]}" --silhouette-samples 50 --json && ! cmp -s out first && near 0.8 purity_train'
check "tables" eval 'succeeds diagnose "${arguments[@]}" &&
    prints "^400 training and 200 validation samples, 4 classes, 4 clusters; mean .- standard deviation of 5 seeds from 0$" &&
    prints "^  features +0\.8000 \+- 0\.0000 +0\.5000 \+- 0\.0000 +0\.3000 \+- 0\.0000 +0\.7163 \+- 0\.0000$" &&
    prints "^  features +val +0\.[0-9]+ \+- 0\.0000 +" && prints "^  3 +100 +50 +0\.8000 +0\.0000$"'
check "one seed: no spread" eval 'succeeds diagnose "${arguments[@]}" --repeats 1 && prints "^  features +0\.8000 +0\.5000 +0\.3000 +0\.7163$"'

# Several modalities: v is separable on both splits.
"$TOOLS/make_features" v.npy vl.npy 400 5 4 5 3 || exit 1
"$TOOLS/make_features" w.npy wl.npy 200 5 4 2 4 || exit 1
both=(--train audio=f.npy --train visual=v.npy --train-labels l.npy --val visual=w.npy --val audio=g.npy --val-labels m.npy)
check "two modalities by name, in any order" eval '
    succeeds diagnose "${both[@]}" --json && json_is audio modalities 0 name && json_is visual modalities 1 name && near 0.3 gap 1'
check "the first is as it is alone" eval '
    json modalities 0 inertia_val >both && [ "$("$TOOLS/json_get" modalities 0 inertia_val <first)" = "$(cat both)" ]'
check "--only" eval 'succeeds diagnose "${both[@]}" --only visual --json && json_is visual modalities 0 name && ! json modalities 1 >/dev/null 2>&1'
check "unnamed files pair by their place" eval '
    succeeds diagnose --train f.npy --train v.npy --train-labels l.npy --val g.npy --val w.npy --val-labels m.npy --json &&
    json_is f modalities 0 name && json_is v modalities 1 name'
check "--only of no modality" fails 2 '--only smell: there is no such modality' diagnose "${both[@]}" --only smell
check "a modality without counterpart" fails 1 'w\.npy: modality visual has no counterpart in .*f\.npy' diagnose --train audio=f.npy --train-labels l.npy --val audio=g.npy --val visual=w.npy --val-labels m.npy
check "one name twice" fails 2 'v\.npy: two modalities are called a' diagnose --train a=f.npy --train a=v.npy --train-labels l.npy --val a=g.npy --val-labels m.npy

# The same arrays in other files.
same() { # ARGUMENT...: the figures of the first run
    succeeds diagnose "$@" --json --quiet &&
        [ "$(json modalities 0 each)" = "$("$TOOLS/json_get" modalities 0 each <first)" ]
}
for kind in npz safetensors; do
    "$TOOLS/pack_arrays" train.$kind audio=f.npy labels=l.npy visual=v.npy || exit 1
    "$TOOLS/pack_arrays" val.$kind visual=w.npy labels=m.npy audio=g.npy || exit 1
    "$TOOLS/pack_arrays" target.$kind audio=f.npy target=l.npy ids=l.npy || exit 1
    check ".$kind: modalities and labels by their names" same --train train.$kind --val val.$kind
    check ".$kind: names" eval 'json_is audio modalities 0 name && json_is visual modalities 1 name'
    check ".$kind with labels of a file" same --train train.$kind --train-labels l.npy --val val.$kind --val-labels val.$kind
    check ".$kind: --label" eval 'same --train target.$kind --val audio=g.npy --label target --val-labels m.npy'
    check ".$kind without labels" fails 2 "target\.$kind: no labels in it \(name them with --label" diagnose --quiet --train target.$kind --val val.$kind
    check ".$kind: labels of no such name" fails 1 "train\.$kind: no array called nothing" diagnose --train f.npy --train-labels train.$kind --label nothing --val g.npy --val-labels m.npy
    check ".$kind: NAME= for several" fails 2 "train\.$kind: holds 2 arrays" diagnose --train audio=train.$kind --val val.$kind
    head -c 4000 train.$kind >short.$kind
    check "truncated .$kind" fails 1 "short\.$kind" diagnose --train short.$kind --val val.$kind
    : >empty.$kind
    check "empty .$kind" fails 1 "empty\.$kind" diagnose --train empty.$kind --val val.$kind
    check "missing .$kind" fails 1 "none\.$kind: .*No such file" diagnose --train none.$kind --val val.$kind
    echo "no archive" >text.$kind
    check "text called .$kind" fails 1 "text\.$kind" diagnose --train text.$kind --val val.$kind
done

# Text: corners of a square by class; every 4th training label is the next class's.
rows() { # COUNT WRONG [WORDS]
    awk -v n="$1" -v wrong="$2" -v words="${3:-}" 'BEGIN { split("ape,bee,cow,dog", name, ",")
        for (i = 0; i < n; i++) { c = i % 4; l = int(i / 4) % wrong == 0 ? (c + 1) % 4 : c
            printf "%g,%g,%s\n", c % 2 + i / 1e4, int(c / 2) - i / 1e4, words ? name[l + 1] : l } }'
}
{ echo "x,y,label"; rows 48 4; } >t.csv
{ echo "x,y,label"; rows 24 3; } >u.csv
check ".csv with a header" eval 'succeeds diagnose --train t.csv --val u.csv --json && near 0.75 purity_train && near 0.6666666666666666 purity_val'
cp out csv
rows 48 4 >t2.csv && rows 24 3 >u2.csv
check ".csv without a header: labels in the last column" eval 'succeeds diagnose --train t2.csv --val u2.csv --json && cmp -s out csv'
{ echo "x,y,animal"; rows 48 4 words; } >t3.csv
{ echo "x,y,animal"; rows 24 3 words; } >u3.csv
check ".csv with words, of a column by name" eval '
    succeeds diagnose --train t3.csv --val u3.csv --label animal --json && near 0.75 purity_train && json_is cow modalities 0 classes 2 class'
check ".csv with words: table" eval 'succeeds diagnose --train t3.csv --val u3.csv --label animal && prints "^  dog +12 +6 +0\.[0-9]+ +0\.[0-9]+$"'
cut -d, -f1,2 t2.csv >t4.csv && sed 1d t3.csv | cut -d, -f3 >t4_labels.csv && cut -d, -f1,2 u2.csv >u4.csv && cut -d, -f3 u2.csv >u4_labels.csv
check ".csv with labels of a .csv" eval '
    cut -d, -f3 t2.csv >t5_labels.csv && succeeds diagnose --train t4.csv --train-labels t5_labels.csv --val u4.csv --val-labels u4_labels.csv --json && cmp -s out csv'
check "words here, numbers there" fails 1 't4_labels\.csv: labels are words, but those of u4_labels\.csv are numbers' diagnose --train t4.csv --train-labels t4_labels.csv --val u4.csv --val-labels u4_labels.csv
sed '5s/,[0-9.e-]*,/,nan,/' t.csv >nan.csv
check "nan in a .csv" fails 1 "nan\.csv:5: column 2: 'nan' is no finite number" diagnose --train nan.csv --val u.csv
sed '7s/$/,1/' t.csv >long.csv
check "a row too long" fails 1 'long\.csv:7: 4 columns, but the first row has 3' diagnose --train long.csv --val u.csv
sed '9s/,[0-9]$/,-1/' t.csv >negative.csv
check "a negative label" fails 1 'negative\.csv:9: label -1' diagnose --train negative.csv --val u.csv
sed '9s/,[0-9]$/,/' t.csv >missing.csv
check "a label missing" fails 1 'missing\.csv:9: the label is missing' diagnose --train missing.csv --val u.csv
check "a label too large" fails 1 't\.csv: line 4 holds label 3 \(--classes says 3 classes' diagnose --train t.csv --val u.csv --classes 3
sed '9s/,[0-9]$/,2000000000/' t.csv >huge.csv
check "a huge label" fails 1 'huge\.csv: line 9 holds label 2000000000' diagnose --train huge.csv --val u.csv
sed 1d u4.csv >behind.csv
check "a .csv of another length" fails 1 'behind\.csv: 23 samples, but u4\.csv has 24' diagnose --train a=t4.csv --train b=t4.csv --train-labels t5_labels.csv --val a=u4.csv --val b=behind.csv --val-labels u4_labels.csv
echo "x,y,label" >header.csv
check "a header alone" fails 1 'header\.csv: a header, but no rows' diagnose --train header.csv --val u.csv
: >empty.csv
check "empty .csv" fails 1 'empty\.csv: no rows' diagnose --train empty.csv --val u.csv
{ cat t.csv; printf '"'; } >quote.csv
check "a quote never closed" fails 1 'quote\.csv:50' diagnose --train quote.csv --val u.csv

check "missing file" fails 1 'none\.npy: .*No such file' diagnose --train none.npy --train-labels l.npy --val g.npy --val-labels m.npy
: >empty.npy
check "empty file" fails 1 'empty\.npy' diagnose --train empty.npy --train-labels l.npy --val g.npy --val-labels m.npy
head -c 3000 f.npy >short.npy
check "truncated file" fails 1 'short\.npy' diagnose --train short.npy --train-labels l.npy --val g.npy --val-labels m.npy
echo "not an array" >text.npy
check "text called .npy" fails 1 'text\.npy' diagnose --train f.npy --train-labels text.npy --val g.npy --val-labels m.npy
cp f.npy features.dat
check "an ending that says nothing" fails 1 'features\.dat: its name ends in none of' diagnose --train features.dat --train-labels l.npy --val g.npy --val-labels m.npy
printf '\x93NUMPY\x01\x00\x46\x00%-69s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (800000000000, 8), }" >claim.npy
check "a file that claims to be huge" fails 1 'claim\.npy: .*cut off' diagnose --train claim.npy --train-labels l.npy --val g.npy --val-labels m.npy
truncate -s 70G sparse.npy
check "a file that is huge" fails 1 'sparse\.npy: .*limit' diagnose --train sparse.npy --train-labels l.npy --val g.npy --val-labels m.npy
cp f.npy bad.npy && printf '\x00\x00\xc0\x7f' | dd of=bad.npy bs=1 seek=$((128 + 4 * 17)) conv=notrunc status=none
check "nan in an array" fails 1 'bad\.npy: row 2, column 1 \(from 0\) is -?nan' diagnose --train bad.npy --train-labels l.npy --val g.npy --val-labels m.npy
check "features as labels" fails 1 'f\.npy' diagnose --train f.npy --train-labels f.npy --val g.npy --val-labels m.npy
check "labels of the other split" fails 1 'm\.npy: 200 labels for the 400 samples of f\.npy' diagnose --train f.npy --train-labels m.npy --val g.npy --val-labels m.npy
"$TOOLS/make_features" narrow.npy n.npy 200 7 4 0 3
check "other dimensions" fails 1 'narrow\.npy: 7 dimensions, but f\.npy has 8' diagnose --train f.npy --train-labels l.npy --val narrow.npy --val-labels n.npy
check "label out of range" fails 1 'l\.npy: row [0-9]+ \(from 0\) holds label 3' diagnose "${arguments[@]}" --classes 3
"$TOOLS/make_features" few.npy few_l.npy 3 8 3 0 4
check "fewer samples than classes" fails 2 'few\.npy: 3 samples are fewer than the 4 classes' diagnose --train f.npy --train-labels l.npy --val few.npy --val-labels few_l.npy --classes 4
check "fewer samples than clusters" fails 2 'g\.npy: 200 samples are fewer than the 300 clusters' diagnose "${arguments[@]}" --clusters 300
check "no validation" fails 2 '--val FILE is missing' diagnose --train f.npy --train-labels l.npy
check "nothing at all" fails 2 '--train FILE is missing' diagnose
