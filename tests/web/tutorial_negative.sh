#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A negative control of tutorial.sh: pages that are wrong, each in one way. tutorial_negative.sh TUBELET MODULES PAGE
set -eu
program=$(readlink -f "$1") modules=$2
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "FAIL: $1" >&2
    exit 1
}
printf 'GIF' >"$folder/there.png"
head -c 300000 /dev/zero >"$folder/large.png"
good='```sh
mkdir -p out
tubelet fetch --json \
    >out/sets    # what there is
tubelet info vivit-tiny | head -n 9
```
```text
...
parameters             1,656,971 in 135 arrays
```
`tubelet fetch` and `tubelet info vivit-tiny | head -n 9` wrote `out/sets`.
![A picture with enough words to be read aloud](there.png)'
run() { # TEXT
    printf '%s\n' "$1" >"$folder/page.md"
    "$here/tutorial.sh" "$program" "$modules" "$folder/page.md" >"$folder/said" 2>&1
}
run "$good" || fail "a page without a fault: $(cat "$folder/said")"
grep -q '3 commands, 1 files and 1 pictures are fine' "$folder/said" || fail "$(cat "$folder/said")"
wrong() { # WORDS TEXT
    if run "$2"; then fail "not found: $1"; fi
    grep -q "$1" "$folder/said" || fail "not '$1' but $(cat "$folder/said")"
}
changed() { # EXPRESSION: the good page but for that
    printf '%s\n' "$good" | sed "$1"
}
wrong 'tubelet nonsense' "$(changed 's/tubelet fetch --json.*/tubelet nonsense/; /out.sets  /d')"
wrong 'a command that is not run: tubelet info vivit-b' "$(changed 's/`tubelet fetch`/`tubelet info vivit-b`/')"
wrong 'a command that is not run: tubelet fetch' "$good
    tubelet fetch"
wrong 'a block of console' "$(changed 's/```sh/```console/')"
wrong 'says: ' "$(changed '/^\.\.\.$/d')"
wrong 'does not say: parameters N in N matrices' "$(changed 's/135 arrays/135 matrices/')"
wrong 'names out/nothing' "$(changed 's/wrote `out.sets/&` and `out\/nothing/')"
wrong 'no picture' "$(changed 's/there.png/nowhere.png/')"
wrong 'is large' "$(changed 's/there.png/large.png/')"
wrong 'no words' "$(changed 's/!\[.*\]/![A picture]/')"
wrong 'no commands' 'Nothing.'
wrong 'a block has no end' "$good
\`\`\`sh"
echo "pages that are wrong are found"
