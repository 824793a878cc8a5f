#!/bin/bash
# Torn and flipped files: a store and a checkpoint cut off at every 4 KiB, and with one bit flipped at 100 places, are recognised
# by `inspect --verify`; training refuses them with one line and leaves what is whole alone.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
RANDOM=${RELEARN_TORN_SEED:-1}

relearn synth --out media --train 12 --val 4 --test 4 --classes 2 --picture-size 24 --frames 1
relearn prepare manifest --from media --to store --quiet
train=(train --data store --set epochs=2 --set batch=4 --set encoder.width=16 --set "encoder.blocks=[1]" --set method=joint --quiet)
relearn "${train[@]}" --out run
check "a whole store" eval 'succeeds inspect store --verify && prints "^store: tables and 40 media are whole$"'
check "a whole run" eval 'succeeds inspect run --verify --quiet && prints "^run: [0-9]+ files are whole$"'
check "the same as JSON" eval 'succeeds inspect store --verify --json && json_is 40 cells && json_is true whole'
relearn inspect store --json
cp out store.json

flip() { # FILE: one random bit
    local size at byte
    size=$(stat -c %s "$1")
    at=$(((RANDOM * 32768 + RANDOM) % size))
    byte=$(od -An -tu1 -j $at -N 1 "$1")
    printf '%b' "$(printf '\\x%02x' $((byte ^ 1 << RANDOM % 8)))" | dd of="$1" bs=1 seek=$at conv=notrunc status=none
    where="byte $at"
}
# refused FILE PATH: `inspect --verify PATH` fails with one line that names the file.
refused() {
    "$RELEARN" inspect "$2" --verify --quiet >out 2>err </dev/null
    [ $? -eq 1 ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && grep -q "^relearn: .*$1" err
}
cut_off() { # FILE PATH
    local bytes whole
    whole=$(stat -c %s "$1")
    cp "$1" kept
    for ((bytes = 0; bytes < whole; bytes += 4096)); do
        cp kept "$1"
        truncate -s $bytes "$1"
        refused "$1" "$2" || { echo "  cut off at $bytes of $whole"; return 1; }
    done
    cp kept "$1"
}
# flipped FILE PATH: what is not refused is in a byte that means nothing, so that the rest reads as before.
flipped() {
    local n seen=0
    cp "$1" kept
    for ((n = 0; n < 100; n++)); do
        cp kept "$1"
        flip "$1"
        if refused "$1" "$2"; then
            seen=$((seen + 1))
        else
            { [ "$2" = store ] && "$RELEARN" inspect store --json >out 2>err && cmp -s out store.json; } || { echo "  $where"; return 1; }
        fi
    done
    cp kept "$1"
    echo "  $seen of 100 recognised"
    [ $seen -ge "$3" ]
}
check "a store cut off at every 4 KiB" cut_off store store
check "a store with one bit flipped, at 100 places" flipped store store 20
for name in last best; do
    check "$name.safetensors cut off at every 4 KiB" cut_off run/checkpoint/$name.safetensors run
    check "$name.safetensors with one bit flipped, at 100 places" flipped run/checkpoint/$name.safetensors run 100
done
check "a torn line of the log" eval 'cp -r run log && printf "{\"event\"" >>log/log.jsonl && fails 1 "log/log.jsonl:[0-9]+: a damaged line" inspect log --verify --quiet'

cp -r run torn
rm torn/summary.json
flip torn/checkpoint/last.safetensors
check "going on from a damaged checkpoint: refused, with what to do" eval '
    sum=$(cat torn/checkpoint/* | cksum)
    fails 1 "torn/checkpoint/last.safetensors.*best.safetensors is whole" "${train[@]}" --out torn --resume && [ "$(cat torn/checkpoint/* | cksum)" = "$sum" ]'
check "the best one can still be measured" eval 'succeeds evaluate torn --json --quiet && json accuracy >/dev/null'
cp store kept
flip store
until refused store store; do cp kept store; flip store; done
check "training on a damaged store: refused when it is opened or read, or not concerned" eval '
    relearn "${train[@]}" --out damaged; [ $code -eq 0 ] || { [ $code -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q "store" err; }'
