#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone; the public ones also as C++ and as strict C17. usage: test_headers.sh SOURCE_ROOT CXX-or-none CC...
set -u
root=$1
cxx=$2
shift 2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# compiles HEADER LANGUAGE-SUFFIX COMPILER...: a file with nothing but this include.
compiles() {
    file=$work/alone.$2
    printf '#include "%s"\n' "$1" >"$file"
    shift 2
    "$@" -fsyntax-only -Wall -Wextra -Werror "$file" 2>"$work/log"
}

expect() { # yes|no NAME COMMAND...
    wanted=$1 name=$2
    shift 2
    if "$@"; then got=yes; else got=no; fi
    if [ "$got" = "$wanted" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name (compiles: $got, wanted: $wanted)"
        cat "$work/log"
    fi
}

cd "$root" || exit 1
# Kernel sources and the vector types are included once per instruction set, by files that choose it first; h5.h and video_*.h are for
# mod-hdf5 and mod-video alone, which are built where HDF5 and FFmpeg are.
for header in $(find src -name '*.h' | grep -v -e '^src/backend/cpu/' -e '^src/modules/h5\.h$' -e '^src/modules/video_.*\.h$' | sort); do
    expect yes "$header" compiles "$root/$header" c "$@" -std=c17 -D_GNU_SOURCE -Isrc -Iinclude
done
for header in include/tubelet/*.h; do
    expect yes "$header" compiles "$root/$header" c "$@" -std=c17 -pedantic-errors -Iinclude
    [ "$cxx" = none ] || expect yes "$header as C++" compiles "$root/$header" cc "$cxx" -std=c++11 -pedantic-errors -Iinclude
done
[ "$cxx" != none ] || echo "skipped: public headers as C++ (no C++ compiler)"

# The check can fail: a header that leans on another, and one that C++ can't read.
printf '#include <stddef.h>\nsize_t f(uint32_t x);\n' >"$work/leans.h"
expect no "a header that leans on another" compiles "$work/leans.h" c "$@" -std=c17 -Iinclude
if [ "$cxx" != none ]; then
    printf 'int f(int class);\n' >"$work/c_only.h"
    expect no "a header that is C only" compiles "$work/c_only.h" cc "$cxx" -std=c++11 -Iinclude
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
