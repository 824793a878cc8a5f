#!/bin/bash
# The disk is full, read-only, or its fsync fails, at some point of prepare, train and report: one error that names the file,
# nothing half-written under a final name, the last checkpoint still good; with room the same command makes what it always makes.
# A full disk is a small tmpfs in a mount namespace of its own where the machine allows one; besides, a limit on the size of files.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"
library=$TOOLS/../preload/fail.so

"$RELEARN" synth --quiet --out media --seed 5 --train 24 --val 8 --test 8 --classes 4 --picture-size 32 --frames 1 >/dev/null

# order WHAT FOLDER: the command line, in `order`; what it makes lies in FOLDER.
order() {
    case $1 in
    prepare) order=("$RELEARN" prepare manifest --quiet --jobs 1 --from media --to "$2/store") ;;
    train) order=("$RELEARN" train --quiet --resume --data whole/store --out "$2/run" --set batch=8 --set epochs=3
        --set encoder.width=16 --set "encoder.blocks=[1]" --set relearn.period=1 --set relearn.times=1 --set threads=1
        --set kernels=fixed) ;;
    report) order=("$RELEARN" report whole/run --quiet --out "$2/report.html") ;;
    esac
}
run() { # WHAT FOLDER; the code in $code. A store that is complete is not made again.
    order "$1" "$2"
    code=0
    if [ "$1" = prepare ] && [ -e "$2/store" ]; then return 0; fi
    "${order[@]}" >out 2>err </dev/null
    code=$?
    [ $code -eq 0 ]
}
same_as_whole() { # WHAT FOLDER
    case $1 in
    prepare) diff <("$RELEARN" inspect whole/store --json) <("$RELEARN" inspect "$2/store" --json) ;;
    train) same whole/run "$2/run" ;;
    report) cmp whole/report.html "$2/report.html" ;;
    esac
}
# One error, which says what is wrong and names a file; nothing broken under a final name.
failed_well() { # WHAT FOLDER PATTERN
    [ "$code" -eq 1 ] && [ "$(grep '^relearn: ' err | grep -vc '^relearn: warning: ')" -eq 1 ] || return 1
    tail -n 1 err | grep -Eq "small.*($3)" || return 1
    # Complete by then: only that it has its name may not be on the disk yet.
    if grep -q 'cannot sync the folder' err; then return 0; fi
    case $1 in
    prepare) [ ! -e "$2/store" ] ;;
    train) [ ! -e "$2/run/checkpoint/last.safetensors" ] || [ -n "$("$TOOLS/tensor_get" "$2/run/checkpoint/last.safetensors" head.bias)" ] ;;
    report) [ ! -e "$2/report.html" ] ;;
    esac
}

mkdir whole
for what in prepare train report; do
    order $what whole
    FAIL_COUNT=counts LD_PRELOAD=$library "${order[@]}" >out 2>err </dev/null
    check "$what, with room" [ $? -eq 0 ]
    read -r _ "syncs_$what" <counts
done

# --- a file that may not grow: as a full disk or a quota ---
limited() { # WHAT KIB
    rm -rf small && mkdir small
    order "$1" small
    # Without a signal, writing beyond it is an error like others.
    (trap '' XFSZ && ulimit -f "$2" && exec "${order[@]}") >out 2>err </dev/null
    code=$?
    failed_well "$1" small 'File too large|disk I/O error' && run "$1" small && same_as_whole "$1" small
}
check "prepare, files of at most 64 KiB" limited prepare 64
check "prepare, files of at most 600 KiB" limited prepare 600
check "train, files of at most 1 KiB" limited train 1
check "train, files of at most 100 KiB" limited train 100
check "report, files of at most 100 KiB" limited report 100

# --- fsync fails: the data may not be on the disk ---
unsynced() { # WHAT N
    rm -rf small && mkdir small
    order "$1" small
    FAIL_SYNC=$2 LD_PRELOAD=$library "${order[@]}" >out 2>err </dev/null
    code=$?
    failed_well "$1" small 'Input/output error|disk I/O' && run "$1" small && same_as_whole "$1" small
}
for what in prepare train report; do
    syncs=syncs_$what
    for n in 1 $((${!syncs} / 2)) "${!syncs}"; do
        [ "$n" -ge 1 ] && check "$what, fsync $n of ${!syncs} fails" unsynced $what "$n"
    done
done

# --- a disk that is full ---
if unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o size=64k tmpfs /mnt' 2>/dev/null; then
    mounted() { # OPTIONS COMMAND...: in a mount namespace whose folder small is a tmpfs
        local options=$1
        shift
        mkdir -p small
        unshare --user --map-root-user --mount bash -c "mount -t tmpfs -o $options tmpfs small && $*"
    }
    export -f order run same_as_whole failed_well same plain
    export events library
    full() { # WHAT KIB: full, then with room
        mounted "size=${2}k" "run $1 small; failed_well $1 small 'No space left|disk is full' && mount -o remount,size=64m small &&
            run $1 small && same_as_whole $1 small"
    }
    for kib in 16 200 700; do check "prepare, a disk of $kib KiB" full prepare $kib; done
    for kib in 8 60 200 300; do check "train, a disk of $kib KiB" full train $kib; done
    check "report, a disk of 60 KiB" full report 60
    for what in prepare train report; do
        check "$what, a disk that is read-only" mounted ro "run $what small; failed_well $what small 'Read-only|read-only'"
    done
else
    skip "a disk that is full" "no mount namespaces here"
fi
