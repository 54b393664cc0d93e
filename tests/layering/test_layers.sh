#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The #include lines of the project keep the layers apart as the table of docs/architecture.md says; and the checker finds each kind of breach in a copy that has one.
# usage: test_layers.sh SOURCE_ROOT
set -u
root=$1
here=$root/tests/layering
passed=0
failed=0
copy=$(mktemp -d) || exit 1
trap 'rm -rf "$copy"' EXIT
table=$copy/table
awk -f "$here/table.awk" "$root/docs/architecture.md" >"$table" || exit 1

# breaches FOLDER: prints what is wrong in a tree.
breaches() {
    (cd "$1" && find src app include examples -name '*.[ch]' -type f | sort | xargs awk -f "$here/layers.awk" "$table")
}

verdict() { # NAME OK
    if [ "$2" = yes ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}

found=$(breaches "$root") || found="awk failed $found"
[ -z "$found" ] && ok=yes || ok=no
echo "$found"
verdict "the project's includes" "$ok"

files=$(cd "$root" && find src app include examples -name '*.[ch]' -type f | wc -l)
[ "$files" -gt 50 ] && ok=yes || ok=no
verdict "the project's files were read ($files)" "$ok"

# Every folder of src is in the table, and only those; the lowest may include nobody, the highest the whole library.
folders=$(cd "$root/src" && find . -mindepth 1 -maxdepth 1 -type d | sed 's|./||' | sort | tr '\n' ' ')
[ "$folders" = "$(cut -d' ' -f1 "$table" | sort | tr '\n' ' ')" ] && ok=yes || ok=no
verdict "the table's layers: $(cut -d' ' -f1 "$table" | tr '\n' ' ')" "$ok"
grep -qx base "$table" && grep -qx 'train base tensor formats picture backend nn model convert hub data predict upload explain dist' "$table" && ok=yes || ok=no
verdict "the table's lists" "$ok"

# seeded PATH LINE WORDS: the checker must answer a tree with this one file with one breach that has these words.
seeded() {
    rm -rf "$copy/tree"
    mkdir -p "$copy/tree/src" "$copy/tree/app" "$copy/tree/include/tubelet" "$copy/tree/examples" "$copy/tree/$(dirname "$1")"
    printf '%b\n' "$2" >"$copy/tree/$1"
    [ -z "${4-}" ] || { mkdir -p "$copy/tree/$(dirname "$4")" && printf '%b\n' "$2" >"$copy/tree/$4"; }
    found=$(breaches "$copy/tree")
    case $found in
    *"$3"*) ok=yes ;;
    *) if [ -z "$3" ] && [ -z "$found" ]; then ok=yes; else ok=no; fi ;;
    esac
    [ -n "$3" ] || [ -z "$found" ] || ok=no
    verdict "seeded $1: $2 (answer: $found)" "$ok"
}
seeded src/base/x.c '#include "tensor/mat.h"' 'base may not include tensor'
seeded src/nn/x.c '#include "model/model.h"' 'nn may not include model'
seeded src/nn/x.h '  #  include   "data/loader.h" /* why not */' 'nn may not include data'
seeded src/model/x.c '#include "backend/cpu.h"' 'backend.h only'
seeded src/nn/x.c '#include "backend/cpu/vec.h"' 'backend.h only'
seeded src/data/x.c '#include "x.h"' 'write the path from src/'
seeded src/newlayer/x.c 'int x;' "layer 'newlayer' is not in"
seeded src/data/x.c '#ifdef HAVE_CURL' 'feature switch'
seeded src/data/x.c '#if defined(WITH_YAML)' 'feature switch'
seeded src/formats/x.c '#include <jansson.h>' 'is already the business of' src/train/y.c
seeded app/x.c '#include "base/error.h"' 'public headers only'
seeded examples/x.c '#include "model/model.h"' 'public headers only'
seeded include/tubelet/x.h '#include "base/error.h"' 'a public header includes "base'
seeded include/tubelet/x.h '#include <jansson.h>' "a third party's"
# and has nothing against what is allowed
seeded src/train/x.c '#include <zip.h>\n#include <tubelet/train.h>\n#include "model/model.h"\n#include <string.h>' ''
seeded app/x.c '#include "output.h"\n#include <tubelet/tubelet.h>\n#include <argp.h>' ''
seeded src/context/x.c '#include "backend/cpu.h"\n#ifdef __x86_64__' ''

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
