# Whether two runs are the same but for the clock; sourced by shell tests.
# shellcheck shell=bash

events=events.out.tfevents.relearn
# Everything but what depends on the clock.
plain() { sed -E 's/"timing": ?\{[^}]*\}//; /"timing": \{/,/\}/d' "$1"; }
# The last checkpoint behind its header, which has the precision and a checksum of the log: weights, initial weights, momentum.
tensors() { tail -c +$(($(head -c 8 "$1/checkpoint/last.safetensors" | od -An -t u8) + 9)) "$1/checkpoint/last.safetensors"; }
differ() { ! cmp -s <(tensors "$1") <(tensors "$2"); } # RUN RUN
same() { # RUN RUN: weights bit for bit, log and summary but for their timing; and the same files
    local file
    for file in checkpoint/last.safetensors checkpoint/best.safetensors features/before.safetensors features/after.safetensors config.yaml data.json kernels.json; do
        cmp "$1/$file" "$2/$file" || return 1
    done
    for file in log.jsonl summary.json; do
        diff <(plain "$1/$file") <(plain "$2/$file") || return 1
    done
    diff <("$TOOLS/events_dump" "$1/$events") <("$TOOLS/events_dump" "$2/$events") &&
        diff <(cd "$1" && find . | sort) <(cd "$2" && find . | sort)
}
