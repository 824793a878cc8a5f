#!/bin/bash
# --memory-limit and what is said of memory before the first step: against the truth (the largest resident memory of the process),
# and against what happens just above and just below it.
# Cases run their commands by eval, which shellcheck does not read.
# shellcheck disable=SC2034
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

export XDG_CACHE_HOME=$TEST_TMP/cache # what was measured before takes less
relearn synth --out media --train 96 --val 32 --test 32 --picture-size 64 --frames 1 --quiet
relearn prepare manifest --from media --to store --quiet
size=(--set batch=32 --set encoder.width=48 --set "encoder.blocks=[1,1,1]" --set epochs=1 --set kernels=fixed --set threads=2 --set loader_threads=2 --set precision=f32)
train() { # RUN FLAG...
    local run=$1
    shift
    rm -rf "$run"
    relearn train --data store --out "$run" --set method=joint "${size[@]}" "$@"
}
timing() { "$TOOLS/json_get" timing "$2" <"$1/summary.json"; }
memory() { head -n 1 "$1/log.jsonl" | "$TOOLS/json_get" memory "$2"; }

# The plan counts every large piece. What it allows for beside: 24 MiB and one a thread for libraries, 3 MiB for each of the four readers of
# two loaders. So the truth lies between the plan without these 38 MiB, and the plan.
truth() { # RUN
    local peak planned
    peak=$(timing "$1" peak_rss_kib) planned=$(timing "$1" planned_rss_kib)
    echo "  $1: planned $planned KiB, largest was $peak KiB"
    [ "$peak" -ge $((planned - 38 * 1024)) ] && [ "$peak" -le "$planned" ]
}
check "trains without a limit" eval 'train free && [ $code -eq 0 ]'
check "it says what it will need before the first step" eval 'head -n 1 err | grep -Eq "^relearn: needs about [0-9.]+ MiB: weights and optimizer [0-9.]+ MiB, activations [0-9.]+ MiB, loader [0-9.]+ MiB, features [0-9.]+ [KM]iB, program [0-9.]+ MiB$"'
check "as much as it says" truth free
# Value, gradient, initial value, momentum; each padded to 64 bytes a tensor. Running statistics are two numbers a channel.
parameters=$("$TOOLS/json_get" parameters <free/summary.json)
check "weights: four numbers for every parameter" eval '[ "$(memory free weights)" -ge $((16 * parameters)) ] && [ "$(memory free weights)" -le $((17 * parameters)) ]'
check "three times the batch: as much as it says" eval 'train large --set batch=96 --set evaluation_batch=96 && [ $code -eq 0 ] && truth large'
check "its activations are three times as large" eval 'ratio=$((100 * $(memory large activations) / $(memory free activations))) && echo "  $ratio %" && [ $ratio -gt 260 ] && [ $ratio -lt 320 ]'
check "a last batch that is smaller" eval 'train rest --set batch=64 --set drop_last=false && [ $code -eq 0 ] && truth rest'
# A batch of one, so that weights are nearly all: the second model is what takes most.
check "precisions are tried: as much as it says" eval 'train tried --set precision=auto --set batch=1 --set evaluation_batch=1 --set optimizer.momentum=0 && [ $code -eq 0 ] && truth tried'
check "bf16: as much as it says, and less" eval 'train narrow --set precision=bf16 && [ $code -eq 0 ] && truth narrow && [ "$(memory narrow activations)" -lt "$(memory free activations)" ]'
check "a method with a second backward and features of its own" eval 'train other --set method=mmpareto && [ $code -eq 0 ]  && truth other'
check "adam: one number more for every parameter" eval 'train adam --set optimizer.name=adam && [ $code -eq 0 ] && truth adam && [ "$(memory adam weights)" -ge $((20 * parameters)) ]'

planned=$(timing free planned_rss_kib)
kib() { echo $((planned + $1))K; }
same_weights() { cmp free/checkpoint/last.safetensors "$1/checkpoint/last.safetensors" && cmp free/checkpoint/best.safetensors "$1/checkpoint/best.safetensors"; }
# The program's own part differs by some pages from start to start.
check "a limit a little above is enough" eval 'train above --memory-limit "$(kib 2048)" && [ $code -eq 0 ] && [ "$(memory above loader_window)" -eq 3 ] && same_weights above'
check "and is kept" eval '[ "$(timing above peak_rss_kib)" -le $((planned + 2048)) ]'
loader=$(memory free loader)
check "a limit a little below: fewer batches are read ahead, for the same bits" eval 'train below --memory-limit "$(kib -2048)" && [ $code -eq 0 ] && [ "$(memory below loader_window)" -lt 3 ] && [ "$(memory below loader)" -lt "$loader" ] && same_weights below &&
    [ "$(timing below peak_rss_kib)" -le $((planned - 2048)) ]'
