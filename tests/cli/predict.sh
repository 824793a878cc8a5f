#!/bin/bash
# relearn predict: raw media in, the same classes out as evaluation gets from the store; whatever is missing, wrong or too long.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

# Every kind of modality: clips with sound and pictures, of which also flow is taken, and a vector.
mkdir media
cat >media/manifest.yaml <<YAML
modalities:
  voice: {kind: logmel, sample_rate: 11025, mel_bins: 40, frames: 64, mono: mean}
  tone: {kind: stft, seconds: 2, n_fft: 256, hop: 512, sample_rate: 8000}
  film: {kind: frames, fps: 4, clip_frames: 3, height: 40, width: 48}
  motion: {kind: flow, pairs_per_clip: 2, clip_frames: 2, height: 40, width: 48}
  words: {kind: vector, standardize: true}
YAML
echo id,split,label,voice,tone,film,motion,words >media/manifest.csv
i=0
for split in train train train val test test test; do
    for class in 0 1 2; do
        i=$((i + 1))
        "$TOOLS/make_clip" media/c$i.mp4 $class $i 1.6
        "$TOOLS/make_features" media/w$i.npy labels.npy 1 12 1 0 $((i % 5))
        echo "s$i,$split,class $class,c$i.mp4,c$i.mp4,c$i.mp4,c$i.mp4,w$i.npy" >>media/manifest.csv
    done
done
cat >config.yaml <<YAML
method: joint
epochs: 3
batch: 4
optimizer: {lr: 0.02}
encoder: {width: 16, blocks: [1]}
encoders: {words: {kind: mlp, hidden: [16]}}
YAML
relearn prepare manifest --from media --to store --quiet
check "prepares every kind" eval '[ $code -eq 0 ]'
relearn train config.yaml --data store --out run --quiet
check "trains" eval '[ $code -eq 0 ]'
"$TOOLS/store_predictions" run >stored
grep -E '^id|,test,' media/manifest.csv >media/test.csv
mv store hidden # the run folder alone has to do

probabilities() { sed 1d "$1" | cut -d, -f5-; } # of --csv
# apart FILE FILE: the largest difference of two tables of numbers
apart() { paste -d, "$1" "$2" | awk -F, '{ n = NF / 2; for (i = 1; i <= n; i++) { d = $i - $(i + n); if (d < 0) d = -d; if (d > most) most = d } } END { print most + 0 }'; }
small() { awk -v most="$1" -v bound="$2" 'BEGIN { exit !(most < bound) }'; }

check "a list: the probabilities of evaluation from the store, to the bit" eval '
    succeeds predict run --batch media/test.csv --csv --quiet && probabilities out >raw && [ "$(wc -l <raw)" -eq 9 ] && cmp raw stored'
check "in the order of the list, whatever the threads" eval '
    { head -n 1 media/test.csv; sed 1d media/test.csv | tac; } >media/back.csv
    succeeds predict run --batch media/back.csv --csv --quiet --jobs 5 && probabilities out | tac | cmp - stored'
: >single
check "one at a time: the same to rounding" eval '
    for i in 13 14 15 16 17 18 19 20 21; do
        succeeds predict run media/c$i.mp4 --words media/w$i.npy --csv --quiet && probabilities out >>single || return 1
    done
    small "$(apart single stored)" 1e-5'
check "says which class, with its probability" eval '
    succeeds predict run media/c13.mp4 --words media/w13.npy --quiet && cp out text &&
    succeeds predict run media/c13.mp4 --words media/w13.npy --json --quiet &&
    grep -q "^  $(json predictions 0 class) *$(printf %.4f "$(json predictions 0 probability)")$" text && grep -q "^film: media/c13.mp4$" text'
check "--top" eval 'succeeds predict run media/c13.mp4 --top 2 --json --quiet && json predictions 0 top 1 class >/dev/null && ! json predictions 0 top 2 class 2>/dev/null'
check "a list with labels says how many are right, as evaluation does" eval '
    succeeds predict run --batch media/test.csv --json --quiet && right=$(json right) && json_is 9 labelled &&
    succeeds evaluate run --data hidden --json --quiet && awk "BEGIN { exit !($(json accuracy) * 9 - $right < 1e-6 && $right - $(json accuracy) * 9 < 1e-6) }"'

# --- missing modalities, and what each carried ---

check "a missing modality is said" eval '
    succeeds predict run --voice media/c13.mp4 --quiet && prints "^words: missing; its training mean stands for it$" && prints "^voice: media/c13.mp4$"'
