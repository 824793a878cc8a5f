#!/bin/bash
# How program and library are linked and compiled: what an attacker of a reader of strangers' files must not find. By readelf.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
library=$(dirname "$RELEARN")/librelearn.so

if ! command -v readelf >/dev/null; then
    skip "hardening" "no readelf here (Debian: binutils)"
    exit 0
fi
if nm -D "$RELEARN" | grep -q ' __[atm]san_init'; then
    skip "hardening" "a build with sanitizers"
    exit 0
fi
uses() { nm -D --undefined-only "$1" | grep -Eq " U $2(@|$)"; }
segment() { readelf -lW "$1" | grep -E "^ +$2 "; }
check "the program's addresses are drawn: PIE" eval 'readelf -hW "$RELEARN" | grep -q "Type: *DYN" && readelf -dW "$RELEARN" | grep -q "FLAGS_1.*PIE"'
for file in "$RELEARN" "$library"; do
    name=${file##*/}
    check "$name: all relocations before it runs, then read-only" eval '[ -n "$(segment "$file" GNU_RELRO)" ] && readelf -dW "$file" | grep -Eq "BIND_NOW|FLAGS.* NOW"'
    check "$name: no stack that is executed" eval 'segment "$file" GNU_STACK | grep -q " RW  *0x" && ! segment "$file" GNU_STACK | grep -q "RWE"'
    check "$name: no segment that is written and executed" eval '! readelf -lW "$file" | grep -Eq "^ +LOAD .* RWE "'
    check "$name: no text relocations, no path of libraries" eval '! readelf -dW "$file" | grep -Eq "TEXTREL|RPATH|RUNPATH"'
    check "$name: stack protector" uses "$file" __stack_chk_fail
    check "$name: functions of strings and memory are fortified" eval 'uses "$file" __vsnprintf_chk && uses "$file" __snprintf_chk'
    check "$name: no path of the machine that built it" eval '! strings -a "$file" | grep -Fq "$(cd "$here/.." && pwd)/src"'
done
