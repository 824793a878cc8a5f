#!/bin/bash
# Lays out a small data set exactly as the real archive lies: lay_out.sh NAME DATA OUT PER_CLASS
#
# NAME is cremad, kinetics-sounds or ucf101; DATA has the real lists (lists/) and some real clips
# (clips/). OUT gets the first PER_CLASS clips of every class in each list, under their real names, and
# the lists cut to those. The media are short clips that $TOOLS/make_clip writes, a few per class,
# linked under many names; the first clips of each list are real videos. Prints how many clips there are.
set -eu
name=$1 data=$2 out=$3 per_class=$4
: "${TOOLS:?}"
lists=$data/lists clips=$data/clips masters=$out.masters
mkdir -p "$out" "$masters"

# The first N lines of every class; the class is what COMMAND's awk expression gives for a line.
first_of_class() { # N EXPRESSION
    awk -v n="$1" "{ class = $2; gsub(/\\r/, \"\", class); if (seen[class]++ < n) print }"
}

# Links a generated clip, made once for up to sixteen classes.
master() { # TARGET EXTENSION CLASS SEED SECONDS
    local file=$masters/$(($3 % 16))_$4.$2
    [ -e "$file" ] || "$TOOLS/make_clip" "$file" $(($3 % 16)) "$4" "$5" || exit 1
    ln "$file" "$1"
}

# Links a copy of a real clip.
real_clip() { # TARGET NUMBER PATTERN
    local files file
    mapfile -t files < <(find "$clips" -maxdepth 1 -name "$3" | LC_ALL=C sort)
    file=${files[$(($2 % ${#files[@]}))]}
    [ -e "$masters/${file##*/}" ] || cp "$file" "$masters/"
    ln "$masters/${file##*/}" "$1"
}

count=0
case $name in
cremad)
    mkdir -p "$out/AudioWAV" "$out/VideoFlash" "$out/processedResults"
    source=$lists/cremad_splits
    cp "$source/stat.csv" "$out/"
    few=$(((per_class + 3) / 4))
    class='substr($0, index($0, ",") + 1)'
    first_of_class "$per_class" "$class" <"$source/my_train.csv" >"$out/my_train.csv"
    first_of_class "$few" "$class" <"$source/val.csv" >"$out/val.csv"
    head -n 1 "$source/test.csv" >"$out/test.csv"
    sed 1d "$source/test.csv" | first_of_class "$few" "$class" >>"$out/test.csv"
    { head -n 1 "$source/train.csv" && sed 's/$/\r/' "$out/my_train.csv" "$out/val.csv"; } >"$out/train.csv"
    cat "$out/my_train.csv" "$out/val.csv" <(sed 1d "$out/test.csv") | tr -d '\r' | cut -d, -f1 | sort >"$masters/names"
    for table in SentenceFilenames summaryTable; do
        awk -F'"' 'NR == FNR { wanted[$0]; next } FNR == 1 || ($2 in wanted) || ($4 in wanted)' \
            "$masters/names" "$lists/cremad/$table.csv" >"$masters/$table.csv"
    done
    cp "$masters/SentenceFilenames.csv" "$out/"
    cp "$masters/summaryTable.csv" "$out/processedResults/"
    classes=(NEU HAP SAD FEA DIS ANG)
    while read -r clip; do
        number=0
        for c in "${!classes[@]}"; do case $clip in *_"${classes[$c]}"_*) number=$c ;; esac; done
        seed=$((count % 3))
        master "$out/AudioWAV/$clip.wav" wav "$number" "$seed" 1.2
        if [ $((count % 40)) -eq 0 ]; then
            real_clip "$out/VideoFlash/$clip.flv" $((count / 40)) '*.mpg'
        else
            master "$out/VideoFlash/$clip.flv" flv "$number" "$seed" 2
        fi
        count=$((count + 1))
    done <"$masters/names"
    ;;
kinetics-sounds)
    mkdir -p "$out/train" "$out/test"
    for split in train test; do
        few=$per_class
        [ $split = train ] || few=$(((per_class + 3) / 4))
        first_of_class "$few" 'substr($0, index($0, ",10,") + 4)' \
            <"$lists/kinetics_sounds/my_$split.txt" >"$out/my_$split.txt"
        while IFS=, read -r clip _ label; do
            if [ $((count % 100)) -eq 0 ]; then
                real_clip "$out/$split/$clip.mp4" $((count / 100)) '*.mp4'
            else
                master "$out/$split/$clip.mp4" mp4 "$label" $((count % 2)) 3
            fi
            count=$((count + 1))
        done < <(tr -d '\r' <"$out/my_$split.txt")
    done
    ;;
ucf101)
    mkdir -p "$out/UCF-101" "$out/ucfTrainTestlist"
    cp "$lists/ucf101/classInd.txt" "$out/ucfTrainTestlist/"
    declare -A numbers
    while read -r number class; do
        mkdir -p "$out/UCF-101/$class"
        numbers[$class]=$number
    done < <(tr -d '\r' <"$lists/ucf101/classInd.txt")
    for split in train test; do
        few=$per_class
        [ $split = train ] || few=$(((per_class + 1) / 2))
        # Of different groups, so that some can be set apart.
        awk -F'[/ ]' '{ group = $2; sub(/_c[0-9].*/, "", group); if (!seen[group]++) print }' \
            "$lists/ucf101/${split}list01.txt" | first_of_class "$few" 'substr($0, 1, index($0, "/"))' \
            >"$out/ucfTrainTestlist/${split}list01.txt"
        while read -r clip _; do
            number=${numbers[${clip%%/*}]}
            if [ $((count % 100)) -eq 0 ]; then
                real_clip "$out/UCF-101/$clip" $((count / 100)) 'v_S*.avi'
            else
                master "$out/UCF-101/$clip" avi "$number" 0 1
            fi
            count=$((count + 1))
        done < <(tr -d '\r' <"$out/ucfTrainTestlist/${split}list01.txt")
    done
    ;;
*)
    echo "lay_out.sh: no data set '$name'" >&2
    exit 2
    ;;
esac
echo "$count"
