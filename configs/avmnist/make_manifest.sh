#!/bin/sh
# Turns AV-MNIST's lists of pairs into a folder for `relearn prepare manifest`.
#
#   configs/avmnist/make_manifest.sh SOURCE TARGET
#
# SOURCE holds images/, audio/ and pairs_1to1_train.csv, pairs_1to1_test.csv (image,audio,label).
# TARGET gets manifest.csv, with absolute paths of the media, and manifest.yaml.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 SOURCE TARGET" >&2
    exit 2
fi
source=$(cd "$1" && pwd)
target=$2
mkdir -p "$target"

for split in train test; do
    list=$source/pairs_1to1_$split.csv
    [ -r "$list" ] || { echo "$0: $list: cannot be read" >&2; exit 1; }
    # Quotes would need more than a split at commas; these lists have none.
    tr -d '\r' <"$list" | awk -F, -v split_name="$split" -v source="$source" -v list="$list" '
        NR == 1 {
            if ($0 != "image,audio,label") {
                print list ": expected the header image,audio,label" >"/dev/stderr"
                exit 1
            }
            if (split_name == "train") print "id,split,label,audio,visual"
            next
        }
        NF != 3 || /"/ {
            print list ":" NR ": expected three plain columns" >"/dev/stderr"
            exit 1
        }
        {
            printf "%s_%05d,%s,%s,\"%s/%s\",\"%s/%s\"\n", split_name, NR - 2, split_name, $3,
                   source, $2, source, $1
        }'
done >"$target/manifest.csv.new"
mv "$target/manifest.csv.new" "$target/manifest.csv"

cat >"$target/manifest.yaml" <<'END'
# AV-MNIST: a written and a spoken digit. 8 kHz recordings, 99 % of them shorter than 0.93 s.
classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
modalities:
  audio:
    kind: logmel
    sample_rate: 8000
    mel_bins: 64
    frames: 80
  visual:
    kind: frames
    height: 28
    width: 28
    channels: 1
    crop: padded # a digit moved by two pixels is the same digit; a mirrored one is not
    pad: 2
    flip: 0
    mean: [0.1307]
    deviation: [0.3081]
END
echo "$target: $(($(wc -l <"$target/manifest.csv") - 1)) samples"
