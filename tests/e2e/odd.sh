#!/bin/bash
# Odd worlds: paths with spaces, UTF-8 and 300 characters, a locale with decimal commas, odd names of classes, one sample, one
# class, 10,000 classes, six hours of video, fewer samples than a batch, a clock that is set back, empty files. What should
# work does, and to the same result; the rest is one clear error. Numbers and labels: tests/e2e/odd_numbers.sh.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"
library=$TOOLS/../preload/world.so

tiny=(--quiet --set epochs=2 --set batch=8 --set encoder.width=16 --set "encoder.blocks=[1]" --set relearn.period=1
    --set relearn.times=1 --set kernels=fixed --set threads=1)
"$RELEARN" synth --quiet --out media --seed 5 --train 24 --val 8 --test 8 --classes 4 --picture-size 32 --frames 1 >/dev/null
"$RELEARN" prepare manifest --quiet --from media --to store >/dev/null
"$RELEARN" train "${tiny[@]}" --data store --out plain >plain.txt
without_clock() { diff <(plain "$1" | sed -E 's/"data": ?"[^"]*"//; s/^data: .*//') <(plain "$2" | sed -E 's/"data": ?"[^"]*"//; s/^data: .*//'); }
# Whether two runs are the same but for the path of their data.
same_run() {
    cmp "$1/checkpoint/best.safetensors" "$2/checkpoint/best.safetensors" && without_clock "$1/log.jsonl" "$2/log.jsonl" &&
        without_clock "$1/summary.json" "$2/summary.json" && without_clock "$1/config.yaml" "$2/config.yaml"
}

# --- paths ---
part=$(printf 'x%.0s' {1..130})
odd="with space/ünï 日本語 it's \"d\"/$part/$part/$part"
mkdir -p "$odd" && cp -r media "$odd/my media" && echo "method: relearn" >"$odd/cönfig one.yaml"
check "a path of ${#odd} bytes: prepared" succeeds prepare manifest --quiet --from "$odd/my media" --to "$odd/my störe"
check "trained, the same" eval 'succeeds train "$odd/cönfig one.yaml" "${tiny[@]}" --data "$odd/my störe" --out "$odd/my rün" &&
    cmp out plain.txt && same_run plain "$odd/my rün"'
check "its configuration trains again" eval 'succeeds train "$odd/my rün/config.yaml" --quiet --out again && same_run plain again'
check "evaluated, as JSON" eval 'succeeds evaluate "$odd/my rün" --quiet --json && json_is "$odd/my rün" run'
check "predicted, from a list" eval '
    printf "audio,visual\n\"%s\",\"%s\"\n" "my media/audio/test_00001.wav" "my media/visual/test_00001" >"$odd/lïst, one.csv" &&
    succeeds predict "$odd/my rün" --batch "$odd/lïst, one.csv" --csv --quiet && [ "$(wc -l <out)" -eq 2 ]'
check "reported, compared, diagnosed, exported, verified" eval '
    succeeds report "$odd/my rün" --quiet --out "$odd/r é.html" && [ -s "$odd/r é.html" ] && succeeds compare "$odd/my rün" &&
    succeeds diagnose "$odd/my rün" --quiet && succeeds export "$odd/my rün" --to "$odd/w é.pt" && succeeds inspect --verify "$odd/my rün" &&
    succeeds inspect --verify "$odd/my störe" && succeeds runs "$odd" && prints "my rün"'
check "what is suggested to be typed can be typed" eval '
    succeeds synth --quiet --out "$odd/o m" --train 8 --val 4 --test 4 --classes 2 --picture-size 32 --frames 1 &&
    next=$(sed -n "s/^Next: relearn \(.*\) STORE$/\1/p" out) && eval "succeeds $next next.store --quiet"'
long=$(printf 'n%.0s' {1..250})
check "a name that leaves no room for .partial: one error" fails 1 'File name too long' prepare manifest --quiet --from media --to "$long"
latin=$(printf 'r\xe9')
cp -r plain "$latin"
check "a path that is no UTF-8: JSON with a question mark" eval 'succeeds evaluate "$latin" --quiet --json && json_is "r?" run &&
    succeeds runs "$latin" --json && json_is "r?" runs 0 run && succeeds report "$latin" --quiet --json --out "$latin.html" && json_is "r?.html" out'
check "a store whose path is no UTF-8: one error that names it" eval '
    cp store "$latin.store" && LC_ALL=C fails 2 "\.store: not UTF-8.*YAML" train "${tiny[@]}" --data "$latin.store" --out x && [ ! -e x ]'

