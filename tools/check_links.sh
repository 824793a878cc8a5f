#!/bin/bash
# Checks that every link in the documentation to a file of this repository leads somewhere.
set -u
cd "$(dirname "$0")/.." || exit 1

bad=0
for page in *.md docs/*.md; do
    while IFS= read -r target; do
        case "$target" in http://* | https://* | mailto:* | '#'*) continue ;; esac
        if [ ! -e "$(dirname "$page")/${target%%#*}" ]; then
            echo "$page: dead link to $target"
            bad=$((bad + 1))
        fi
    done < <(grep -oE '\]\([^) ]+\)' "$page" | sed 's/^](//; s/)$//')
done
[ "$bad" -eq 0 ] && echo "links: all lead somewhere"
