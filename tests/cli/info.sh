#!/bin/bash
# relearn info: what runs here.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

check "as JSON" succeeds info --json
check "version as --version says" eval 'v=$(json version); succeeds --version && prints "^relearn $v$"'
succeeds info --json
check "threads that this process may use" json_is "$(nproc)" machine threads
check "versions of libraries" eval 'json libraries onednn | grep -Eq "^oneDNN [0-9]+\." && json libraries sqlite | grep -Eq "^3\."'
check "FFmpeg says how it is licensed" eval 'json libraries ffmpeg_licence | grep -Eq "GPL"'
check "the methods are there" json_is '["joint","relearn","ogm_ge","mmpareto"]' methods
check "text names the kernels" eval 'k=$(json kernels own | sed "s,[+],[+],"); succeeds info && prints "^kernels +own +$k$"'
check "RELEARN_ISA lowers the kernels" eval 'RELEARN_ISA=baseline succeeds info --json && json_is baseline kernels own'

# The cache of measured kernels.
export XDG_CACHE_HOME=$TEST_TMP/cache
check "no cache yet" eval 'succeeds info && prints "^kernels measured +none yet"'
mkdir -p cache/relearn
cat >cache/relearn/kernels.json <<'JSON'
{"X": {"machine": {"cpu": "Some CPU", "relearn": "0.1", "edition": 1, "isa": "avx2", "library": "oneDNN 2.6.3 avx2", "threads": 3},
  "kernels": {"2x8x4x4 -> 8 kernel 3": {"forward": "winograd", "backward-data": "library"}, "other": {"forward": "winograd"}}}}
JSON
check "the cache: CPU and threads" eval 'succeeds info && prints "^  Some CPU, 3 threads; relearn 0.1 avx2, oneDNN 2.6.3 avx2$"'
check "the cache: how many" prints '^    winograd 2, library 1$'
check "the cache: per shape and direction" prints '^    2x8x4x4 -> 8 kernel 3: forward winograd, backward-data library$'
check "the cache as JSON" eval 'succeeds info --json && json_is 3 kernel_cache machines 0 machine threads &&
    json_is winograd kernel_cache machines 0 kernels other forward'
printf '{"X": ' >cache/relearn/kernels.json
check "a damaged cache is a warning" eval 'relearn info; [ "$code" -eq 0 ] && grep -q "warning: .*kernels.json" err'