relearn evaluate run --data hidden --json --quiet
cp out evaluation.json
awk -F, 'NR > 1 { print $1 "," $3 "," $6 } NR == 1 { print "id,label,film" }' media/test.csv >media/film.csv
check "film alone: what evaluation says of film with the others masked" eval '
    succeeds predict run --batch media/film.csv --csv --quiet &&
    loss=$(sed 1d out | awk -F, "{ split(\$2, word, \" \"); sum -= log(\$(5 + word[2])) } END { printf \"%.9f\", sum / NR }") &&
    awk -v a="$loss" -v b="$("$TOOLS/json_get" modalities film loss <evaluation.json)" "BEGIN { exit !((a - b) ^ 2 < 2.5e-13) }"'
parts() { json predictions 0 explanation "$@"; }
check "--explain: the parts add up to the whole difference" eval '
    succeeds predict run media/c13.mp4 --words media/w13.npy --explain --json --quiet &&
    small "$(awk "BEGIN { d = $(parts none) + $(parts modalities voice part) + $(parts modalities tone part) + $(parts modalities film part) +
        $(parts modalities motion part) + $(parts modalities words part) - $(json predictions 0 probability); print d < 0 ? -d : d }")" 1e-12'
check "alone and without are predictions with less" eval '
    class=$(json predictions 0 class) alone=$(parts modalities film alone) without=$(parts modalities words without)
    probability() { json predictions 0 top "$1" class | grep -qx "$class" && json predictions 0 top "$1" probability; }
    any() { probability 0 || probability 1 || probability 2; }
    succeeds predict run --film media/c13.mp4 --json --quiet && small "$(awk "BEGIN { d = $(any) - $alone; print d < 0 ? -d : d }")" 1e-6 &&
    succeeds predict run media/c13.mp4 --json --quiet && small "$(awk "BEGIN { d = $(any) - $without; print d < 0 ? -d : d }")" 1e-6'
check "what is missing carried nothing" eval '
    succeeds predict run --film media/c13.mp4 --tone media/c13.mp4 --explain --json --quiet && json_is 0.0 predictions 0 explanation modalities words part'
check "text says it as well" eval '
    succeeds predict run --film media/c13.mp4 --explain --quiet && prints "^what carried .*training mean to 0\.[0-9]{4}$" && prints "^  words \(missing\) +[+]0.0000 "'
check "mask: zero" eval '
    relearn train config.yaml --data hidden --out zero --quiet --set mask=zero && succeeds predict zero --film media/c13.mp4 --quiet && prints "^words: missing; zero stands for it$"'

# --- one file for several modalities ---

"$TOOLS/make_clip" silent.mp4 1 1 1.6 silent
"$TOOLS/make_clip" sound.wav 1 1 1.6
"$TOOLS/make_clip" blind.mp4 1 1 1.6 blind
check "a file without sound serves what it can" eval 'succeeds predict run silent.mp4 --quiet && prints "^voice: missing" && prints "^film: silent.mp4$" && prints "^motion: silent.mp4$"'
check "a sound serves the sounds" eval 'succeeds predict run sound.wav --quiet && prints "^voice: sound.wav$" && prints "^tone: sound.wav$" && prints "^film: missing"'
check "a flag comes before the file" eval 'succeeds predict run silent.mp4 --voice sound.wav --quiet && prints "^voice: sound.wav$" && prints "^tone: missing" && prints "^film: silent.mp4$"'

# --- older runs, other checkpoints ---

check "the last checkpoint has no mean features: it needs the store, and says so" fails 1 'must be computed from its store.*no such store' predict run sound.wav --checkpoint last --quiet
check "and takes them from the store" eval 'succeeds predict run sound.wav --checkpoint last --data hidden --json --quiet && json_is last checkpoint'
check "a run of an older program falls back to its store" eval '
    cp -r run old && rm old/data.json && fails 1 "no such store" predict old sound.wav --quiet &&
    mv hidden store && succeeds predict old --batch media/test.csv --csv --quiet && probabilities out | cmp - stored; mv store hidden'
check "a damaged description is named" eval 'sed "s/\"kind\": \"flow\"/\"kind\": \"flew\"/" run/data.json >old/data.json && fails 1 "old/data.json: damaged" predict old sound.wav --quiet'
check "statistics of another width are refused" eval '
    sed "s/\"features\": 12/\"features\": 13/" run/data.json >old/data.json && fails 1 "old/data.json: damaged description of the data: statistics of another size" predict old sound.wav --quiet'
