#!/bin/bash
# Runs every test and counts every test case: tools/run_tests.sh BUILD [PATTERN]
#
# Tests are BUILD/tests/{unit,golden}/test_* (cmocka) and tests/{cli,fuzz,e2e}/*.sh; with PATTERN, an
# extended regular expression, only those whose path it matches, and without those whose path contains
# $TEST_SKIP. $TEST_ENVIRONMENT, words NAME=VALUE, is added to their environment. A shell test prints a
# line per case: `ok NAME`, `not ok NAME` or `skip NAME: REASON`, and finds in its environment RELEARN
# (the program), TOOLS (folder of the small test programs) and TEST_TMP (an empty folder of its own).
# Logs stand in BUILD/test-logs/. With TEST_JOBS=N so many run at a time, each N-th of them in turn.
# Ends with `N passed, N failed, N skipped`; fails when anything failed or nothing passed.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:?usage: tools/run_tests.sh BUILD [PATTERN]}
pattern=${2:-}
limit=${TEST_SECONDS:-900}
case "$build" in /*) absolute=$build ;; *) absolute=$PWD/$build ;; esac
logs=$build/test-logs
mkdir -p "$logs"

export RELEARN=$absolute/relearn TOOLS=$absolute/tests/tools LC_ALL=C.UTF-8 TZ=UTC
unset NO_COLOR COLUMNS RELEARN_ISA RELEARN_KERNELS
read -r -a forced <<<"${TEST_ENVIRONMENT:-}"
[ ${#forced[@]} -eq 0 ] || export "${forced[@]?}"
passed=0 failed=0 skipped=0
[ -x "$RELEARN" ] || {
    echo "run_tests: $RELEARN is missing (run \`make check\`)" >&2
    exit 1
}

if [ "${TEST_JOBS:-1}" -gt 1 ] && [ -z "${TEST_SHARD:-}" ]; then
    # Threads that wait by spinning would keep the others from working.
    export OMP_WAIT_POLICY=passive
    for ((k = 0; k < TEST_JOBS; k++)); do
        TEST_SHARD=$k bash tools/run_tests.sh "$@" >"$logs/shard-$k.txt" 2>&1 &
    done
    wait
    for ((k = 0; k < TEST_JOBS; k++)); do
        sed '$d' "$logs/shard-$k.txt"
        read -r p f s < <(tail -n 1 "$logs/shard-$k.txt" | tr -cd '0-9 ')
        passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1})) skipped=$((skipped + ${s:-0}))
    done
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
fi
turn=0 # of the test that is looked at

# Reads a log; writes "passed failed skipped", then a line per failure and skip.
count_cases() {
    awk '
    /^ok / { passed++; next }
    /^not ok [0-9]+ # SKIP/ { sub(/^not ok [0-9]+ # SKIP */, ""); skip($0 (said == "" ? "" : ": " said)); next }
    /^not ok / { sub(/^not ok /, ""); sub(/^[0-9]+ - /, ""); failed++; notes = notes "FAILED  " $0 "\n"; next }
    /^skip / { sub(/^skip /, ""); skip($0); next }
    !/^#/ && !/^[0-9]+\.\.[0-9]+$/ { said = $0 }
    function skip(what) { skipped++; notes = notes "skipped " what "\n"; said = "" }
    END { printf "%d %d %d\n%s", passed, failed, skipped, notes }' "$1"
}

run() { # NAME COMMAND...
    local name=$1 log start status p f s
    shift
    [[ $name =~ $pattern ]] || return
    if [ -n "${TEST_SKIP:-}" ]; then
        case "$name" in *"$TEST_SKIP"*) return ;; esac
    fi
    if [ -n "${TEST_SHARD:-}" ]; then
        turn=$((turn + 1))
        [ $((turn % TEST_JOBS)) -eq "$TEST_SHARD" ] || return
    fi
    log=$logs/${name//\//-}.log
    TEST_TMP=$(mktemp -d "${TMPDIR:-/tmp}/relearn-test.XXXXXX") || exit 1
    export TEST_TMP
    start=$(date +%s)
    CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null
    status=$?
    { read -r p f s; notes=$(cat); } < <(count_cases "$log")
    # A test that died, or that ran no case at all, failed.
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        f=1
        notes="FAILED  ended with status $status$([ "$status" -eq 124 ] && echo " (over $limit s)")"$'\n'$notes
    elif [ $((p + f + s)) -eq 0 ]; then
        f=1
        notes="FAILED  no test case ran"
    fi
    printf '%-40s %3d passed%s%s  (%d s)\n' "$name" "$p" \
        "$([ "$f" -gt 0 ] && echo ", $f FAILED")" "$([ "$s" -gt 0 ] && echo ", $s skipped")" $(($(date +%s) - start))
    [ -n "$notes" ] && printf '%s\n' "$notes" | sed '/^$/d; s/^/    /'
    [ "$f" -gt 0 ] && tail -n 40 "$log" | sed 's/^/    | /'
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    chmod -R u+rwX "$TEST_TMP" 2>/dev/null
    rm -rf "$TEST_TMP"
}

for source in tests/unit/test_*.c tests/golden/test_*.c; do
    [ -e "$source" ] && run "${source%.c}" "$build/${source%.c}"
done
for script in tests/cli/*.sh tests/fuzz/*.sh tests/e2e/*.sh; do
    [ -e "$script" ] && run "${script%.sh}" bash "$script"
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
