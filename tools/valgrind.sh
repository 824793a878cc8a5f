#!/bin/bash
# A tiny prepare, train, evaluate, predict, diagnose and report under valgrind's memcheck: tools/valgrind.sh BUILD
# valgrind 3.19 knows neither AVX-512 nor AMX, so instructions are those of AVX2. One thread: it runs one at a time anyway.
set -u
cd "$(dirname "$0")/.." || exit 1
relearn=$(realpath "${1:?usage: tools/valgrind.sh BUILD}/relearn") || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export RELEARN_ISA=avx2 DNNL_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=1
passed=0 failed=0

memcheck() { # COMMAND FLAG...: fails on an error or a block that nothing points to any more
    if valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
        --log-file=log "$relearn" "$@" >out 2>err </dev/null; then
        echo "ok $1"
        passed=$((passed + 1))
    else
        echo "not ok $*"
        tail -n 5 err | sed 's/^/    | /'
        head -n 60 log | sed 's/^/    | /'
        failed=$((failed + 1))
    fi
}

"$relearn" synth --quiet --out media --seed 5 --train 8 --val 4 --test 4 --classes 2 --picture-size 32 --frames 1 >/dev/null
memcheck prepare manifest --quiet --jobs 1 --from media --to store
memcheck inspect --verify store
memcheck train --quiet --data store --out run --set epochs=1 --set batch=4 --set encoder.width=16 --set "encoder.blocks=[1]" \
    --set relearn.period=1 --set relearn.times=1 --set kernels=fixed --set threads=1 --set loader_threads=1
memcheck evaluate run --quiet --probe
memcheck predict run --quiet --explain --audio media/audio/test_00001.wav --visual media/visual/test_00001
memcheck diagnose run --quiet
memcheck report run --quiet --out report.html
memcheck export run --to weights.pt
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
