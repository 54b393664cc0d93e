# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# Shell functions that bench/scaling and bench/growth share. Sourced from the repository's root, not run.
. tools/setup

# find_program: sets tubelet to the program in $TUBELET, else to one that is built.
find_program() {
    if [ -n "${TUBELET-}" ]; then
        tubelet=$TUBELET
    else
        build_program
    fi
    # Fails now, with a sentence, rather than at every measurement.
    measure peak --repeats 1 >/dev/null || die "$tubelet can't measure"
}

# measure ARGUMENT...: one line of JSON of `tubelet bench`, from idle moments (docs/benchmarks.md) if five seconds have any.
measure() {
    local lines
    if [ "$1" = peak ] || ! lines=$("$tubelet" bench "$@" --idle 5 --json --quiet 2>/dev/null); then
        lines=$("$tubelet" bench "$@" --json --quiet)
    fi
    head -n 1 <<<"$lines"
}

# number KEY: that number of a line of JSON on stdin.
number() {
    sed -n 's/.*"'"$1"'": *\(-\{0,1\}[0-9.]*\(e[-+]\{0,1\}[0-9]*\)\{0,1\}\).*/\1/p'
}

# whole_number NAME VALUE LEAST MOST: complains about anything else.
whole_number() {
    case $2 in
    '' | *[!0-9]*) ;;
    *) if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then return; fi ;;
    esac
    say "$(basename "$0"): $1 is a whole number from $3 to $4, not '$2'"
    exit 2
}

median() {
    sort -g | awk '{ v[NR] = $1 } END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# machine_table COMMAND: date, machine and so on as a Markdown table.
machine_table() {
    (
        . /etc/os-release
        echo "| | |"
        echo "| --- | --- |"
        echo "| date | $(date -u +%Y-%m-%d) |"
        echo "| commit | $(git describe --always --dirty 2>/dev/null || echo none) |"
        echo "| processor | $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), $(nproc) cores |"
        echo "| system | ${PRETTY_NAME-unknown}, Linux $(uname -r | cut -d - -f 1) |"
        echo "| load | $(cut -d ' ' -f 1 /proc/loadavg) when it ended |"
        echo "| command | \`$1\` |"
    )
}
