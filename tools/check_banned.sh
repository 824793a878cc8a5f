#!/bin/sh
# Refuses functions that overflow, hide errors, keep global state or are not reproducible; and, below
# the command line, functions that print, exit or start a shell. A name in a comment or a string is no call.
set -eu
cd "$(dirname "$0")/.."

find src tests demo bench -name '*.[ch]' 2>/dev/null | LC_ALL=C sort | xargs awk '
BEGIN {
    everywhere = "strcpy strcat stpcpy sprintf vsprintf gets scanf sscanf fscanf strtok strncpy strncat atoi atol atoll atof " \
                 "alloca rand srand random srandom drand48 tmpnam tempnam mktemp tmpfile asctime ctime gmtime " \
                 "localtime setlocale signal usleep vfork"
    below_cli = "system popen printf vprintf puts putchar perror exit _exit _Exit quick_exit abort err errx warn warnx assert"
    count = split(everywhere, list, " "); for (i = 1; i <= count; i++) banned[list[i]] = 1
    count = split(below_cli, list, " "); for (i = 1; i <= count; i++) quiet[list[i]] = 1
}
FNR == 1 { comment = 0; cli = FILENAME !~ /^src\// || FILENAME ~ /^src\/cli\// }
{
    line = $0
    gsub(/\\./, "", line)            # escapes
    gsub(/"[^"]*"/, "\"\"", line)    # strings
    gsub(/\/\*([^*]|\*[^\/])*\*\//, " ", line)
    if (comment) { if (!match(line, /\*\//)) next; line = substr(line, RSTART + 2); comment = 0 }
    sub(/\/\/.*/, "", line)
    if (match(line, /\/\*/)) { line = substr(line, 1, RSTART - 1); comment = 1 }
    if (!cli && line ~ /(^|[^A-Za-z0-9_])(stdout|stderr)([^A-Za-z0-9_]|$)/) complain("stdout or stderr below the command line")
    while (match(line, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
        name = substr(line, RSTART, RLENGTH)
        before = RSTART > 1 ? substr(line, RSTART - 1, 1) : ""
        sub(/[ \t]*\($/, "", name)
        line = substr(line, RSTART + RLENGTH)
        if (before == "." || before == ">") continue     # a member
        if (name == "setlocale" && FILENAME ~ /^tests\/preload\//) continue # plays a host that calls it
        if (name in banned) complain(name "() is banned")
        else if (!cli && name in quiet) complain(name "() below the command line")
    }
}
function complain(what) { printf "%s:%d: %s (see tools/check_banned.sh)\n", FILENAME, FNR, what; bad++ }
END {
    if (bad) { printf "banned functions: %d calls\n", bad; exit 1 }
    print "banned functions: none"
}'
