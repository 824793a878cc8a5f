#!/bin/bash
# The option precision: what is refused, bf16 to the bit and on resume, and auto, which measures once.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
# shellcheck source=tests/support/runs.sh
. "$here/support/runs.sh"

relearn synth --out media --train 24 --val 16 --test 8 --classes 4 --picture-size 32 --frames 1 --seed 5
relearn prepare manifest --from media --to store
cat >config.yaml <<YAML
epochs: 2
batch: 8
encoder:
  width: 16
  blocks: [1, 1]
relearn:
  period: 1
  times: 1
YAML
export XDG_CACHE_HOME=$TEST_TMP/cache
cache=cache/relearn/kernels.json

train() { # RUN PRECISION FLAG...
    local run=$1 precision=$2
    shift 2
    relearn train config.yaml --data store --out "$run" --set precision="$precision" --quiet --json "$@"
    return "$code"
}
same() { cmp -s "$1/checkpoint/last.safetensors" "$2/checkpoint/last.safetensors" && cmp -s "$1/checkpoint/best.safetensors" "$2/checkpoint/best.safetensors"; }

check "f16 is refused, with what there is" fails 2 'precision: .*"f16".*f32' train config.yaml --data store --out x --set precision=f16
check "f32 is what is used without a word" eval 'train f32 f32 && train plain f32 && json_is f32 precision && grep -q "^precision: f32$" f32/config.yaml'
check "bf16 trains, and the run says so" eval 'train bf16 bf16 && json_is bf16 precision && grep -q "^precision: bf16$" bf16/config.yaml'
check "bf16 gives other numbers" differ f32 bf16
check "bf16 twice: the same bits" eval 'train again bf16 && same bf16 again'
check "bf16, stopped and resumed: the same bits" eval '
    train stopped bf16 --stop-after 2; [ "$code" -eq 130 ] && train stopped bf16 --resume --stop-after 3; [ "$code" -eq 130 ] &&
    train stopped bf16 --resume && same bf16 stopped'
check "nothing of this was measured" eval '[ ! -e cache ]'
check "a resume with another precision is refused" fails 2 'stopped.config.yaml: .*"precision: bf16".*"precision: f32"' train config.yaml --data store \
    --out stopped --resume --quiet --set epochs=3
mkdir moved && cp -R stopped/checkpoint moved/
check "a checkpoint of another precision is refused" fails 1 'last.safetensors: was trained with precision bf16' train config.yaml \
    --data store --out moved --resume --quiet --set epochs=3
check "evaluates a run of bf16" eval '
    a=$("$TOOLS/json_get" test accuracy <bf16/summary.json); succeeds evaluate bf16 --json --quiet && json_is "$a" accuracy'

loss() { "$TOOLS/json_get" "${@:2}" loss <"$1"; }
near() { awk -v a="$1" -v b="$2" 'BEGIN { exit !((a - b) ^ 2 < (b / 100) ^ 2) }'; }
# A summary has nine digits; cut to fewer, what is already rounded may round the other way.
check "and measures it as the run did" eval '[ "$(printf %.9g "$(loss out)")" = "$(printf %.9g "$(loss bf16/summary.json test)")" ]'
check "a machine without AMX measures it, too" eval '
    RELEARN_ISA=avx2 relearn evaluate bf16 --json --quiet && [ "$code" -eq 0 ] && near "$(loss out)" "$(loss bf16/summary.json test)"'

check "auto measures, says so in a line, and writes down what it took" eval '
    relearn train config.yaml --data store --out auto --set precision=auto --json
    [ "$code" -eq 0 ] && [ "$(grep -cE "precision: (f32|bf16), as a step takes [0-9.]+ ms in f32 and [0-9.]+ ms in bf16 here$" err)" -eq 1 ] &&
    taken=$(json precision) && grep -q "^precision: $taken$" auto/config.yaml && grep -q "\"steps\"" $cache'
check "what auto takes has the bits of that precision" eval 'same auto "$(sed -n "s/^precision: //p" auto/config.yaml)"'
check "info shows it" eval 'succeeds info && prints "^    step \(batch 8, kernels fixed; .*\): f32 [0-9.]+ ms, bf16 [0-9.]+ ms$"'
# From here on bf16 is a thousand times as fast.
sed -i -E "s/\"bf16\": ?[0-9.e-]+/\"bf16\": 1e-9/" $cache
check "auto follows what was measured before" eval '
    relearn train config.yaml --data store --out fast --set precision=auto --set epochs=1 --json
    [ "$code" -eq 0 ] && grep -q "precision: bf16, .*(measured before)$" err && json_is bf16 precision'
check "a run that goes on with auto keeps its precision" eval '
    sed -i -E "s/\"f32\": ?[0-9.e-]+/\"f32\": 1e-10/" $cache &&
    train fast auto --resume && json_is bf16 precision && same fast bf16'
check "and measures nothing" eval 'rm -r cache && train fast auto --resume --set epochs=3 && [ ! -e cache ] && json_is bf16 precision'
