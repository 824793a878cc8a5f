#!/bin/sh
# Installs the Debian packages that are missing: tools/deps.sh build | lint | fuzz | valgrind | browser | bench | oracle
# Says nothing and changes nothing when all are there.
# shellcheck disable=SC2086  # lists of packages are meant to be split
set -eu

build='gcc libc6-dev make pkg-config libdnnl-dev libavformat-dev libavcodec-dev libavutil-dev libswresample-dev
libswscale-dev libpng-dev libjpeg62-turbo-dev libcairo2-dev libsqlite3-dev libyaml-dev libjansson-dev libxxhash-dev libzip-dev zlib1g-dev
libprotobuf-c-dev protobuf-c-compiler libcmocka-dev libjs-chart.js libopenmpi-dev openmpi-bin'
lint='clang-format clang-tidy shellcheck mandoc groff-base'
fuzz='clang libclang-rt-14-dev libomp-dev'
valgrind='valgrind'
# Opens the pages of `relearn report` in a test, which is skipped without it.
browser='chromium'
oracle='python3 python3-venv'
# The compiler is for torch.compile, the allocator for PyTorch at its best.
bench='python3 python3-venv python3-dev g++ libjemalloc2'

case "${1:-build}" in
build) wanted=$build ;;
lint) wanted=$lint ;;
fuzz) wanted=$fuzz ;;
valgrind) wanted=$valgrind ;;
browser) wanted=$browser ;;
bench) wanted=$bench ;;
oracle) wanted=$oracle ;;
*)
    echo "deps: unknown list '$1' (build, lint, fuzz, valgrind, browser, bench or oracle)" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "deps: no dpkg here: install by hand what these Debian packages hold:" $wanted "(see docs/building.md)" >&2
    exit 1
fi

missing=
for package in $wanted; do
    case "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" in
    installed*) ;; # once per architecture
    *) missing="$missing $package" ;;
    esac
done
[ -z "$missing" ] && exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null; then
        as_root=sudo
    else
        echo "deps: missing packages, and neither root nor sudo to install them (as root: apt-get install$missing)" >&2
        exit 1
    fi
fi

echo "deps: installing$missing" >&2
# The package lists of a fresh container are empty: fetch them when the first try finds nothing.
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null >&2
}
if ! apt-cache show $missing >/dev/null 2>&1 || ! install; then
    $as_root apt-get update -qq </dev/null >&2
    install
fi
