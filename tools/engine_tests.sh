#!/bin/bash
# The engine's tests with kernels or instruction sets forced:
#   tools/engine_tests.sh BUILD NAME=VALUE   one choice, by name
#   tools/engine_tests.sh BUILD today        the one whose turn it is, another every day
#   tools/engine_tests.sh --list             all of them, as NAME=VALUE
# After `make tests`. Ends as tools/run_tests.sh does. `.ci/run` takes today's, `.ci/long` all.
set -u
cd "$(dirname "$0")/.." || exit 1
choices=(RELEARN_KERNELS={auto,direct,library,winograd,tiled,amx,winograd-amx} RELEARN_ISA={avx2,baseline}
    "ONEDNN_MAX_CPU_ISA=AVX2 RELEARN_ISA=avx2")
# Everything that computes by our kernels or the library's; all golden files among them.
pattern='tests/(golden/|unit/test_(nn_|model|winograd|tiled|amx|optimizer|kmeans|diagnose|step_allocations|transform|media_logmel))'

case "${1:-}" in
--list)
    printf '%s\n' "${choices[@]}"
    exit
    ;;
esac
build=${1:?usage: tools/engine_tests.sh BUILD NAME=VALUE | BUILD today | --list}
choice=${2:?usage: tools/engine_tests.sh BUILD NAME=VALUE | BUILD today | --list}
if [ "$choice" = today ]; then
    choice=${choices[$((10#$(date +%j) % ${#choices[@]}))]}
    echo "engine tests: $choice"
fi
# What is measured by `auto` must not come from, or go into, the user's own file.
cache=$(mktemp -d) || exit 1
trap 'rm -rf "$cache"' EXIT
XDG_CACHE_HOME=$cache TEST_ENVIRONMENT=$choice tools/run_tests.sh "$build" "$pattern"
