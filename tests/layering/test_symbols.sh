#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What leaves libtubelet.so and what it needs: only tub_ functions, all that the public headers promise, four libraries, no libm function
# whose last bits differ between machines, no mutable global. Each check is also made to fail, on a library built to be wrong.
# usage: test_symbols.sh SOURCE_ROOT LIBRARY CC...
set -u
root=$1
library=$2
shift 2
libm=$("$@" -print-file-name=libm.so.6) # of the machine that the library is for
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export LC_ALL=C
passed=0
failed=0

# Each check prints what is wrong with a library, nothing when all is well.
foreign_symbols() {
    nm -D --defined-only "$1" | awk '{ sub(/@.*/, "", $3) } $3 !~ /^tub_[a-z]/ { print $3 }'
}

broken_promises() { # functions declared with TUB_API in the public headers that the library does not have
    nm -D --defined-only "$1" | awk '{ print $3 }' | sort >"$work/defined"
    cat "$root"/include/tubelet/*.h | sed 's|/\*.*\*/||' | tr '\n' ' ' | tr ';' '\n' |
        sed -n 's/.*TUB_API[^(]*[ *]\(tub_[a-z0-9_]*\)(.*/\1/p' | sort -u >"$work/promised"
    comm -13 "$work/defined" "$work/promised"
}

needed() {
    readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | sed 's/\.so.*//'
}

wrong_libraries() {
    needed "$1" | grep -v '^ld-linux' | tr '\n' ' ' >"$work/needed"
    case $(cat "$work/needed") in
    "libc libjansson libm libzip " | "libc libjansson libzip ") ;; # without libm: all of the exact functions are instructions
    *) cat "$work/needed" ;;
    esac
}

# Correctly rounded by IEEE 754, so the same everywhere.
exact='^(sqrt|fma|floor|rint)f?$'

inexact_functions() {
    nm -D --defined-only "$libm" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/libm"
    nm -D --undefined-only "$1" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u >"$work/undefined"
    comm -12 "$work/libm" "$work/undefined" | grep -Ev "$exact"
}

# Objects in writable sections; what the linker, the C library and libgcc (__cpu_model,
# __aarch64_have_lse_atomics) put into a shared object does not count, nor do the marks of data in code ($d) for aarch64.
mutable_globals() {
    objdump -t "$1" | awk '{ for (i = 2; i <= NF; i++) if ($i ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)$/) print $NF }' |
        grep -Ev '^(\.data|\.bss|__dso_handle|completed\.[0-9]+|_edata|_end|__bss_start|__TMC_END__|__cpu_model|__cpu_features2|__aarch64_have_lse_atomics|\$d)$'
}

expect() { # CHECK LIBRARY WORD: the answer must have the word; without a word it must be empty
    answer=$("$1" "$2" | tr '\n' ' ')
    case ${3-} in
    "") [ -z "$answer" ] && ok=yes || ok=no ;;
    *) case " $answer " in *" $3 "*) ok=yes ;; *) ok=no ;; esac ;;
    esac
    if [ "$ok" = yes ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1 $2: '$answer', wanted '${3-}'"
    fi
}

expect foreign_symbols "$library"
expect broken_promises "$library"
expect wrong_libraries "$library"
expect inexact_functions "$library"
expect mutable_globals "$library"
[ -s "$work/libm" ] && [ -s "$work/undefined" ] && [ -s "$work/promised" ] || { echo "FAILED: empty lists"; failed=$((failed + 1)); }

cat >"$work/bad.c" <<'SOURCE'
double cos(double x);
double sqrt(double x);
double tub__leak(double x) { return cos(x); }
double tub_good(double x) { return sqrt(x); }
double stray(void) { return 0; }
static int counter;
static const int table[] = {1, 2, 3};
static const char *const names[] = {"a", "b"};
int tub_count(int i) { return counter += table[i] + names[i & 1][0]; }
SOURCE
echo 'int other(void) { return 0; }' >"$work/other.c"
"$@" -w -shared -fPIC "$work/other.c" -o "$work/libother.so" || failed=$((failed + 1))
"$@" -w -shared -fPIC -fno-builtin "$work/bad.c" -o "$work/bad.so" -Wl,--no-as-needed -L"$work" -lother -lm || failed=$((failed + 1))
expect foreign_symbols "$work/bad.so" tub__leak
expect foreign_symbols "$work/bad.so" stray
expect broken_promises "$work/bad.so" tub_context_create
expect wrong_libraries "$work/bad.so" libother
expect inexact_functions "$work/bad.so" cos
expect mutable_globals "$work/bad.so" counter
[ "$(mutable_globals "$work/bad.so" | wc -l)" = 1 ] || { echo "FAILED: constants taken for variables"; failed=$((failed + 1)); }
[ "$(foreign_symbols "$work/bad.so" | grep -c tub_good)" = 0 ] && [ "$(inexact_functions "$work/bad.so" | grep -c sqrt)" = 0 ] ||
    { echo "FAILED: the checks refuse what is right"; failed=$((failed + 1)); }
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
