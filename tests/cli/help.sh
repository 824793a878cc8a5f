#!/bin/bash
# Help, version, unknown commands and flags, what happens to the output.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

commands() { "$RELEARN" help | sed -n 's/^  \([a-z]*\) .*/\1/p'; }

check "overview goes to stdout" succeeds help
check "overview names its commands" prints '^  diagnose '
check "--help is help" eval 'succeeds --help; cp out a; succeeds help; cmp -s out a'
check "--version" eval 'succeeds --version && prints "^relearn [0-9]+\.[0-9]+\.[0-9]+$"'
check "no command: overview on stderr, exit 2" eval 'relearn; [ "$code" -eq 2 ] && [ ! -s out ] && grep -q "^  diagnose " err'

every_command_has_help() {
    local name found=0
    for name in $(commands); do
        found=$((found + 1))
        succeeds help "$name" && prints "^Usage: relearn $name " && prints '^  --help ' || return 1
        cp out a
        succeeds "$name" --help && cmp -s out a || return 1
    done
    [ "$found" -ge 2 ]
}
check "every command has help, by help and by --help" every_command_has_help
check "--help wins over what is missing or wrong" succeeds diagnose --nonsense --help

check "unknown command" fails 2 "frobnicate: there is no such command" frobnicate
check "unknown command, near one" fails 2 'diagnos: .*did you mean .diagnose' diagnos
check "help of an unknown command" fails 2 'there is no such command' help frobnicate
check "unknown flag, near one" fails 2 '--lamda: .*--lambda' diagnose --lamda 3
check "flag without its value" fails 2 '--lambda' diagnose --lambda
check "value that is no number" fails 2 '--lambda.*three' diagnose --lambda three
check "value out of range" fails 2 '--n-init' diagnose --n-init 0
check "required flag is missing" fails 2 '--train' diagnose
check "too many arguments" fails 2 'surplus' help diagnose surplus

lines_fit() { COLUMNS=$1 "$RELEARN" help diagnose | sed -n '/^Flags:/,/^$/p' | awk -v w="$1" 'length($0) > w { exit 1 }'; }
check "help wraps at COLUMNS" lines_fit 60
check "narrow help shows every flag" eval 'COLUMNS=30 "$RELEARN" help diagnose | grep -q -- --n-init'

man_page_names_commands() {
    local name
    succeeds help --man || return 1
    for name in $(commands); do prints "^\.SS relearn $name" || return 1; done
}
check "man page names every command" man_page_names_commands
check "man page is roff without unknown macros" eval '! grep -E "^\." out | grep -Evq "^\.(TH|SH|SS|TP|PP|B|I|RS|RE|nf|fi)( |$)"'
if command -v mandoc >/dev/null; then
    check "mandoc finds no error in the man page" eval '! mandoc -T lint -W error out >lint 2>&1 || [ ! -s lint ]'
else
    skip "mandoc finds no error in the man page" "mandoc is not installed"
fi

full_disk() {
    "$RELEARN" help >/dev/full 2>err
    [ $? -eq 1 ] && grep -q '^relearn: standard output: ' err
}
if [ -c /dev/full ]; then
    check "a full disk behind stdout is an error" full_disk
else
    skip "a full disk behind stdout is an error" "there is no /dev/full"
fi
closed_output() {
    "$RELEARN" help >&- 2>err
    [ $? -eq 1 ] && grep -q '^relearn: standard output: ' err
}
check "a closed stdout is an error" closed_output
early_reader() { # more than a pipe holds, to a reader that goes after one line
    (for _ in $(seq 30); do "$RELEARN" help --man; done) 2>err | head -n 1 >/dev/null
    [ ! -s err ]
}
check "a reader that goes early makes no noise" early_reader
