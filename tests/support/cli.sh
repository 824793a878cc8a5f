# Helpers of the shell tests; tools/run_tests.sh sets RELEARN, TOOLS and TEST_TMP.
# shellcheck shell=bash
set -u
: "${RELEARN:?run me by tools/run_tests.sh}" "${TOOLS:?}" "${TEST_TMP:?}"
cd "$TEST_TMP" || exit 1

# check NAME COMMAND...: the case passes when the command succeeds.
check() {
    local name=$1
    shift
    if "$@"; then
        echo "ok $name"
    else
        echo "not ok $name"
        echo "  failed: $*"
        [ -e out ] && sed 's/^/  out: /' out | head -n 20
        [ -e err ] && sed 's/^/  err: /' err | head -n 20
    fi
}

skip() { echo "skip $1: $2"; }

# relearn ARGUMENT...: runs the program; results in the files out and err, and in $code.
relearn() {
    "$RELEARN" "$@" >out 2>err </dev/null
    code=$?
}

# in_memory MIB COMMAND...: runs the command, which fails when it wants more. The address sanitizer reserves terabytes of
# addresses, so that there what is resident counts.
in_memory() {
    local mib=$1
    shift
    if readelf -d "$RELEARN" | grep -q libasan; then
        ASAN_OPTIONS="${ASAN_OPTIONS:-}:hard_rss_limit_mb=$mib" "$@"
    else
        (ulimit -v $((mib * 1024)) && exec "$@")
    fi
}

# fails CODE PATTERN ARGUMENT...: the program fails with this exit code, prints nothing on stdout, and
# its last line on stderr is one error line that matches the extended regular expression; warnings may stand
# above it.
fails() {
    local expected=$1 pattern=$2
    shift 2
    relearn "$@"
    if [ "$code" -eq "$expected" ] && [ ! -s out ] && tail -n 1 err | grep -Eq -- "^relearn: .*$pattern" &&
        [ "$(grep '^relearn: ' err | grep -vc '^relearn: warning: ')" -eq 1 ]; then return 0; fi
    echo "  exit code $code"
    return 1
}

# succeeds ARGUMENT...: exit code 0 and nothing on stderr.
succeeds() {
    relearn "$@"
    if [ "$code" -eq 0 ] && [ ! -s err ]; then return 0; fi
    echo "  exit code $code"
    return 1
}

# prints PATTERN: the last output holds a line that matches.
prints() { grep -Eq -- "$1" out; }

# json PATH... on the last output.
json() { "$TOOLS/json_get" "$@" <out; }
json_is() { # VALUE PATH...
    local value=$1
    shift
    [ "$(json "$@")" = "$value" ]
}
