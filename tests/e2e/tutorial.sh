#!/bin/bash
# docs/tutorial.md is true: every command in it, as it stands there, on generated clips; and what each is said to leave.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

mkdir build new
ln -s "$RELEARN" build/relearn
n=0
for class in clapping speaking waving; do
    mkdir -p "clips/$class"
    for clip in a b c d e f g h i j k l; do
        "$TOOLS/make_clip" "clips/$class/$clip.mp4" $((n / 12)) $n 2
        n=$((n + 1))
    done
done
"$TOOLS/make_clip" new/clip.mp4 1 99 2

# The blocks marked as commands, one file each.
awk '/^```sh$/ { name = sprintf("block%02d", ++block); inside = 1; next } /^```/ { inside = 0 } inside { print >name }' "$here/../docs/tutorial.md"
steps=$(find . -name 'block*' | wc -l)
check "the page has its eight steps' commands" [ "$steps" -eq 8 ]
for block in block*; do
    check "$block: $(head -n 1 "$block" | cut -c 1-70)" eval 'bash -e "$block" >out 2>err </dev/null && cat out >>all'
done

check "the account names the splits" grep -Eq '^  val +6 samples, 3 classes' all
check "pictures of a sample were written" eval 'ls pictures/*.png >/dev/null'
check "it re-learned after epochs 4 and 7" eval '
    for seed in 0 1; do
        [ "$(grep "\"event\":\"method\"" runs/relearn/seed-$seed/log.jsonl | grep -o "\"epoch\":[0-9]*" | tr "\n" " ")" = "\"epoch\":3 \"epoch\":6 " ] || return 1
    done'
check "the comparison has its four rows" eval '
    for row in joint relearn "joint modalities=audio" "joint modalities=visual"; do grep -Eq "^  $row +2 +[0-9.]+ [+]- " all || return 1; done'
check "the report is there" eval 'grep -q "</html>" report.html'
check "predictions say what is missing" grep -q '^visual: missing; its training mean stands for it$' all
check "the list has its two rows" eval 'grep -Eq "^first,,(clapping|speaking|waving),0\." all && grep -Eq "^silent,,(clapping|speaking|waving),0\." all'
check "the exported model is there" [ -s model.safetensors ]
