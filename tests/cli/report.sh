#!/bin/bash
# relearn report on run folders written here: its sentences against their numbers, text that is
# hostile to HTML, damaged files. The page in a browser: tests/e2e/report_page.sh.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

# run FOLDER METHOD SEED TEST AUDIO VISUAL [MODALITIES]: accuracies of the whole and of each modality alone.
run() {
    local modalities=${7:-audio,visual} alone=
    case ",$modalities," in *,audio,*) alone="\"audio\": {\"accuracy\": $5, \"loss\": 1.5}" ;; esac
    case ",$modalities," in *,visual,*) alone="${alone:+$alone, }\"visual\": {\"accuracy\": $6, \"loss\": 1.5}" ;; esac
    mkdir -p "$1"
    cat >"$1/summary.json" <<EOF
{"method": "$2", "seed": $3, "epochs": 3, "modalities": ["${modalities//,/\", \"}"],
 "data": {"recipe": "manifest", "fingerprint": "f$3", "classes": 4, "samples": {"train": 100, "val": 40, "test": 400}, "missing": 0},
 "validation": {"accuracy": 0.5},
 "test": {"samples": 400, "accuracy": $4, "macro_f1": 0.25, "ece": 0.1, "modalities": {$alone},
          "classes": [$(class ape), $(class bee), $(class cat), $(class dog)],
          "confusion": [[60, 20, 10, 10], [15, 65, 10, 10], [5, 10, 70, 15], [0, 5, 15, 80]],
          "calibration": [{"samples": 400, "confidence": 0.7, "accuracy": 0.6}]},
 "diagnoses": [$([ "$2" = relearn ] && diagnosis 2)],
 "timing": {"seconds": 12.5, "peak_rss_kib": 1024, "threads": 1}}
EOF
    printf 'method: %s\nseed: %s\nepochs: 3\nfusion: concat\nencoders:\n  audio:\n    kind: auto\ndata: /nowhere.sqlite\n' "$2" "$3" >"$1/config.yaml"
    [ "$modalities" = audio,visual ] || printf 'modalities: [%s]\n' "$modalities" >>"$1/config.yaml"
    {
        echo '{"event":"start","method":"'"$2"'","seed":0}'
        for epoch in 1 2 3; do
            echo '{"event":"step","epoch":'$epoch',"step":1,"loss":1.0,"timing":{"seconds":0.1}}'
            echo '{"event":"epoch","epoch":'$epoch',"train":{"samples":100,"loss":1.0,"accuracy":0.5},"learning_rate":0.1,"validation":{"samples":40,"loss":'"${LOSS:-1.25}"',"accuracy":0.4,"modalities":{'"$alone"'}},"best":true,"timing":{"seconds":2.0,"loader_wait_seconds":0.5}}'
        done
    } >"$1/log.jsonl"
}
class() { printf '{"name": "%s", "precision": 0.5, "recall": 0.25, "f1": 0.3, "average_precision": 0.5, "support": 100}' "$1"; }
# Applied: 0.25 of the way for audio, ${VISUAL_PULL:-0.01} for visual.
diagnosis() {
    printf '{"strategy": "soft", "epoch": %s, "modalities": [{"name": "audio", "purity_train": 0.875, "purity_val": 0.75, "gap": 0.125, "alpha": 0.25, "applied": %s}, {"name": "visual", "purity_train": 0.375, "purity_val": 0.25, "gap": 0.125, "alpha": 0.01, "applied": %s}]}' \
        "$1" "${AUDIO_PULL:-0.25}" "${VISUAL_PULL:-0.01}"
}
report() { succeeds report "$@" --out page.html --json; }
# says TOPIC VERDICT PATTERN: the findings have that sentence.
says() {
    local i=0
    while json findings "$i" topic >/dev/null 2>&1; do
        if [ "$(json findings "$i" topic)" = "$1" ] && [ "$(json findings "$i" verdict)" = "$2" ] &&
            json findings "$i" text | grep -Eq -- "$3"; then return 0; fi
        i=$((i + 1))
    done
    return 1
}
page() { grep -Eq -- "$1" page.html; }

