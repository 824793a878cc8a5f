#!/bin/sh
# The tables of docs/results.md: experiments/run.sh DATASET [OUT]; after `make tests`.
#
# DATASET is avmnist (speech in noise), mosi, or demo (generated media). Prepares the data, trains every row of the table
# with every seed, each run on one thread, and prints one `relearn compare`; the runs stay in OUT (BUILD/experiments/DATASET).
# Started again it goes on where it was stopped.
# Environment:
#   BUILD      folder of the program (build)
#   SEEDS      ("0 1 2 3 4")
#   JOBS       runs at a time (one per CPU)
#   AVMNIST, MOSI  folders of the data sets (../shared/data/avmnist, ../shared/data/mosi)
#   TRAIN      further arguments of `relearn train`, as `--set epochs=2`
#   COMPARE    further arguments of `relearn compare`, as `--markdown`
set -eu
cd "$(dirname "$0")/.."
data=${1:?usage: experiments/run.sh avmnist|mosi|demo [OUT]}
build=${BUILD:-build}
out=${2:-$build/experiments/$data}
seeds=${SEEDS:-0 1 2 3 4}
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN)}
relearn=$build/relearn
mkdir -p "$out"

case $data in
avmnist) modalities="audio visual" ;;
mosi) modalities="text audio video" ;;
demo) modalities="audio visual" ;;
*)
    echo "$0: $data: no such data set (avmnist, mosi or demo)" >&2
    exit 2
    ;;
esac

# Media in OUT/media, the store of a seed in OUT/store-SEED: one for all seeds, but generated media are new ones for each.
prepare() {
    case $data in
    avmnist)
        [ -e "$out/store" ] && return
        BUILD=$build experiments/avmnist.sh "${AVMNIST:-../shared/data/avmnist}" "$out/media"
        "$relearn" prepare manifest --from "$out/media" --to "$out/store"
        ;;
    mosi)
        [ -e "$out/store" ] && return
        "$relearn" prepare features --from "${MOSI:-../shared/data/mosi}" --to "$out/store" --val-fraction 0.2
        ;;
    demo)
        for seed in $seeds; do
            [ -e "$out/store-$seed" ] && continue
            rm -rf "$out/media-$seed"
            "$relearn" synth --out "$out/media-$seed" --seed "$seed" --quiet --picture-size 48 --test 2000
            "$relearn" prepare manifest --from "$out/media-$seed" --to "$out/store-$seed"
        done
        ;;
    esac
}
prepare >"$out/prepare.txt"

# A line per run: its name, what makes it different.
rows() {
    for modality in $modalities; do echo "$modality method=joint modalities=[$modality]"; done
    cat <<EOF
joint method=joint
relearn method=relearn
relearn-lambda6 method=relearn relearn.lambda=6
same method=relearn relearn.strategy=same
random method=relearn relearn.strategy=random
fixed method=relearn relearn.strategy=fixed
hard method=relearn relearn.strategy=hard
shrink-perturb method=relearn relearn.strategy=shrink_perturb
ogm-ge method=ogm_ge
mmpareto method=mmpareto
EOF
}

# train SEED NAME KEY=VALUE...; what stands in OUT/NAME/seed-SEED is finished or goes on.
# shellcheck disable=SC2016  # for the shells that xargs starts
train='
    seed=$1 name=$2 run=$out/$2/seed-$1 store=$out/store
    shift 2
    [ -e "$run/summary.json" ] && exit 0
    [ -e "$store" ] || store=$out/store-$seed
    for setting; do set -- "$@" --set "$setting"; shift; done
    mkdir -p "$out/$name"
    "$relearn" train experiments/$data.yaml --quiet --resume --data "$store" --out "$run" --set seed="$seed" \
        --set threads=1 --set loader_threads=0 "$@" ${TRAIN:-} >"$run.txt" || exit 255
    echo "  $name, seed $seed" >&2'
export relearn out data
for seed in $seeds; do rows | sed "s/^/$seed /"; done | xargs -P "$jobs" -L 1 sh -c "$train" train

# The joint model first: the differences are from it.
groups=$out/joint
for name in $(rows | cut -d" " -f1); do
    [ "$name" = joint ] || groups="$groups $out/$name"
done
# shellcheck disable=SC2086  # several arguments are wanted
"$relearn" compare $groups ${COMPARE:-}
