#!/bin/sh
# Checks from the #includes that every folder of src/ uses only folders below it, and of another
# folder only its public header "FOLDER/FOLDER.h".
set -eu
cd "$(dirname "$0")/.."

find src -name '*.[ch]' | LC_ALL=C sort | xargs awk '
BEGIN {
    count = split("base tensor comm io media data nn model learn train api report cli", order, " ")
    for (i = 1; i <= count; i++) rank[order[i]] = i
    # The order is one line, the knowledge is not: these pairs do not know each other though one stands above.
    split("nn:data nn:media nn:io model:data model:media model:io learn:data learn:media data:comm media:comm media:io report:api cli:api", pairs, " ")
    for (i in pairs) forbidden[pairs[i]] = 1
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split(FILENAME, parts, "/")
    from = parts[2]
    match($0, /"[^"]*"/)
    header = substr($0, RSTART + 1, RLENGTH - 2)
    if (!(from in rank)) { complain("folder src/" from " has no place in the order of layers (see tools/check_layers.sh)"); next }
    if (split(header, names, "/") < 2) next   # same folder, by its bare name
    to = names[1]
    if (to == from) next
    if (!(to in rank)) { complain("includes \"" header "\" of an unknown folder"); next }
    if (rank[to] > rank[from]) complain("includes \"" header "\": " from " lies below " to)
    if ((from ":" to) in forbidden) complain("includes \"" header "\": " from " must not know " to)
    if (header != to "/" to ".h") complain("includes \"" header "\": only \"" to "/" to ".h\" is public")
}
function complain(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad++ }
END {
    if (bad) { printf "layers: %d violations\n", bad; exit 1 }
    print "layers: clean"
}'