for seed in 0 1 2 3 4; do
    run "joint$seed" joint "$seed" "0.6$seed" 0.60 0.30
    run "relearn$seed" relearn "$seed" "0.7$seed" 0.60 0.40
    run "worse$seed" relearn "$seed" "0.5$seed" 0.60 0.40
    run "audio$seed" joint "$seed" 0.65 0.65 0 audio
    run "visual$seed" joint "$seed" 0.60 0 0.60 visual
done

# --- the sentences, against the numbers above ---
check "a modality was starved" eval '
    report joint? audio? visual? &&
    says imbalance starved "^visual was starved in joint\. .*trained alone; chance: 25\.0 %\): visual 30\.0 % against 60\.0 %\. Not starved: audio 60\.0 % against 65\.0 %\.$"'
check "purity is told with it" eval '
    report joint? relearn? audio? visual? &&
    says imbalance starved "after epoch 2 of relearn, .*purity of 0\.38 on training and 0\.25 on validation"'
check "re-initialisations, when and by how much" eval '
    report joint? relearn? && says relearning done "^relearn re-initialised its encoders 1 time, after epoch 2, .*: audio by 25 %, visual by 1 % \(means of 5 seeds\)\.$"'
check "what it changed, with an interval" eval '
    report joint? relearn? && says effect gain "72\.0 % where joint has 62\.0 %, is 10\.0 points higher, the mean over 5 seeds \(95 % interval \+10\.0 to \+10\.0; higher in 5 of them\)\. Re-learning helped here\. .*visual 40\.0 % instead of 30\.0 %"'
check "re-learning did harm" eval 'report joint? worse? && says effect loss "is 10\.0 points lower, .*Re-learning did harm here\."'
for seed in 0 1 2 3 4; do run "mixed$seed" relearn "$seed" "0.$((70 - 5 * seed))" 0.60 0.40; done
check "an interval that includes 0 shows nothing" eval '
    report joint? mixed? && says effect undecided "is not shown to differ: -2\.0 points on average over 5 seeds, and the 95 % interval from -[0-9.]+ to \+[0-9.]+ includes 0\. In these runs re-learning did not help\."'
check "few seeds claim nothing" eval '
    report joint[01] relearn[01] && says effect few "10\.0 points higher on average, higher in 2 of 2 seeds\. So few seeds show neither a gain nor a loss\. Re-learning may have helped; these runs do not show it\."'
check "one seed is a single figure" eval '
    report joint0 relearn0 && says effect single "10\.0 points higher in the one seed that both have\. That is a single figure" && says certainty single "one seed.*--seeds 0-4"'
check "no seed in common" eval 'report joint0 relearn1 && says effect unpaired "none in common"'
check "the error of the test split itself" eval 'report joint? && says certainty rough "400 test samples, .*uncertain by 4\.7 points"'
for seed in 0 1; do run "even$seed" joint "$seed" 0.65 0.60 0.55; done
check "none was starved" eval '
    report even? audio? visual? && says imbalance balanced "^No modality was starved in joint\. .*: audio 60\.0 % against 65\.0 %, visual 55\.0 % against 60\.0 %\.$"'
check "without a reference the model leans" eval '
    report joint? && says imbalance leaning "^joint leans on audio: .*right in 60\.0 %, on visual in 30\.0 %\. .*--set modalities=\[visual\].*--truth"'
check "without a reference, even" eval 'report even? && says imbalance even "leans on no modality: .*audio is right in 60\.0 %, visual in 55\.0 %"'
echo '{"ceilings": {"audio": {"test": 0.75}, "visual": {"test": 0.9}, "joint": {"test": 0.95}}}' >truth.json
check "ceilings stand in for runs on one modality" eval '
    report joint? --truth truth.json && says imbalance starved "^visual was starved .*: visual 30\.0 % against 90\.0 % \(perfect recognition\)" && page "ceiling of these test"'
check "one modality has no balance" eval 'report audio? && says imbalance single "one modality"'
AUDIO_PULL=0.03 run slight0 relearn 0 0.6 0.6 0.3
check "a pull that is next to nothing" eval 'report joint0 slight0 && says relearning slight "next to nothing"'
check "the text says what the page and JSON say" eval '
    report joint? relearn? && text=$(json findings 0 text) && succeeds report joint? relearn? --out page.html &&
    [ "$(head -n 1 out)" = "$text" ] && grep -Fq "$text" page.html && prints "^page\.html: 0\.[0-9]+ MB$"'

