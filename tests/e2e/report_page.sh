#!/bin/bash
# The report of small real runs: its sentences against their summaries, and the page in headless Chromium:
# every chart drawn, nothing on the console, in light, dark and on paper.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

prepare() {
    "$RELEARN" synth --quiet --out media --seed 3 --train 64 --val 32 --test 32 >out 2>err &&
        "$RELEARN" prepare manifest --quiet --from media --to data.store >out 2>err
}
train() { # RUN FLAG...
    "$RELEARN" train --quiet --data data.store --out "$@" --set epochs=4 --set batch=16 --set optimizer.lr=0.02 \
        --set encoder.width=16 --set "encoder.blocks=[1,1]" --set threads=1 --set loader_threads=1 >out 2>err
}
of() { "$TOOLS/json_get" "${@:2}" <"$1/summary.json"; }
percent() { awk -v share="$(of "$@")" 'BEGIN { printf "%.1f", 100 * share }'; }
page() { grep -Eq -- "$1" page.html; }

check "prepares" prepare
check "trains jointly" train joint --set method=joint
check "trains with re-learning" train relearn --set method=relearn --set relearn.period=1 --set relearn.times=2
check "trains one modality" train visual --set method=joint --set "modalities=[visual]"
check "keeps features of a quarter of training, and of its end" test -s joint/features/before.safetensors -a -s joint/features/after.safetensors
check "keeps features of before the first re-initialisation, and of the end" test -s relearn/features/before.safetensors -a -s relearn/features/after.safetensors
check "writes the report" succeeds report joint relearn visual --out page.html --truth media/truth.json
# shellcheck disable=SC2034  # used by eval
first=$(head -n 1 out)
check "accuracies in its sentences are those of the summaries" eval '
    grep -Fq "Test accuracy of relearn, $(percent relearn test accuracy) % where joint has $(percent joint test accuracy) %" out &&
    [[ $first == *"audio $(percent joint test modalities audio accuracy) %"* ]] && [[ $first == *"visual $(percent joint test modalities visual accuracy) % against $(percent visual test accuracy) %"* ]]'
alpha() { awk -v share="$(of relearn diagnoses "$1" modalities "$2" applied)" 'BEGIN { printf "%.0f", 100 * share }'; }
check "so are the re-initialisations" eval '
    grep -Fq "after epochs $(of relearn diagnoses 0 epoch) and $(of relearn diagnoses 1 epoch), pulling their weights back towards the first ones: audio by $(alpha 0 0) and $(alpha 1 0) %, visual by $(alpha 0 1) and $(alpha 1 1) %." out'
check "maps of both modalities, before and after" eval '
    page "joint: audio after a quarter of training" && page "relearn: visual before the first re-initialisation" && page "relearn: audio at the end of training" &&
    [ "$(grep -c "<canvas role=\"img\" id=\"map-" page.html)" -eq 8 ] && page "Epoch $(of relearn diagnoses 0 epoch); 32 validation samples"'
contents() {
    local id count=0
    while read -r id; do
        grep -Fq "<a href=\"#$id\">" page.html || return 1
        count=$((count + 1))
    done < <(grep -Eo '<section id="[a-z]+' page.html | cut -d'"' -f 2)
    [ "$count" -eq 9 ]
}
check "the contents lead to every section" contents
check "the same bits again" eval 'cp page.html first.html && succeeds report joint relearn visual --out page.html --truth media/truth.json && cmp page.html first.html'
check "under 3 MB" eval '[ "$(stat -c %s page.html)" -lt 3000000 ]'
# Under the published protocol test chooses, and joint training sees validation: its features are of test.
check "trains as published" eval 'train published --set protocol=published --set method=joint && train diagnosed --set protocol=published --set method=relearn --set relearn.period=1 --set relearn.times=1'
check "features of the split that is not trained on" eval '
    succeeds report published diagnosed --out other.html && grep -q "Epoch 1; 32 test samples" other.html && grep -q "Epoch 4; 32 test samples" other.html &&
    grep -q "Epoch 2; 32 validation samples" other.html && grep -q "Epoch 4; 32 validation samples" other.html'
cp -R relearn cut && truncate -s -100 cut/features/after.safetensors
check "damaged features" fails 1 'cut/features/after\.safetensors' report joint cut --out bad.html
rm cut/features/*.safetensors
check "a run without features has a report" eval 'succeeds report cut --out cut.html && ! grep -q "id=\"map-" cut.html'

browser=$(command -v chromium || command -v chromium-headless-shell)
if [ -z "$browser" ]; then
    skip "the page in a browser" "chromium is not installed (tools/deps.sh browser)"
    exit 0
fi
open_page() { # FLAG... FILE
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --user-data-dir="$TEST_TMP/profile" \
        --host-resolver-rules="MAP * ~NOTFOUND" --enable-logging=stderr --virtual-time-budget=20000 "${@:1:$#-1}" \
        "file://$TEST_TMP/${*: -1}" >browser.out 2>browser.err
}
quiet() { ! grep -E 'CONSOLE|Uncaught' browser.err; }
drawn() { # FILE: as many charts as canvases
    local canvases
    canvases=$(grep -o '<canvas' "$1" | wc -l)
    [ "$canvases" -gt 0 ] && grep -q "data-charts=\"$canvases of $canvases\"" browser.out
}
check "every chart is drawn, without a word on the console" eval 'open_page --dump-dom page.html && drawn page.html && quiet'
# Names as they must not be, which only a browser can tell from markup.
cp -R joint odd
sed -i 's|"method": "joint"|"method": "</script><script>console.error(1)</script><img src=x onerror=console.error(2)>,\\"quoted\\" \x27é"|; s|down_gated_plain_cross|<b>\\"<!--<script>|g' odd/summary.json
check "hostile names stay text" eval '
    succeeds report odd relearn --out odd.html && open_page --dump-dom odd.html && drawn odd.html && quiet && ! grep -q "<img src=\"x\"" browser.out'
pixels() { [ "$("$TOOLS/count_pixels" "$1" "$2")" -gt "$3" ]; }
# The page's ground, and the first two colours of Okabe and Ito, which lines and points are drawn in.
check "looks right in light" eval '
    open_page --window-size=1300,6000 --screenshot="$TEST_TMP/light.png" page.html && pixels light.png ffffff 1000000 && pixels light.png 0072b2 1000 && pixels light.png d55e00 1000'
check "looks right in dark" eval '
    open_page --window-size=1300,6000 --blink-settings=preferredColorScheme=0 --screenshot="$TEST_TMP/dark.png" page.html &&
    pixels dark.png 14171c 1000000 && pixels dark.png 56b4e9 1000 && pixels dark.png d55e00 1000 && ! pixels dark.png 0072b2 1000000'
check "prints" eval 'open_page --no-pdf-header-footer --print-to-pdf="$TEST_TMP/page.pdf" page.html && [ "$(head -c 5 page.pdf)" = %PDF- ] && [ "$(stat -c %s page.pdf)" -gt 50000 ]'