# --- a locale with decimal commas, set by a library that the program loads ---
german() { LC_ALL=de_DE.UTF-8 LOCPATH=$TEST_TMP/locales WORLD_LOCALE=1 LD_PRELOAD=$library "$@"; }
mkdir locales && { localedef -i de_DE -f UTF-8 locales/de_DE.UTF-8 2>/dev/null || true; }
if [ "$(german "$RELEARN" inspect store | grep -c '[0-9],[0-9]')" -gt 0 ]; then
    relearn predict plain --audio media/audio/test_00001.wav --csv --quiet && cp out probabilities.csv
    check "a locale with commas: the same store" eval 'german "$RELEARN" prepare manifest --quiet --from media --to german.store >/dev/null &&
        "$RELEARN" prepare manifest --quiet --from media --to plain.store >/dev/null && cmp german.store plain.store'
    check "the same run, log, summary and configuration" eval '
        german "$RELEARN" train "${tiny[@]}" --data store --out german >/dev/null && same plain german'
    check "the same CSV and JSON" eval '
        german "$RELEARN" predict plain --audio media/audio/test_00001.wav --csv --quiet >german.csv && cmp german.csv probabilities.csv &&
        relearn evaluate plain --json --quiet && german "$RELEARN" evaluate plain --json --quiet | cmp - out'
    check "numbers on the command line have a point" eval '
        german "$RELEARN" train "${tiny[@]}" --data store --out german2 --set optimizer.lr=0.05 >/dev/null && grep -q "^  lr: 0.05$" german2/config.yaml'
    check "features in a table have a point" eval 'mkdir commas && for s in train val; do printf "%s\n" "0.5,1.5,a" "2.5,0.25,b" >commas/x_$s.csv; done &&
        german "$RELEARN" prepare features --from commas --to commas.store --quiet >/dev/null && succeeds prepare features --from commas --to points.store --quiet &&
        cmp commas.store points.store'
else
    skip "a locale with commas" "localedef cannot make de_DE.UTF-8 here (Debian: locales)"
fi

# --- classes ---
cp -r media named
sed -i 's/,down_[a-z_]*,/,"cat, ""big"" {a}: <b>\&amp;",/; s/,flat_[a-z_]*,/,"ünï 猫 %s %n \\",/' named/manifest.csv
check "classes with a comma, quotes, markup, percent signs: prepared and trained" eval '
    succeeds prepare manifest --quiet --from named --to named.store && succeeds train "${tiny[@]}" --data named.store --out named.run'
check "they are printed as they are, and in JSON" eval '
    succeeds evaluate named.run --quiet && prints "^  cat, \"big\" \{a\}: <b>&amp; +[0-9.]+ " && prints "^  ünï 猫 %s %n \\\\ +[0-9.]+ " &&
    succeeds evaluate named.run --quiet --json && json_is "cat, \"big\" {a}: <b>&amp;" classes 0 name'
check "CSV quotes them" eval 'succeeds predict named.run --audio media/audio/test_00001.wav --csv --quiet && head -n 1 out | grep -q ",\"cat, \"\"big\"\" {a}: <b>&amp;\","'
check "a page has no markup of theirs" eval 'succeeds report named.run --quiet --out named.html && ! grep -q "<b>&amp;" named.html && grep -q "&lt;b&gt;&amp;amp;" named.html'
mkdir lines && for m in a b; do printf '1,2,"x\ny"\n2,1,z\n' >lines/${m}_train.csv; done
check "a class with a line break is refused" fails 1 "class 'x.y' has a control character" prepare features --from lines --to lines.store --quiet
mkdir -p latin1/ok "latin1/$latin" && cp media/audio/test_00001.wav latin1/ok/ && cp media/audio/test_00002.wav "latin1/$latin/"
check "so is one that is no UTF-8" fails 1 "class 'r.' has bytes that are no UTF-8" prepare folders --from latin1 --to latin1.store --quiet

# 10,000 classes: nothing is quadratic in them.
mkdir many && for s in train val; do
    awk -v s=$s 'BEGIN { n = s == "train" ? 10000 : 20; for (c = 0; c < n; c++) printf "%d.5,%d,class %05d\n", c % 97, c % 89, c > "many/a_" s ".csv" }'
done
cp many/a_val.csv many/a_test.csv
check "10,000 classes: prepared" succeeds prepare features --from many --to many.store --quiet
check "trained" eval 'relearn train --quiet --data many.store --out many.run --set method=joint --set epochs=1 --set batch=500 --set kernels=fixed &&
    [ "$code" -eq 0 ] && [ "$(stat -c %s many.run/summary.json)" -lt 10000000 ]'