# --- the page ---
check "equal runs give equal pages" eval 'report joint? relearn? && cp page.html first.html && report joint? relearn? && cmp page.html first.html'
check "figures, their tables and the marks" eval '
    report joint? relearn? && page "<canvas role=\"img\" id=\"accuracy-measured\" aria-label=\"Chart: Accuracy, validation\. .*joint, relearn" &&
    page "<th scope=\"row\">3</th><td>40\.0</td><td>40\.0</td></tr>" && page "\"marks\":\[\{\"x\":2\.0,\"text\":\"re-initialised\"\}\]"'
check "purity and alpha" eval 'page "<th scope=\"row\">2</th><td>0\.875</td><td>0\.75</td><td>0\.375</td><td>0\.25</td>" && page "id=\"alpha-1\""'
check "nothing is fetched" eval '! grep -Eio "(src|href|url\()=?[\"(]?(https?:)?//" page.html'
LOSS=null run gap0 joint 0 0.6 0.6 0.3
check "a loss that was no number leaves a gap" eval 'report gap0 && page "<th scope=\"row\">2</th><td>–</td>"'
sed -i 's|"method": "joint"|"method": "a</script><b>\\"x\\",<!--'"'"'é"|' gap0/summary.json
check "names cannot break out of the page" eval '
    report gap0 && page "a&lt;/script&gt;&lt;b&gt;&quot;x&quot;,&lt;!--&#39;é" && ! page "a</script><b>" && ! page "<!--'"'"'é" &&
    [ "$(grep -o "</script>" page.html | wc -l)" -eq 3 ]'

# --- the other sections ---
check "confusion, all seeds together" eval '
    report joint? relearn? && page "Confusion: joint, all seeds together" && page "<th scope=\"row\">ape</th><td style=[^>]* class=\"right\">60</td><td style=[^>]*>20</td>"'
check "F1 of each class" eval 'page "id=\"classes\"" && page "<th scope=\"row\">dog</th><td>30\.0</td><td>30\.0</td>"'
check "calibration, with its error" eval 'page "Expected calibration error: joint 10\.0 %; relearn 10\.0 %" && page "<th scope=\"row\">joint</th><td>0\.0 to 100\.0</td><td>2000</td><td>70\.0</td><td>60\.0</td>"'
check "throughput, waiting and memory" eval 'page "<th scope=\"row\">relearn</th><td>4</td><td>–</td><td>3</td><td>–</td><td>12</td><td>50</td><td>8\.3</td><td>1</td><td>1</td>"'
check "the account of the data" eval 'page "4 classes; 100 training, 40 validation and 400 test samples\. .*recipe manifest; fingerprint f0" && page "No sample was left out" && page "The store is not there any more \(/nowhere\.sqlite\)"'
check "configuration and command" eval 'page "<pre class=\"command\" tabindex=\"0\">relearn train joint0/config\.yaml --out again</pre>" && page "<pre tabindex=\"0\">method: joint"'
check "a folder that a shell would take apart" eval 'cp -R joint0 "it'"'"'s one" && report "it'"'"'s one" && page "relearn train &#39;it&#39;.&#39;&#39;s one/config\.yaml&#39; --out again"'
check "figures of others are marked as theirs, and far from other data" eval 'report joint? && page "Not measured here.*trained on other data" && page "<tr class=\"others\"><th scope=\"row\">D&amp;R</th><td>71\.02</td><td>65\.92</td><td>82\.87</td><td>BalanceBenchmark</td>"'
sed 's/"recipe": "manifest"/"recipe": "ucf101"/' joint0/summary.json >ucf.json && cp -R joint0 ucf && mv ucf.json ucf/summary.json
check "figures of others on the same set alone" eval 'report ucf && ! page "trained on other data" && page "<th scope=\"row\">D&amp;R</th><td>82\.87</td><td>BalanceBenchmark</td>" && ! page ">71\.02<"'
sed 's/"confusion": \[\[60, 20/"confusion": [["x", 20/; s/"calibration": \[/"calibration": [7, /' joint0/summary.json >odd.json && cp -R joint0 odd && mv odd.json odd/summary.json
check "counts that are none" eval 'report odd && page "Confusion: joint"'
sed 's/\[15, 65, 10, 10\]/[15]/' joint0/summary.json >odd/summary.json
check "a confusion matrix that is not square is left out" eval 'report odd && ! page "Confusion:"'
"$RELEARN" synth --out media --train 24 --val 8 --test 8 --classes 2 >out 2>err && "$RELEARN" prepare manifest --from media --to data.store >out 2>err
print=$("$RELEARN" inspect data.store --json | "$TOOLS/json_get" fingerprint)
sed -i "s|data: .*|data: $PWD/data.store|" odd/config.yaml && sed "s/\"fingerprint\": \"f0\"/\"fingerprint\": \"$print\"/" joint0/summary.json >odd/summary.json
check "samples and classes from the store" eval '
    report odd && page "<td>12</td><td>4</td><td>4</td>" && [ "$(grep -o "src=\"data:image/png;base64," page.html | wc -l)" -eq 4 ] &&
    grep -Eo "alt=\"audio of the sample train_[0-9]+, class [a-z_]+\"" page.html >out'
