#!/bin/bash
# make install into a folder, the program run from there, make uninstall.
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/cli.sh
. "$here/support/cli.sh"
root=$(dirname "$here")
build=$(cd "$(dirname "$RELEARN")" && pwd)
make_it() { make -s -C "$root" "$1" BUILD="$build" PREFIX=/opt/re DESTDIR="$TEST_TMP/stage" >log 2>&1 || { cat log; return 1; }; }
at=stage/opt/re

check "make install" make_it install
check "program, library, header, man page, completion, licence, configurations" eval '
    [ -x $at/bin/relearn ] && [ -e $at/lib/librelearn.so ] && [ -s $at/include/relearn.h ] && [ -s $at/share/man/man1/relearn.1 ] &&
    [ -s $at/share/bash-completion/completions/relearn ] && [ -s $at/share/doc/relearn/LICENSE ] && [ -s $at/share/doc/relearn/train.md ] &&
    [ -s $at/share/relearn/configs/cremad.yaml ]'
if [ -e "$build/relearn-mpi.so" ]; then
    check "the plug-in for MPI" [ -s $at/lib/relearn/relearn-mpi.so ]
else
    skip "the plug-in for MPI" "built without MPI (libopenmpi-dev is not installed)"
fi
check "nothing lies outside of the prefix" eval '[ "$(ls stage)" = opt ] && [ "$(ls stage/opt)" = re ]'
check "nothing names the folder it was staged in" eval '! grep -rqF "$TEST_TMP" stage'
check "pkg-config finds the library" eval 'command -v pkg-config >/dev/null && [ "$(PKG_CONFIG_PATH=$at/lib/pkgconfig pkg-config --variable=prefix relearn)" = /opt/re ]'
moved() { # a run from start to end by what was installed
    mv "$at/bin/relearn" elsewhere && RELEARN=$TEST_TMP/elsewhere && succeeds --version &&
        relearn synth --quiet --out media --train 8 --val 4 --test 4 --classes 2 --picture-size 32 --frames 1 && [ "$code" -eq 0 ] &&
        relearn prepare manifest --quiet --from media --to store && [ "$code" -eq 0 ] &&
        relearn train --quiet --data store --out run --set method=joint --set epochs=1 --set batch=4 --set encoder.width=16 --set "encoder.blocks=[1]" &&
        [ "$code" -eq 0 ] && relearn report run --out report.html && [ -s report.html ] && mv elsewhere "$at/bin/relearn"
}
check "the program runs from anywhere" moved
if command -v groff >/dev/null; then
    check "the man page renders without a warning" eval 'groff -man -Tutf8 -ww -z $at/share/man/man1/relearn.1 2>warnings; [ ! -s warnings ] || { head warnings; false; }'
else
    skip "the man page renders without a warning" "groff is not installed"
fi
check "a second install changes nothing" eval 'find stage | sort >before; make_it install && find stage | sort | cmp - before'
check "make uninstall leaves no file" eval 'make_it uninstall && [ -z "$(find stage ! -type d)" ] && [ -z "$(find stage -name "*relearn*")" ]'
