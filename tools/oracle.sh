#!/bin/bash
# Remakes every golden file and compares it with the committed one: tools/oracle.sh BUILD
#
# tests/oracle/make_*.py run in a copy of the tree's test folders, so nothing committed is touched.
# They need the packages of tests/oracle/requirements.txt: in a virtual environment that is made
# in BUILD/oracle/venv by pip, or in the interpreter named by RELEARN_ORACLE_PYTHON.
# tests/oracle/check_*.py then compare the build itself with its peers on real files.
# Where that cannot be set up every script counts as skipped, with the reason.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:?usage: tools/oracle.sh BUILD}
root=$PWD
case "$build" in /*) work=$build/oracle ;; *) work=$root/$build/oracle ;; esac
tree=$work/tree
mkdir -p "$work"
passed=0 failed=0 skipped=0

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}

python=${RELEARN_ORACLE_PYTHON:-$work/venv/bin/python}
if [ -z "${RELEARN_ORACLE_PYTHON:-}" ] && ! cmp -s tests/oracle/requirements.txt "$work/installed.txt"; then
    echo "oracle: setting up $work/venv"
    if ! { python3 -m venv "$work/venv" &&
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/oracle/requirements.txt; } \
        >"$work/setup.log" 2>&1 </dev/null; then
        tail -n 5 "$work/setup.log"
        for script in tests/oracle/*_*.py; do
            case "$script" in */make_* | */check_*) ;; *) continue ;; esac
            echo "SKIPPED $script: its Python packages could not be installed (see $work/setup.log)"
            skipped=$((skipped + 1))
        done
        finish
    fi
    cp tests/oracle/requirements.txt "$work/installed.txt"
fi

rm -rf "$tree"
mkdir -p "$tree/tests/golden/data"
cp -R tests/oracle "$tree/tests/oracle"
ln -s "$root/src" "$tree/src"
ln -s "$root/examples" "$tree/examples"
rm -f "$work/shared"
[ -d ../shared ] && ln -s "$(cd ../shared && pwd)" "$work/shared"

for script in tests/oracle/make_*.py; do
    name=$(basename "$script" .py)
    log=$work/$name.log
    touch "$work/before"
    if ! (cd "$tree" && timeout 1200 "$python" "$script") >"$log" 2>&1 </dev/null; then
        echo "FAILED  $script: did not run:"
        tail -n 10 "$log" | sed 's/^/    | /'
        failed=$((failed + 1))
        continue
    fi
    mapfile -t made < <(cd "$tree/tests/golden/data" && find . -type f -newer "$work/before" | LC_ALL=C sort)
    if [ "${#made[@]}" -eq 0 ]; then
        echo "FAILED  $script: wrote nothing to tests/golden/data"
        failed=$((failed + 1))
    elif (cd "$tree/tests/golden/data" &&
        "$python" "$root/tools/oracle_compare.py" "$root/tests/golden/data" "${made[@]}") >>"$log" 2>&1; then
        echo "ok      $script: ${#made[@]} files agree"
        passed=$((passed + 1))
    else
        echo "FAILED  $script:"
        grep '^DIFFERS' "$log" | head -n 10 | sed 's/^/    | /'
        failed=$((failed + 1))
    fi
done

# Other scripts compare the program itself with its peers, on files too large to be golden.
export RELEARN_BUILD=${work%/oracle} RELEARN_ROOT=$root
for script in tests/oracle/check_*.py; do
    log=$work/$(basename "$script" .py).log
    if ! (cd "$tree" && timeout 1200 "$python" "$script") >"$log" 2>&1 </dev/null; then
        echo "FAILED  $script:"
        grep -v '^ok ' "$log" | tail -n 10 | sed 's/^/    | /'
        failed=$((failed + 1))
    elif reason=$(grep '^SKIPPED' "$log"); then
        echo "$script: $reason"
        skipped=$((skipped + 1))
    else
        echo "ok      $script: $(grep -c '^ok ' "$log") comparisons agree"
        passed=$((passed + 1))
    fi
done

# A golden file that no script makes cannot be checked by anyone.
while IFS= read -r file; do
    [ -e "$tree/tests/golden/data/$file" ] && continue
    echo "FAILED  tests/golden/data/$file: no tests/oracle/make_*.py makes it"
    failed=$((failed + 1))
done < <([ "$failed" -eq 0 ] && cd tests/golden/data && find . -type f | LC_ALL=C sort)
finish
