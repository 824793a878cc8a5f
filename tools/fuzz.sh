#!/bin/bash
# Runs every fuzz target, two at a time: tools/fuzz.sh BUILD SECONDS [NAME...]   (after `make fuzz`)
# What was learnt stays in BUILD/corpus/NAME, what broke it in BUILD/found/NAME-*: put that, made small
# (BUILD/tests/fuzz/fuzz_NAME -minimize_crash=1), into tests/fuzz/regressions/NAME.
# Ends with `N passed, N failed, N skipped`, one a target.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:?usage: tools/fuzz.sh BUILD SECONDS [NAME...]}
seconds=${2:?usage: tools/fuzz.sh BUILD SECONDS [NAME...]}
shift 2
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        names+=("${name#fuzz_}")
    done
fi
mkdir -p "$build/found" "$build/logs"
export ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=0 UBSAN_OPTIONS=print_stacktrace=1
export OMP_NUM_THREADS=1
# Most targets write their input to a file, and a disk would take nine tenths of the time.
if [ -z "${TMPDIR:-}" ] && [ -d /dev/shm ] && [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi

fuzz_one() { # NAME
    local corpus=$build/corpus/$1 log=$build/logs/$1.txt folders
    mkdir -p "$corpus"
    folders=("$corpus" "tests/fuzz/corpus/$1")
    [ -d "tests/fuzz/regressions/$1" ] && folders+=("tests/fuzz/regressions/$1")
    if "$build/tests/fuzz/fuzz_$1" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$build/found/$1-" "${folders[@]}" >"$log" 2>&1; then
        awk -v name="$1" '/number_of_executed_units/ { units = $2 } / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
            END { printf "ok      %-12s %9d inputs, %6d places reached\n", name, units, cov }' "$log"
    else
        echo "FAILED  $1 (what broke it: $build/found/$1-*)"
        tail -n 40 "$log" | sed 's/^/    | /'
    fi
}
export -f fuzz_one
export build seconds
results=$(printf '%s\n' "${names[@]}" | xargs -P 2 -I{} bash -c 'fuzz_one {}')
printf '%s\n' "$results"
passed=$(grep -c '^ok' <<<"$results")
failed=$((${#names[@]} - passed))
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
