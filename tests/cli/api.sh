#!/bin/bash
# librelearn.so as others meet it: installed, found by pkg-config, linked by the examples; its symbols; predictions of a run against
# the program's own.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
root=$(cd "$here/.." && pwd)
prefix=/opt/relearn
installed=$TEST_TMP/root$prefix

check "installs" eval '
    env -u MAKEFLAGS -u MFLAGS make -s -C "$root" install BUILD="${RELEARN%/relearn}" DESTDIR="$TEST_TMP/root" PREFIX=$prefix >out 2>err'
library=$installed/lib/librelearn.so
export LD_LIBRARY_PATH=$installed/lib PKG_CONFIG_LIBDIR=$installed/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$TEST_TMP/root

nm -D --defined-only --with-symbol-versions "$library" | awk '$2 != "A" { print $3 }' | LC_ALL=C sort >symbols
check "exports what the list says, and nothing else" diff "$here/support/symbols.txt" symbols
check "every function of the header is exported" eval '
    grep -oE "^RELEARN_API .*|^ +relearn_[a-z_]+\(" "$installed/include/relearn.h" | grep -oE "relearn_[a-z_]+\(" | tr -d "(" | LC_ALL=C sort >declared &&
    sed "s/@.*//" symbols | diff declared -'
check "its name holds the version" eval 'readelf -d "$library" | grep -q "SONAME.*\[librelearn\.so\.0\]" && [ -e "$library.0" ]'
check "it needs no library that is not used" eval '! readelf -d "$library" | grep -q "NEEDED.*cairo"'
check "pkg-config knows version and flags" eval '
    [ "$(pkg-config --modversion relearn)" = "$("$RELEARN" --version | grep -oE "[0-9]+\.[0-9]+\.[0-9]+" | head -n 1)" ] &&
    pkg-config --cflags --libs relearn | grep -q -- "-lrelearn"'

# With the sanitizers the library wants a program that has them, too.
sanitizers=
if readelf -d "$library" | grep -q libasan; then sanitizers="-fsanitize=address,undefined"; fi
compile() { # NAME
    # shellcheck disable=SC2046,SC2086  # lists of flags
    "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -O1 $sanitizers "$root/examples/$1.c" $(pkg-config --cflags --libs relearn) -o "$1" 2>err
}
check "an example compiles by pkg-config alone" compile diagnose
check "it diagnoses and pulls back" eval '
    ./diagnose >out 2>err && prints "^memorised +purity 1\.000 .train. 0\.[0-9]+ .val., alpha 0\.9[0-9]+ " && prints "^memorised +a weight .* 0\.0[0-9]+$" &&
    prints "^honest +purity 1\.000 .train. 1\.000 .val., alpha 0\.000 " && prints "^honest +a weight .* 1\.000$"'
echo "#include <relearn.h>
int main() { return relearn_version()[0] == 0; }" >plus.cc
check "the header is C++ too" eval '
    command -v c++ >/dev/null || exit 0; c++ -Wall -Wextra -Werror -fsyntax-only $(pkg-config --cflags relearn) plus.cc 2>err'

# A run, and what its encoders are fed.
relearn synth --out media --train 24 --val 16 --test 21 --classes 4 --picture-size 32 --frames 1 --seed 5
relearn prepare manifest --from media --to store
printf '%s\n' 'epochs: 2' 'batch: 8' 'evaluation_batch: 8' 'encoder: {width: 16, blocks: [1]}' >config.yaml
relearn train config.yaml --data store --out run --quiet --json
"$TOOLS/dump_run" run test . || echo "not ok the run's inputs are dumped"
check "an example of predicting compiles" compile predict
check "a run says what it takes" eval './predict run >out 2>err && prints "^modality audio [0-9]+ x 1 x " && prints "^modality visual 1 x 3 x 32 x 32$" && [ "$(grep -c ^class out)" -eq 4 ]'
check "predictions are the program's own, in batches with a rest" eval '
    ./predict run audio.f32 visual.f32 >out 2>err && [ "$(wc -l <out)" -eq 21 ] && cut -d" " -f2- out | paste -d" " - expected.txt |
    awk "{ for (i = 1; i <= 4; i++) { d = \$i - \$(i + 4); if (d > 1e-6 || d < -1e-6) bad = 1 } } END { exit bad || NR != 21 }"'
check "their accuracy is what evaluate finds" eval '
    cut -d" " -f1 out | paste -d" " - labels.txt | awk "\$1 == \$2 { good++ } END { printf \"%.12f\n\", good / NR }" >accuracy &&
    succeeds evaluate run --json --quiet && [ "$(json accuracy | awk "{ printf \"%.12f\", \$1 }")" = "$(cat accuracy)" ]'
refuses() { # PATTERN ARGUMENT...: predict fails with one line
    local pattern=$1
    shift
    ! ./predict "$@" >out 2>err && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && grep -Eq -- "$pattern" err
}
check "no run" refuses 'run: none: is no run' none
check "the same without the store" eval '
    ./predict run audio.f32 visual.f32 >with 2>err && mv store away && ./predict run audio.f32 visual.f32 >out 2>err; code=$?; mv away store; [ $code -eq 0 ] && [ -s out ] && cmp out with'
cp -r run old && rm old/data.json
check "a run that does not describe its data, without its store" eval '
    mv store away; refuses "run: .*store: no such store" old; code=$?; mv away store; [ $code -eq 0 ]'
head -c 4096 run/checkpoint/best.safetensors >short && cp -r run broken && mv short broken/checkpoint/best.safetensors
check "a truncated checkpoint" refuses 'run: broken/checkpoint/best\.safetensors' broken
printf '\x00\x00\xc0\x7f' | dd of=audio.f32 bs=1 seek=8 conv=notrunc status=none
check "an input that is not finite" refuses 'predict: audio: value 2 of sample 0 .from 0. is -?nan' run audio.f32 visual.f32
