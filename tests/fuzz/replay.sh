#!/bin/bash
# Every fuzz target on its corpus and on what fuzzing has found before.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/../support/cli.sh"

for source in "$here"/fuzz_*.c; do
    name=$(basename "$source" .c)
    name=${name#fuzz_}
    mapfile -t files < <(find "$here/corpus/$name" "$here/regressions/$name" -type f 2>/dev/null | LC_ALL=C sort)
    check "$name has a corpus" [ ${#files[@]} -gt 0 ]
    check "$name replays ${#files[@]} files" "$TOOLS/../fuzz/fuzz_$name" "${files[@]}" >out 2>err
    sed -n '/ok /p' out | grep -E '^(ok|not ok) (.* replays|.* has)'
done
