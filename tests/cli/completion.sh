#!/bin/bash
# Completion in bash: the function is called as readline calls it, with words split at "=".
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"

succeeds help --bash || exit 1
cp out relearn.bash
check "the script is bash" bash -n relearn.bash
# shellcheck source=/dev/null
. ./relearn.bash
compopt() { options+=" $*"; } # readline's, which a script has not

# gives WORD... : the last word is being typed.
gives() {
    options=
    COMP_WORDS=(relearn "$@")
    COMP_CWORD=$#
    _relearn
    printf '%s\n' "${COMPREPLY[@]}" >given
}
has() { local word; for word in "$@"; do grep -qxF -- "$word" given || return 1; done; }

mkdir -p runs/relearn-0 pictures && touch runs.txt
every_command() {
    gives ""
    # shellcheck disable=SC2046
    has $("$RELEARN" help | sed -n 's/^  \([a-z]*\) .*/\1/p') --help --version
}
check "commands" every_command
check "a command half typed" eval 'gives comp && [ "$(cat given)" = compare ]'
every_flag() { # as its help has them
    local command flag
    for command in $("$RELEARN" help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
        gives "$command" --
        for flag in $("$RELEARN" help "$command" | sed -n '/^Flags:/,/^$/s/^  \(--[a-z0-9-]*\).*/\1/p'); do
            has "$flag" || { echo "$command $flag"; return 1; }
        done
    done
}
check "every flag of every command" every_flag
check "no flag of another command" eval 'gives train -- && ! has --png'
check "flags of a recipe, once it is named" eval 'gives prepare -- && ! has --lists && gives prepare cremad -- && has --from &&
    [ "$(wc -l <given)" -gt "$(gives prepare manifest --; wc -l <given)" ]'
check "recipes" eval 'gives prepare "" && has manifest cremad ucf101'
check "choices of a flag" eval 'gives evaluate run --split "" && has train val test && ! has --split'
check "choices behind =" eval 'gives evaluate run --split = && has val && gives evaluate run --split = v && [ "$(cat given)" = val ]'
check "keys of --set, with = behind" eval 'gives train --set opt && has optimizer.lr= optimizer.name= && [[ $options == *nospace* ]]'
check "keys of methods and encoders" eval 'gives train --set "" && has relearn.lambda= encoder.width= tensorboard='
check "values of a key" eval 'gives train --set optimizer.name = a && has adam adamw && ! has sgd && gives train --set augment = && has true false'
check "methods" eval 'gives train --set method = re && [ "$(cat given)" = relearn ]'
check "folders for a flag that takes one" eval 'gives train --out r && [ "$(cat given)" = runs ] && gives inspect s --png p && has pictures'
check "files where nothing is known: left to bash" eval 'gives train co && [ "$(cat given)" = "" ] && complete -p relearn | grep -q -- "-o default"'
check "help completes commands" eval 'gives help tr && [ "$(cat given)" = train ]'

# With readline itself, on a terminal of its own: two tabs list what fits.
if "$TOOLS/in_terminal" 80 bash --version >/dev/null 2>&1; then
    printf '. ./relearn.bash\nset +o history\n' >rc
    interactive() {
        (sleep 1; printf 'relearn eva\t'; sleep 1; printf -- '--spl\t'; sleep 1; printf '\003exit\n') |
            script -qec "bash --noprofile --rcfile rc -i" /dev/null >screen 2>&1
        grep -q "relearn evaluate --split " screen
    }
    if command -v script >/dev/null; then check "in a bash that somebody types into" interactive; else skip "in a bash" "no script(1)"; fi
fi
