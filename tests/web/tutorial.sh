#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every command of a page of docs, in its order and in a fresh folder: tutorial.sh TUBELET MODULES PAGE [FOLDER]
#
# Commands are the lines of its ```sh blocks; a ```text block after one shows what the last of them says: line by line, but that numbers may
# be others and "..." stands for any lines. It fails where a command fails or says something else; where a command stands anywhere else and
# is not one of those that were run; where a file in runs/ or out/ that the page names is not there afterwards; and where a picture is not
# there, is large, or has no words. FOLDER, which must be new, is where it works, and stays.
set -eu
program=$(readlink -f "$1") modules=$(readlink -f "$2") page=$(readlink -f "$3")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "FAIL: $(basename "$page"): $1" >&2
    exit 1
}
work=${4-$folder/work}
mkdir "$work" "$folder/bin"
work=$(readlink -f "$work")
ln -s "$program" "$folder/bin/tubelet"
export PATH="$folder/bin:$PATH" TUBELET_MODULES="$modules" TUBELET_DATA="$folder/cache" LC_ALL=C
unset TUBELET_CPU

# N.command and N.output of each command; rest: the page without its blocks.
awk -v to="$folder" '
    /^```/ && block { if (block == "text" && n == 0) print "no command before the output at line " NR > (to "/wrong"); block = ""; next }
    /^```/ { block = substr($0, 4); if (block != "sh" && block != "text") print "a block of " block " at line " NR > (to "/wrong"); next }
    block == "sh" && line == "" && (/^#/ || /^$/) { next }
    block == "sh" { line = line $0; if (sub(/\\$/, "", line)) next; sub(/ +# .*$/, "", line); print line > (to "/" (++n) ".command"); line = ""; next }
    block == "text" { print > (to "/" n ".output"); next }
    { print > (to "/rest") }
    END { print n + 0 > (to "/count"); if (block) print "a block has no end" > (to "/wrong") }' "$page"
[ ! -s "$folder/wrong" ] || fail "$(cat "$folder/wrong")"
count=$(cat "$folder/count")
[ "$count" -gt 0 ] || fail "no commands"

# What looks like a command outside of the blocks.
awk '{ while (match($0, /`tubelet [a-z]+ [^`]*`/)) { print substr($0, RSTART + 1, RLENGTH - 2); $0 = substr($0, RSTART + RLENGTH) } }
    /^(    |\t)/ { sub(/^[ \t]+/, ""); print }' "$folder/rest" >"$folder/others"
while IFS= read -r other; do
    cat "$folder"/*.command | grep -qxF -- "$other" || fail "a command that is not run: $other"
done <"$folder/others"

# Numbers as N, spaces as one: what stays when the page was made on another machine.
plain() {
    sed -E 's/[-+]?[0-9][0-9.,]*(e[-+]?[0-9]+)?/N/g; s/ +/ /g; s/ $//' "$1"
}
# says WANTED GOT: lines in order; "..." stands for any.
says() {
    awk -v wanted="$1" '
        BEGIN { while ((getline line < wanted) > 0) want[++n] = line; at = 1 }
        { while (want[at] == "...") { any = 1; at++ } }
        at <= n && $0 == want[at] { at++; any = 0; next }
        any { next }
        at == 1 && !first++ { print "says: " $0; bad = 1; exit }
        { print "says: " $0; bad = 1; exit }
        END { while (want[at] == "...") at++; if (!bad && at <= n) { print "does not say: " want[at]; bad = 1 } exit bad }' "$2"
}
i=0
while [ $i -lt "$count" ]; do
    i=$((i + 1))
    command=$(cat "$folder/$i.command")
    (cd "$work" && sh -e -c "$command") >"$folder/said" 2>"$folder/talk" </dev/null || fail "\$ $command
$(tail -n 5 "$folder/talk")"
    if [ -f "$folder/$i.output" ]; then
        plain "$folder/$i.output" >"$folder/wanted"
        plain "$folder/said" >"$folder/got"
        says "$folder/wanted" "$folder/got" >"$folder/other" || fail "\$ $command
$(cat "$folder/other")"
    fi
    echo "ran: $command"
done

# Files that the page speaks of.
grep -o '`\(runs\|out\)/[^` ]*`' "$folder/rest" | tr -d '`' | sort -u >"$folder/files" || true
while IFS= read -r file; do
    [ -e "$work/$file" ] || fail "names $file, which is not there"
done <"$folder/files"

# Pictures.
grep -o '!\[[^]]*\]([^)]*)' "$page" >"$folder/pictures" || true
while IFS= read -r picture; do
    words=${picture#!?}
    words=${words%%]*}
    file=${picture##*\(}
    file=$(dirname "$page")/${file%)}
    [ -f "$file" ] || fail "no picture $file"
    [ "$(wc -c <"$file")" -lt 200000 ] || fail "$file is large"
    [ "${#words}" -ge 20 ] || fail "no words for $file"
done <"$folder/pictures"
echo "$(basename "$page"): $count commands, $(wc -l <"$folder/files") files and $(wc -l <"$folder/pictures") pictures are fine"