check "a description of another data set is refused" eval '
    sed "s/\"fingerprint\": \"./\"fingerprint\": \"x/" run/data.json >old/data.json && fails 1 "trained on another data set" predict old sound.wav --quiet'

# --- wrong files: one error each ---

: >empty.wav
echo "no media" >text.txt
"$TOOLS/make_clip" whole.flv 1 1 1.6
head -c 3000 media/c1.mp4 >torn.mp4
"$RELEARN" synth --quiet --out pictures --train 1 --val 0 --test 0 --classes 2 >/dev/null
picture=pictures/visual/train_00001/frame_00001.jpg
check "no such file" fails 1 'voice: nofile.wav: no such file' predict run --voice nofile.wav --quiet
check "an empty file" fails 1 'voice: empty.wav: the file is empty' predict run --voice empty.wav --quiet
check "an empty file as film" fails 1 'film: empty.wav: the file is empty' predict run --film empty.wav --quiet
check "a text" fails 1 'film: text.txt: not a sound or video file' predict run --film text.txt --quiet
check "a truncated clip" fails 1 'film: torn.mp4: ' predict run --film torn.mp4 --quiet
check "a sound as film" fails 1 'film: sound.wav: it has no video stream' predict run --film sound.wav --quiet
check "a sound track alone as film" fails 1 'film: blind.mp4: it has no video stream' predict run --film blind.mp4 --quiet
check "a picture as sound" fails 1 'voice: .*jpg: it has no sound stream' predict run --voice "$picture" --quiet
check "a picture as film" eval 'succeeds predict run --film "$picture" --quiet'
check "a folder of frames as film" eval 'succeeds predict run --film pictures/visual/train_00001 --quiet'
check "a picture as motion" fails 1 'motion: .*jpg' predict run --motion "$picture" --quiet
check "a vector of another width" eval '"$TOOLS/make_features" wide.npy labels.npy 1 13 1 0 1 && fails 1 "words: wide.npy: 13 values" predict run --words wide.npy --quiet'
check "a clip as vector" fails 1 'words: media/c1.mp4' predict run --words media/c1.mp4 --quiet
check "a file that nothing can be made of" fails 1 'text.txt' predict run text.txt --quiet

# --- wrong usage ---

check "a modality that the run has not: names those that it has" fails 2 'the run takes --voice, --tone, --film, --motion, --words: --smell' predict run --smell x
check "no run" fails 1 'nothing: is no run' predict nothing
check "no run, with files" fails 2 'nothing is no run' predict nothing --voice x
check "no file" fails 2 'no file to predict from' predict run
check "a list and files" fails 2 'the list names the files' predict run --batch media/test.csv --voice x
check "a vector without its flag" fails 2 'which modality is it' predict run media/w1.npy

# --- lists ---

list() { cat >list.csv; }
check "an empty list" eval 'list </dev/null; fails 1 "list.csv: no samples" predict run --batch list.csv'
check "a column that is none" eval 'list <<<"voice,smell
a,b"; fails 1 "list.csv:1: column \"smell\" is no modality of the run \(it has voice, tone, film, motion, words" predict run --batch list.csv'
check "a column that is there twice" eval 'list <<<"voice,voice
a,b"; fails 1 "list.csv:1: column \"voice\" is there twice" predict run --batch list.csv'
check "a line with a field too few" eval 'list <<<"voice,film
a,b
a"; fails 1 "list.csv:3: 1 fields, but the header has 2" predict run --batch list.csv'
check "a line that names nothing" eval 'list <<<"id,voice,film
a,,
b,x,"; fails 1 "list.csv:2: names no file" predict run --batch list.csv'
list <<<"film,id,voice
media/c13.mp4,,
text.txt,bad,
,quiet,sound.wav
media/c14.mp4,\"with, comma\",nofile.wav"
check "bad files in a list: warnings with their lines, the others in order, exit code 1" eval '
    relearn predict run --batch list.csv --json --quiet; [ $code -eq 1 ] && json_is 2 failed &&
    [ "$(grep -c "relearn: warning: " err)" -eq 2 ] && grep -q "list.csv:3: film: text.txt" err && grep -q "list.csv:5: voice: nofile.wav" err &&
    tail -n 1 err | grep -q "^relearn: list.csv: 2 of 4 samples could not be read" &&
    json_is 2 predictions 0 line && json_is quiet predictions 2 id && json predictions 0 class >/dev/null && json predictions 1 error >/dev/null &&
    ! json predictions 1 class 2>/dev/null && json predictions 2 class >/dev/null && json_is "with, comma" predictions 3 id'
