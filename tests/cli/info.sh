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
check "both methods are there" json_is '["joint","relearn"]' methods
check "text names the kernels" eval 'k=$(json kernels own); succeeds info && prints "^kernels +own +$k$"'
check "RELEARN_ISA lowers the kernels" eval 'RELEARN_ISA=baseline succeeds info --json && json_is baseline kernels own'