sed 's/"fingerprint": "f0"/"fingerprint": "0"/' joint0/summary.json >odd/summary.json
check "a store of other data is not shown" eval 'report odd && page "holds other data by now" && ! page "data:image/png"'
echo junk >data.store
check "a store that is damaged is not shown" eval 'report odd && page "The store is not there any more|cannot be read" && ! page "data:image/png"'

# --- damaged runs: one error each ---
damage() { rm -rf bad && cp -R joint0 bad; }
check "no such run" fails 1 'none: no summary\.json' report none --out page.html
check "no output named" fails 2 'out' report joint0
check "an output that cannot be written" fails 1 'nowhere/page\.html' report joint0 --out nowhere/page.html
damage && rm bad/log.jsonl
check "no log" fails 1 'bad/log\.jsonl: no such file' report bad --out page.html
damage && : >bad/log.jsonl
check "an empty log" fails 1 'bad/log\.jsonl: holds no epoch' report bad --out page.html
damage && truncate -s -20 bad/log.jsonl
check "a log that is cut off" fails 1 'bad/log\.jsonl:7: the last line is cut off' report bad --out page.html
damage && sed -i '3s/.*/{"event":"epoch","epoch":1,"train":[]}/' bad/log.jsonl
check "a log of wrong types" fails 1 'bad/log\.jsonl:3: an epoch without its number' report bad --out page.html
damage && sed -i '3s/"epoch":1/"epoch":900000000/' bad/log.jsonl
check "an epoch that cannot be" fails 1 'bad/log\.jsonl:3: epoch 900000000 where epoch 1 should be' report bad --out page.html
damage && sed -i '3s/.*/[NaN]/' bad/log.jsonl
check "a log that is no JSON" fails 1 'bad/log\.jsonl:3: no JSON' report bad --out page.html
damage && truncate -s 600M bad/log.jsonl
check "a huge log" fails 1 'bad/log\.jsonl: .*limit|bad/log\.jsonl: .*larger' report bad --out page.html
damage && rm bad/config.yaml
check "no configuration" fails 1 'bad/config\.yaml|bad: ' report bad --out page.html
damage && truncate -s 70M bad/summary.json
check "a huge summary" fails 1 'bad/summary\.json' report bad --out page.html
damage && truncate -s -30 bad/summary.json
check "a summary that is cut off" fails 1 'bad/summary\.json:[0-9]+:[0-9]+: no JSON' report bad --out page.html
damage && mkdir bad/features && head -c 400 /dev/urandom >bad/features/after.safetensors
check "features that are none" fails 1 'bad/features/after\.safetensors' report bad --out page.html
damage && : >bad/summary.json
check "an empty summary" fails 1 'bad/summary\.json' report bad --out page.html
damage && echo '{"method": "joint", "seed": 0, "modalities": ["audio"], "test": 7, "diagnoses": {"a": [1]}, "timing": "?", "data": []}' >bad/summary.json
check "a summary of wrong types has no figures, and a page" eval 'report bad && says imbalance single "one modality"'
