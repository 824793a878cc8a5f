#!/bin/bash
# How many lines of src/ the tests of an instrumented build reached (make coverage): tools/coverage.sh BUILD
# A file that is compiled several times, or included by several, counts as where most of it was reached. The files with the
# most lines that were not reached come last; the whole list is BUILD/coverage.txt.
set -eu
cd "$(dirname "$0")/.."
build=${1:?usage: tools/coverage.sh BUILD}
find "$build/src" -name '*.gcno' | LC_ALL=C sort | while IFS= read -r notes; do
    gcov -n -o "$(dirname "$notes")" "$notes" 2>/dev/null || true
done | awk -F"'" '
    /^File / { file = $2; next }
    /^Lines executed:/ && file ~ /^src\// {
        line = $0; sub(/^Lines executed:/, "", line); split(line, part, "% of ")
        count = part[2] + 0; reached = int(part[1] * count / 100 + 0.5)
        if (!(file in lines) || reached > best[file]) { best[file] = reached; lines[file] = count }
        file = ""
    }
    END { for (f in lines) printf "%d %d %.1f %s\n", lines[f] - best[f], lines[f], 100 * best[f] / lines[f], f }
' | LC_ALL=C sort -n -k1,1 -k4,4 >"$build/coverage.txt"
tail -n 20 "$build/coverage.txt" | awk '{ printf "%5d of %5d lines not reached (%s %%) %s\n", $1, $2, $3, $4 }'
awk '{ missed += $1; lines += $2 } END { printf "line coverage of src/: %.1f %% of %d lines\n", 100 * (lines - missed) / lines, lines }' "$build/coverage.txt"
