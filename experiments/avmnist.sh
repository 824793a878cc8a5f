#!/bin/sh
# AV-MNIST with speech in noise, as a folder for `relearn prepare manifest`:
#
#   experiments/avmnist.sh SOURCE TARGET [DECIBEL]
#
# SOURCE is the data set's folder (see configs/avmnist). TARGET gets the sounds with white noise at DECIBEL
# signal-to-noise ratio (10), and all 3,000 pairs divided anew by the order of their lists: every tenth for validation,
# six of ten for test, three of ten for training. The lists' own 300 test pairs resolve a third of a point;
# 1,800 resolve more, and training on 900 leaves something to learn.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$here/build}
target=$2
decibel=${3:-10}
mkdir -p "$target/audio"
sh "$here/configs/avmnist/make_manifest.sh" "$1" "$target/clean" >/dev/null
awk -F, -v target="$target" '
    NR == 1 { print >(target "/manifest.csv"); next }
    {
        place = NR % 10
        $2 = place == 0 ? "val" : place < 7 ? "test" : "train"
        from = $4
        gsub(/"/, "", from)
        $4 = "audio/" $1 ".wav"
        print from "\t" target "/" $4
        print $1 "," $2 "," $3 "," $4 "," $5 >(target "/manifest.csv")
    }' "$target/clean/manifest.csv" >"$target/sounds.tsv"
cp "$target/clean/manifest.yaml" "$target/manifest.yaml"
"$build/tests/tools/add_noise" "$decibel" 1 <"$target/sounds.tsv"
