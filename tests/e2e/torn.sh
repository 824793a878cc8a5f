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
# Files without a checksum of all: cut off at 40 places, what is missing is seen, against what the checkpoint says.
cut_places() { # FILE PATTERN [BYTES]: the last time so many off its end
    local n whole bytes
    whole=$(stat -c %s "$1")
    cp "$1" kept
    for ((n = 0; n < 40; n++)); do
        bytes=$((n * whole / 40))
        [ "$n" -lt 39 ] || bytes=$((whole - ${3:-1}))
        cp kept "$1"
        truncate -s $bytes "$1"
        refused "$2" run || { echo "  cut off at $bytes of $whole"; cat out err; return 1; }
    done
    cp kept "$1"
}
cut_behind() { # FILE: behind each of its lines but the last
    local lines n
    lines=$(wc -l <"$1")
    cp "$1" kept
    for ((n = 0; n < lines; n++)); do
        head -n $n kept >"$1"
        refused "log.jsonl:$((n + 1)): is damaged or missing, and the checkpoint was written behind line $lines" run || { echo "  $n of $lines lines"; return 1; }
    done
    cp kept "$1"
}
lost() { # FILE PATTERN: it is gone
    mv "$1" kept
    refused "$2" run
    local result=$?
    mv kept "$1"
    return $result
}
# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"
check "the log cut off at 40 places" cut_places run/log.jsonl "run/log.jsonl:[0-9]*: "
check "the log cut off behind each line" cut_behind run/log.jsonl
check "zeros at the end of the log" eval 'cp run/log.jsonl whole.log && head -c 64 /dev/zero >>run/log.jsonl && refused "log.jsonl:[0-9]*: a damaged line" run; found=$?; cp whole.log run/log.jsonl; [ $found -eq 0 ]'
check "an epoch's line is another's" eval 'cp run/log.jsonl whole.log && awk "/\"event\":\"epoch\",\"epoch\":2/ { \$0 = kept } { kept = \$0 } 1" whole.log >run/log.jsonl && refused "log.jsonl: has 1 epochs" run; found=$?; cp whole.log run/log.jsonl; [ $found -eq 0 ]'
# A digit of each line but the first; the clock's are not looked at.
digits() {
    local lines n
    cp run/log.jsonl whole.log
    lines=$(wc -l <whole.log)
    for ((n = 2; n <= lines; n++)); do
        awk -v n=$n 'NR == n { match($0, /"(loss|accuracy|purity_train)":[0-9.]*[0-9]/); at = RSTART + RLENGTH - 1
            $0 = substr($0, 1, at - 1) (substr($0, at, 1) + 1) % 10 substr($0, at + 1) } 1' whole.log >run/log.jsonl
        if cmp -s whole.log run/log.jsonl || ! refused "log.jsonl: one of the first $lines lines is not as it was written" run; then
            echo "  line $n of $lines"
            return 1
        fi
    done
    cp whole.log run/log.jsonl
}
check "a digit is changed in a line of the log" digits
check "TensorBoard's events cut off at 40 places" cut_places run/$events "$events: event [0-9]* of [0-9]* is damaged or missing"
check "the same with one bit flipped, at 100 places" flipped run/$events run 100
check "the last event, which has the final measures, is missing" eval '
    cp run/$events whole.events && truncate -s "$("$TOOLS/events_dump" run/$events last)" run/$events && refused "event" run; found=$?; cp whole.events run/$events; [ $found -eq 0 ]'
check "process.json cut off at 40 places" cut_places run/process.json process.json 2
for file in log.jsonl $events checkpoint/last.safetensors checkpoint/best.safetensors; do
    check "$file has gone" lost run/"$file" "$file: is missing"
