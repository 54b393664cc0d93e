#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tools/embed: every byte of a file stands in the header, and it fails where it can't read all of them. embed.sh EMBED
set -eu
embed=$(readlink -f "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() {
    echo "FAIL: $1" >&2
    exit 1
}
i=0
while [ $i -lt 256 ]; do
    printf "\\$(printf %03o $i)"
    i=$((i + 1))
done >bytes
"$embed" name bytes >header.h
grep -q '^static const unsigned char name\[\] = {$' header.h || fail "no array: $(head -n 2 header.h)"
sed '1,/{$/d; /}/d' header.h | tr -d '\n ' >numbers
seq -s, 0 255 | tr -d '\n' >wanted
echo , >>wanted
echo >>numbers
cmp numbers wanted || fail "other bytes: $(cat numbers)"
if "$embed" name missing >header.h 2>/dev/null; then fail "a file that is not there"; fi
mkdir bin
printf '#!/bin/sh\necho " 1 2 3"\nexit 1\n' >bin/od
chmod +x bin/od
if PATH=$folder/bin:$PATH "$embed" name bytes >header.h 2>/dev/null; then fail "od that fails"; fi
echo "embed: fine"