check "the same as a table" eval '
    relearn predict run --batch list.csv --quiet; [ $code -eq 1 ] && prints "^line 2 +- +class [0-2] +0\.[0-9]+ +voice, tone, motion, words$" && prints "^bad +- +- +- +cannot be read$"'
check "the same in commas" eval '
    relearn predict run --batch list.csv --csv --quiet; [ $code -eq 1 ] && [ "$(wc -l <out)" -eq 5 ] && grep -q "^bad,,,,,,$" out && grep -q "^\"with, comma\",,,,,,$" out'

# --- hours of sound and film ---

# long_wav FILE: six hours of 16-bit silence at 8 kHz, 346 MB, nearly all of it a hole.
long_wav() {
    local bytes=$((6 * 3600 * 8000 * 2))
    little() { printf '%b' "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"; }
    { printf RIFF; little $((bytes + 36)); printf 'WAVEfmt '; little 16; printf '\x01\x00\x01\x00'; little 8000; little 16000
      printf '\x02\x00\x10\x00data'; little $bytes; } >"$1" && truncate -s $((bytes + 44)) "$1"
}
check "six hours of sound: read as far as needed, in little memory" eval '
    long_wav long.wav && in_memory 1000 timeout 60 "$RELEARN" predict run --voice long.wav --tone long.wav --json --quiet >out 2>err && json predictions 0 class >/dev/null'

# --- real recordings ---

shared=$here/../../shared/data
if [ ! -d "$shared/avmnist" ] || [ ! -d "$shared/clips" ]; then
    skip "predictions on real digits and clips" "no ../shared/data"
    exit
fi
sh "$here/../configs/avmnist/make_manifest.sh" "$shared/avmnist" digits >/dev/null
{ head -n 1 digits/manifest.csv; grep ,train, digits/manifest.csv | head -n 700; grep ,test, digits/manifest.csv; } >some && mv some digits/manifest.csv
relearn prepare manifest --from digits --to digits.store --val-fraction 0.1 --quiet
relearn train "$here/../configs/avmnist/train.yaml" --data digits.store --out digits.run --set method=joint --set epochs=8 --quiet
relearn evaluate digits.run --json --quiet
cp out evaluation.json
rm digits.store
head -n 1 digits/manifest.csv >digits/test.csv
grep ,test, digits/manifest.csv >>digits/test.csv
score() { "$TOOLS/json_get" "$@" accuracy <evaluation.json; }
percent() { awk "BEGIN { printf \"%.2f\", 100 * $1 }"; }
check "300 real digits, written and spoken: as many right as evaluation finds" eval '
    succeeds predict digits.run --batch digits/test.csv --quiet && prints "^[0-9]+ of 300 with a label are right \($(percent "$(score)") %\)$" &&
    awk "BEGIN { exit !($(score) > 0.8) }"'
for modality in audio visual; do
    column=$([ $modality = audio ] && echo 4 || echo 5)
    cut -d, -f"1-3,$column" digits/test.csv >digits/alone.csv
    check "the same from $modality alone" eval '
        succeeds predict digits.run --batch digits/alone.csv --quiet && prints "\($(percent "$(score modalities $modality)") %\)$"'
done
relearn synth --out demo --train 48 --val 16 --test 0 --classes 4 --picture-size 32
relearn prepare manifest --from demo --to demo.store --quiet
grep -v words config.yaml >demo.yaml
relearn train demo.yaml --data demo.store --out demo.run --quiet --set batch=8
for clip in "$shared"/clips/*.*; do
    check "a real clip: $(basename "$clip")" eval '
        relearn predict demo.run "$clip" --explain --quiet; [ $code -eq 0 ] && prints "^visual: $clip$" && prints "^  .* 0\.[0-9]{4}$"'
done
check "the sound of a real clip alone" eval '
    clip=$(echo "$shared"/clips/RAVDESS*.mp4) && relearn predict demo.run --audio "$clip" --quiet && prints "^audio: $clip$" && prints "^visual: missing"'
check "a folder of real frames" eval 'succeeds predict demo.run --visual "$shared/clips/rgb_flow_sample" --quiet && prints "^audio: missing"'