check "evaluated: confusions as a list, which adds up" eval '
    succeeds evaluate many.run --quiet --json && [ "$(wc -c <out)" -lt 5000000 ] && [ "$(json confusions | grep -o "\[[0-9]*, *[0-9]*, *[0-9]*\]" |
        awk -F "[][,]" "{ sum += \$4 } END { print sum }")" -eq 20 ]'
check "as text, and as a page" eval 'succeeds evaluate many.run --quiet && prints "^most frequent confusions$" && prints "^  class 000[01][0-9]  class [0-9]+ +[0-9]+$" &&
    succeeds report many.run --quiet --out many.html && grep -q "most frequent mistakes of 10000 classes" many.html'

# --- few samples ---
mkdir one && for m in a b; do for s in train val test; do echo "1,2,only" >one/${m}_$s.csv; done; done
check "one sample: prepared" succeeds prepare features --from one --to one.store --quiet
check "the batch is larger: one error" fails 2 'batch: 8, but the train split has 1 samples .*drop_last' train "${tiny[@]}" --data one.store --out x
check "trained, with a warning that there is one class" eval '
    relearn train "${tiny[@]}" --data one.store --out one.run --set drop_last=false && [ "$code" -eq 0 ] && [ "$(wc -l <err)" -eq 1 ] &&
    grep -q "^relearn: warning: .*one.store: one class: there is nothing to tell apart" err'
check "evaluated with a probe, diagnosed" eval 'succeeds evaluate one.run --probe --quiet --json && json_is 1.0 accuracy && succeeds diagnose one.run --quiet'
check "a page does not call it certain" eval 'succeeds report one.run --quiet --out one.html && prints "of 1 test samples, .*uncertain by 39\.7 points"'
rm one/?_val.csv one/?_test.csv
check "no validation, no test: prepared and trained" eval 'succeeds prepare features --from one --to alone.store --quiet &&
    relearn train "${tiny[@]}" --data alone.store --out alone.run --set method=joint --set drop_last=false && [ "$code" -eq 0 ]'
check "what is not there cannot be measured: one error" eval 'fails 1 "no test split" evaluate alone.run --quiet && fails 1 "no val split" diagnose alone.run --quiet'
check "and re-learning needs it: one error" fails 1 'val-fraction' train "${tiny[@]}" --data alone.store --out x --set drop_last=false
check "compared and reported without figures" eval 'succeeds compare alone.run && prints "^  joint +1 +- +- " && succeeds report alone.run --quiet --out alone.html'
head -n 2 media/manifest.csv >named/manifest.csv
check "pictures and sounds, one sample" eval 'succeeds prepare manifest --quiet --from named --to single.store &&
    relearn train "${tiny[@]}" --data single.store --out single.run --set method=joint --set batch=1 && [ "$code" -eq 0 ] && succeeds evaluate single.run --split train --quiet'
check "fewer samples than a batch, and than a whole one more" eval '
    succeeds train "${tiny[@]}" --data store --out small --set batch=64 --set drop_last=false && succeeds train "${tiny[@]}" --data store --out rest --set batch=23 --set drop_last=false'

# --- a video of six hours: a picture every two minutes ---
"$TOOLS/make_clip" long.mp4 1 1 21600 sparse
check "six hours of video: predicted, from the frames that are needed" eval '
    succeeds predict plain --visual long.mp4 --quiet --json && json_is long.mp4 predictions 0 files visual'
mkdir -p hours/film && cp long.mp4 hours/film/
check "a store keeps every frame: the limit is said" fails 1 'long\.mp4: frame [0-9]+ is at [0-9]+ s, beyond the limit of 3600 s' \
    prepare folders --quiet --from hours --to hours.store

# --- a clock that is set back, an hour every second ---
back() { WORLD_CLOCK=-3600 LD_PRELOAD=$library "$@"; }
check "the clock goes back: trained, stopped, gone on, the same" eval '
    back "$RELEARN" train "${tiny[@]}" --data store --out back --stop-after 2 >/dev/null 2>&1; [ $? -eq 130 ] &&
    back "$RELEARN" train "${tiny[@]}" --data store --out back --resume >out 2>err && [ ! -s err ] && same plain back'
check "the clock goes back: the account of runs, no time that is negative" eval '
    back "$RELEARN" runs . >out 2>err && [ ! -s err ] && prints "^ *\./back .* finished" && ! grep -q -- " -[0-9]" out'
check "the clock goes back: prepared, the same" eval 'back "$RELEARN" prepare manifest --quiet --from media --to back.store >/dev/null && cmp store back.store'
