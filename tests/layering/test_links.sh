#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every relative link in README.md, CHANGELOG.md, CONTRIBUTING.md and docs/ leads to a file: in the source tree, and in the tree
# that meson install makes. usage: test_links.sh SOURCE_ROOT BUILD_ROOT
set -u
root=$1 build=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# links_of PAGE: what its links lead to, one a line, without addresses of the net and places within the page.
links_of() {
    grep -o ']([^)]*)' "$1" | sed -e 's/^](//' -e 's/)$//' -e 's/#.*//' | grep -v -e '://' -e '^$'
}

# dead_links FOLDER: prints "PAGE: LINK" for each link of its pages that leads nowhere.
dead_links() {
    (cd "$1" && find README.md CHANGELOG.md CONTRIBUTING.md docs -name '*.md') | while read -r page; do
        links_of "$1/$page" | while read -r link; do
            [ -e "$(dirname "$1/$page")/$link" ] || echo "$page: $link"
        done
    done
}

expect() { # FILE-WITH-EXPECTED-LINES NAME FOLDER
    if dead_links "$3" 2>&1 | diff "$1" - >"$work/log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $2"
        cat "$work/log"
    fi
}

: >"$work/none"
expect "$work/none" "links in the source tree" "$root"
if command -v meson >/dev/null && meson install -C "$build" --no-rebuild --quiet --destdir "$work/tree" >/dev/null; then
    installed=$(dirname "$(find "$work/tree" -path '*/doc/tubelet/README.md')")
    expect "$work/none" "links in an installed tree" "$installed"
else
    echo "skipped: links in an installed tree (no meson)"
fi

# The check can fail: a link to a page that is not there, in a folder below.
mkdir -p "$work/bad/docs/deeper"
echo '[a](docs/there.md) and [b](https://example.org/x)' | tee "$work/bad/README.md" "$work/bad/CHANGELOG.md" >"$work/bad/CONTRIBUTING.md"
echo '[c](../../README.md#part) [d](../missing.md)' >"$work/bad/docs/deeper/page.md"
: >"$work/bad/docs/there.md"
echo 'docs/deeper/page.md: ../missing.md' >"$work/one"
expect "$work/one" "a dead link" "$work/bad"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