done
check "previous.safetensors may be removed" eval 'rm -rf other && cp -r run other && rm other/checkpoint/previous.safetensors && succeeds inspect other --verify'
# A run that has just begun, or was killed, is no damaged one.
begun() {
    rm -rf begun && cp -r run begun
    rm begun/checkpoint/* begun/summary.json && : >begun/log.jsonl && : >begun/process.json && : >begun/$events
    succeeds inspect begun --verify --quiet
}
check "a run that has just begun, its files still empty" begun
killed() {
    rm -rf killed && cp -r run killed && rm killed/summary.json
    printf '{"event":"st' >>killed/log.jsonl && printf 'abc' >>killed/$events
    succeeds inspect killed --verify --quiet && relearn "${train[@]}" --out killed --resume && [ "$code" -eq 0 ] && same run killed
}
digit_goes_on() { # one warning, and the damage stays seen
    rm -rf killed && cp -r run killed && rm killed/summary.json && sed -i 's/"loss":[0-9]/"loss":8/' killed/log.jsonl
    relearn "${train[@]}" --out killed --resume && [ "$code" -eq 0 ] && [ "$(grep -c 'killed/log.jsonl: one of its lines is not as it was written' err)" -eq 1 ] &&
        cmp run/checkpoint/last.safetensors killed/checkpoint/last.safetensors && fails 1 "log.jsonl: one of the first" inspect killed --verify --quiet
}
check "training goes on behind a changed digit, with a warning" digit_goes_on
check "half a line and half an event behind the last checkpoint of a run that goes on" killed
check "a torn line of the log" eval 'cp -r run log && printf "{\"event\"" >>log/log.jsonl && fails 1 "log/log.jsonl:[0-9]+: a damaged line" inspect log --verify --quiet'

# --- the configuration ---
configuration() { # WHAT PATTERN RESUME: what is done to config.yaml, and what each command must say of it, with the way out
    local pattern=$2 what
    rm -rf torn && cp -r run torn
    eval "${1}torn/config.yaml"
    for what in "inspect torn --verify" "evaluate torn" "diagnose torn" "predict torn" "predict torn --audio media/audio/test_00001.wav" \
        "export torn --to torn.pth" "report torn --out torn.html" "compare torn" "${train[*]} --out torn --resume"; do
        [ "$3" = resume ] || case $what in train*) continue ;; esac
        # shellcheck disable=SC2086 # words
        if ! fails 1 "torn/config.yaml.*$pattern.*\(restore it from a copy; or remove it, and train with --resume" $what || [ "$(wc -l <err)" -ne 1 ]; then
            echo "  $what"
            return 1
        fi
    done
    relearn runs torn && prints "torn/config.yaml.*$pattern"
}
check "a run's config.yaml is empty: every command says so" configuration "truncate -s 0 " "is empty" resume
check "cut off in a line" configuration "truncate -s -1 " "is cut off" resume
check "cut off in a word" configuration "sed -i '/^fusion/{s/^fus.*/fus/;q}' " "it is damaged" resume
check "cut off behind a line" configuration "sed -i '/^fusion/,\$d' " "is cut off" resume
cut_lines() {
    local n
    for ((n = 0; n < $(wc -l <run/config.yaml); n++)); do
        head -n $n run/config.yaml >torn/config.yaml
        refused "torn/config.yaml: is $([ $n -eq 0 ] && echo empty || echo cut off)" torn || { echo "  $n lines"; return 1; }
    done
}
check "cut off behind each of its lines" cut_lines
older() { # of a program that did not count its lines: read, gone on with, and then counted
    rm -rf torn && cp -r run torn && sed -i 1d torn/config.yaml && succeeds inspect torn --verify --quiet && rm torn/summary.json &&
        relearn "${train[@]}" --out torn --resume && [ "$code" -eq 0 ] && same run torn
}
check "one that does not say how many lines it has" older
check "the same without a key" configuration "sed -i '1d; /^fusion/d' " "is damaged: it has no fusion" resume
check "zeros" configuration "dd if=/dev/zero bs=100 count=1 conv=notrunc status=none of=" "it is damaged" resume
check "text that is no YAML" configuration "sed -i '3s/.*/a: [/' " ":[0-9]*: .*it is damaged" resume
check "it is missing" configuration "rm " "is missing" ""
rewritten() {
    rm -f torn/summary.json
    relearn "${train[@]}" --out torn --resume
    [ "$code" -eq 0 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q "warning: torn/config.yaml: has gone, and is written again as this command has it" err && same run torn
}
check "--resume writes it again, with a warning" rewritten

# --- going on from a damaged checkpoint ---
last=torn/checkpoint/last.safetensors previous=torn/checkpoint/previous.safetensors best=torn/checkpoint/best.safetensors
again() { # [RUN]: a fresh copy of the run, as it was before its summary
    rm -rf torn
    cp -r "${1:-run}" torn
    rm -f torn/summary.json
}
# mends PATTERN: training goes on from the previous checkpoint, with one warning, and ends as the run that was left alone.
mends() {
    relearn "${train[@]}" --out torn --resume
    [ "$code" -eq 0 ] && [ "$(wc -l <err)" -eq 1 ] &&
        grep -Eq "^relearn: warning: $last: $1.*: going on from the checkpoint before it, $previous, of epoch 2 after step 0; what came later is done again$" err &&
        same run torn && cmp -s run/checkpoint/previous.safetensors $previous
}
mended() { # PATTERN COMMAND...: what is done to the last checkpoint
    local pattern=$1
    shift
    again
    "$@" && mends "$pattern"
}
check "the last checkpoint is without a byte: on from the one before" mended "the file is empty" truncate -s 0 $last
check "the last checkpoint is cut off" mended "" truncate -s 4096 $last
check "a bit of its data is flipped" mended "(its checksum|the checksum of its header) does not match" flip $last
check "the last checkpoint is zeros" mended "" eval 'dd if=/dev/zero of=$last bs=$(stat -c %s $last) count=1 status=none'
check "the last checkpoint has gone" mended "cannot open" rm $last
flipped_all() { # a bit flipped anywhere
    local n
    for ((n = 0; n < ${RELEARN_TORN_RESUMES:-5}; n++)); do mended "" flip $last || { echo "  $where"; return 1; }; done
}
check "a bit flipped at random places" flipped_all
finished() { cp -r run torn && flip $last && mends ""; }
check "the same in a run that is finished" eval 'rm -rf torn && finished'
killed_again() { # twice, and killed between: the damaged one must not take the good one's place
    again && flip $last && "$RELEARN" "${train[@]}" --out torn --resume --stop-after 1 2>err
    [ $? -eq 130 ] && cmp -s run/checkpoint/previous.safetensors $previous && : >$last && mends_from_step
}
mends_from_step() { relearn "${train[@]}" --out torn --resume; [ "$code" -eq 0 ] && grep -q "warning: $last.*$previous, of epoch 2 after step 0" err && same run torn; }
check "damaged once more before anything newer was kept" killed_again
both() {
    again && flip $last && flip $previous && sum=$(cat torn/checkpoint/* torn/log.jsonl | cksum) &&
        fails 1 "$last: .*, and $previous is damaged, too: there is nothing to go on from \(begin anew with another --out; .*best.safetensors is whole" "${train[@]}" --out torn --resume &&
        [ "$(cat torn/checkpoint/* torn/log.jsonl | cksum)" = "$sum" ]
}
check "both are damaged: refused, with what to do, and nothing is changed" both
none() { again && flip $last && rm $previous && fails 1 "$previous is not there: there is nothing to go on from" "${train[@]}" --out torn --resume; }
check "damaged, and there is none before it" none
# A whole checkpoint that does not fit the model is no damage.
misfit() { again && cp $best $last && fails 1 "$last: has no tensor" "${train[@]}" --out torn --resume; }
check "a whole checkpoint that does not fit is refused, not passed over" misfit

# Commands that read a damaged checkpoint say what can be done.
again run
flip $last
check "inspect --verify names it" fails 1 "$last: " inspect torn --verify --quiet
for command in evaluate diagnose; do
    check "$command of the damaged one: refused, with two ways out" fails 1 "$last: .*\(take --checkpoint best, or train with --resume, which goes back to the checkpoint before\)" $command torn --checkpoint last --quiet
done
check "export, too" fails 1 "$last: .*take --checkpoint best, or train with --resume" export torn --checkpoint last --to torn.safetensors
check "the best one can still be measured" eval 'succeeds evaluate torn --json --quiet && json accuracy >/dev/null'
check "a flip in its previous one is found, too" eval 'again && flip $previous && fails 1 "$previous: " inspect torn --verify --quiet'
check "a damaged best one: refused, with the way out" eval 'again && flip $best && fails 1 "$best: .*\(take --checkpoint last, or train with --resume, which restores it where another checkpoint has its weights\)" evaluate torn --quiet'
check "all three damaged: train anew" eval 'flip $last && flip $previous && fails 1 "$best: .*no other checkpoint of this run is whole: train it anew" evaluate torn --quiet'
# The best model is in another checkpoint where that was written right behind its epoch.
best_epoch=$("$TOOLS/json_get" best_epoch <run/summary.json)
restored() { # CHECKPOINT COMMAND...: from which, and what is done to the best one of a run without, or with, a summary
    local from=$1
    shift
    rm -rf torn && cp -r run torn && "$@" && relearn "${train[@]}" --out torn --resume
    [ "$code" -eq 0 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q "warning: $best: was damaged or missing, and is restored from torn/checkpoint/$from.safetensors: both are of epoch $best_epoch$" err &&
        same run torn && succeeds inspect torn --verify
}
holder=previous
[ "$best_epoch" -eq 2 ] && holder=last
check "a damaged best one is restored from the $holder one, to the same bits" restored $holder flip $best
check "so is one that has gone, in a run without a summary" restored $holder eval 'rm $best torn/summary.json'
# A method that changes the weights behind the measure of each epoch leaves none to restore it from.
acting=("${train[@]}" --set method=relearn --set epochs=4 --set relearn.period=1 --set relearn.times=9)
relearn "${acting[@]}" --out acted
best_lost() {
    again acted && flip $best && sum=$(cksum <$best) && relearn "${acting[@]}" --out torn --resume
    [ "$code" -eq 1 ] && grep -q "warning: $best: is damaged: the best model so far, of epoch [1-4], is lost, and no other checkpoint has it" err && tail -n 1 err | grep -q "^relearn: $best: .*(take --checkpoint last" &&
        [ "$(cksum <$best)" = "$sum" ]
}
check "where none has it, that is said at once when training goes on, and is an error at its end" best_lost
cp store kept
flip store
until refused store store; do cp kept store; flip store; done
check "training on a damaged store: refused when it is opened or read, or not concerned" eval '
    relearn "${train[@]}" --out damaged; [ $code -eq 0 ] || { [ $code -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q "store" err; }'