check "two seeds under it, one after the other" eval 'rm -rf series && relearn train --data store --out series --seeds 0-1 --set method=joint "${size[@]}" --memory-limit "$(kib 2048)" --quiet && [ $code -eq 0 ]'

low=$((4 * planned / 5))K
check "below the need: refused before anything is written, with what would fit" eval 'rm -rf none && fails 1 "memory limit of [0-9.]+ MiB: needs about .* MiB: weights .*\(--set batch=[0-9]+ --set evaluation_batch=[0-9]+ would fit\)" \
    train --data store --out none --set method=joint "${size[@]}" --memory-limit $low && [ ! -e none ]'
batch=$(sed -nE 's/.*--set batch=([0-9]+) .*/\1/p' err)
check "what would fit does" eval 'train fits --memory-limit $low --set batch=$batch --set evaluation_batch=$batch && [ $code -eq 0 ] && [ "$(timing fits peak_rss_kib)" -le "${low%K}" ]'
more=$((batch + 2))
check "a larger one does not" eval 'train more --memory-limit $low --set batch=$more --set evaluation_batch=$more; [ $code -eq 1 ] && [ ! -e more ]'
check "where nothing fits, it says so" fails 1 "not even a batch of 1 fits" train --data store --out none --set method=joint "${size[@]}" --memory-limit 16M
check "what is no size" fails 2 "memory-limit: \"4X\" is not a size" train --data store --out none --memory-limit 4X

# A machine of 64 MiB.
small() { env LD_PRELOAD="$TOOLS/../preload/world.so" WORLD_PAGES=$((64 * 1048576 / $(getconf PAGESIZE))) "$RELEARN" "$@" >out 2>err </dev/null; }
check "more than the machine has: a warning that says what it has, and how to learn what would fit" eval 'rm -rf warned && small train --data store --out warned --set method=joint "${size[@]}" && same_weights warned &&
    grep -Eq "^relearn: warning: needs about [0-9.]+ MiB: .*, but this machine, or its control group, has 64(\.0)? MiB \(--memory-limit 64(\.0)? MiB says what would fit\)$" err'
check "less than it has: none" eval 'train free && ! grep -q "this machine" err'

relearn evaluate free --json --quiet
cp out whole.json
# tight COMMAND...: a limit that is 5 % below what the command says that it needs.
tight() {
    "$RELEARN" "$@" --memory-limit 16M 2>&1 >/dev/null | sed -nE 's/.*needs about ([0-9.]+) MiB.*/\1/p' | awk '{ printf "%dK", $1 * 1024 * 0.95 }'
}
check "evaluate in smaller batches, to the same result" eval 'relearn evaluate free --json --memory-limit "$(tight evaluate free)" && [ $code -eq 0 ] && grep -Eq "^relearn: batches of [0-9]+ samples, not 32, to need less memory$" err && [ "$(json accuracy)" = "$("$TOOLS/json_get" accuracy <whole.json)" ]'
check "diagnose, too" eval 'relearn diagnose free --json --repeats 1 --memory-limit "$(tight diagnose free)" && [ $code -eq 0 ] && grep -q "^relearn: batches of" err'
# predict: the same plan, and no store.
grep -E '^id|,test,' media/manifest.csv >media/list.csv
peak() { "$TOOLS/peak_memory" peak "$RELEARN" predict free --batch media/list.csv --csv "$@" >out 2>err </dev/null; }
check "predict, too: in smaller batches, to the same digits, and the limit is kept" eval 'peak && cp out free.csv && limit=$(tight predict free --batch media/list.csv) &&
    peak --memory-limit "$limit" && grep -Eq "^relearn: batches of [0-9]+ samples, not 32, to need less memory$" err && cmp out free.csv && echo "  $(cat peak) of $limit" && [ "$(cat peak)" -le "${limit%K}" ]'
check "or refused, before a file is read" fails 1 "memory limit of 16.0 MiB: needs about .*not even a batch of 1 fits" predict free --batch media/list.csv --memory-limit 16M
check "or refused" fails 1 "not even a batch of 1 fits" evaluate free --memory-limit 16M
